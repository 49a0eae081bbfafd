"""Intervals of a released model cover the population, and what it cannot know is refused."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from dpsynth.data.code_values import CodeValues
from dpsynth.data.columns import Column
from dpsynth.data.domain import Domain
from dpsynth.data.schema import FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.data.values import draw_values
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.evaluation.estimates import estimates
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.inference.released import released_intervals
from dpsynth.pgm.effects import Effects
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.synthesis import synthesize
from tests.inference.law import MEANS, SCHEMA, SLOPE, fit, records

RUNS, ROWS = 60, 600


@pytest.mark.statistical
def test_means_shares_and_slopes_are_covered() -> None:
    """60 fits to 600 records each at epsilon 1, seeds 0 to 59. At coverage .95 fewer than 50 of 60
    hits have probability below .001. Negative control: the model's own figures within sampling
    alone, as if its rows were records, cover less."""
    truth = {
        **{f"mean of {name}": mean for name, mean in MEANS.items()},
        "share of kind = b": 0.28,
        "share of kind = c": 0.02,
        "slope of visits on age": SLOPE,
    }
    hits, naive = dict.fromkeys(truth, 0), 0
    for seed in range(RUNS):
        model = fit(ROWS, seed=seed).model
        rng = np.random.default_rng(seed)
        found = released_intervals(model, slopes_of="visits", on=["age"], rng=rng)
        for interval in found:
            if interval.quantity in truth:
                known = truth[interval.quantity]
                hits[interval.quantity] += interval.lower <= known <= interval.upper
        assert isinstance(model, GraphicalSyntheticModel)
        shares, codes = model.marginal(("visits",)) / model.total, np.arange(12)
        mean = float(shares @ codes)
        sampling = 1.96 * sqrt(float(shares @ (codes - mean) ** 2) / ROWS)
        naive += abs(mean - MEANS["visits"]) <= sampling
    assert all(hit >= 50 for hit in hits.values()), hits
    assert naive < 50


def test_noise_of_shared_effects_is_counted_once() -> None:
    """20,000 draws, seed 0: the relative error of a variance is 1%, so 5% is 5 deviations. Negative
    control: variances added up as if the marginals' errors were apart are 10% off and more."""
    rng = np.random.default_rng(0)
    domain = Domain(sizes={"a": 3, "b": 4, "c": 2})
    cliques = [("a",), ("a", "b"), ("c", "a")]
    effects = Effects.of(
        domain,
        [
            NoisyMarginal(clique=c, values=np.zeros(domain.project(c).shape), sigma=2.0)
            if c != ("c", "a")
            else NoisyMarginal(clique=c, values=np.zeros((2, 3)), sigma=3.0)
            for c in cliques
        ],
        total=None,
    )
    weights = {
        ("a",): np.array([1.0, 2.0, 4.0]),
        ("b", "a"): rng.random((4, 3)),
        ("c", "a"): rng.random((2, 3)),
        (): np.array(0.5),
    }
    value, variance = effects.joint_query(weights, links={})
    assert value == 0
    drawn = []
    for _ in range(8000):
        noise = effects.noise(rng=rng)
        drawn.append(sum((of * noise.marginal(c)).sum() for c, of in weights.items()))
    assert np.var(drawn) == pytest.approx(variance, rel=0.08)
    apart = sum(effects.query_variance(c, of) for c, of in weights.items())
    assert apart != pytest.approx(variance, rel=0.1)


def test_groups_take_their_own_effects_from_the_codes_that_they_group() -> None:
    rng = np.random.default_rng(1)
    domain = Domain(sizes={"a": 4, "g": 2})
    groups = np.array([0, 0, 1, 1])
    ones = NoisyMarginal(clique=("a",), values=np.array([4.0, 3.0, 2.0, 9.0]), sigma=1.0)
    links = {"g": ("a", groups)}
    effects = Effects.of(domain, [ones], total=None).with_groups(links)
    of_groups = rng.random(2)
    by_groups = effects.joint_query({("g",): of_groups}, links=links)
    by_codes = effects.joint_query({("a",): of_groups[groups]}, links=links)
    assert by_groups == pytest.approx(by_codes)
    # Both at once are twice the same error, not two of them.
    both = effects.joint_query({("g",): of_groups, ("a",): of_groups[groups]}, links=links)
    assert both[1] == pytest.approx(4 * by_codes[1])


@pytest.mark.parametrize(
    "column",
    [
        IntegerColumn(name="x", lower=-3, upper=40, bins=4),
        IntegerColumn(name="x", lower=0, upper=9, bins=2, pieces=((0, 1, 5.0), (3, 5, 1.0))),
        FloatColumn(
            name="x", lower=0.0, upper=8.0, bins=4, pieces=((0.0, 0.0, 9.0), (1.0, 2.0, 1))
        ),
        FloatColumn(name="x", lower=-1.0, upper=1.0, bins=3, missing=True),
    ],
    ids=["whole", "pieces", "atom", "missing"],
)
def test_the_law_of_values_is_that_of_decoding(column: Column) -> None:
    """40,000 values a code, seed 0: means within 5 standard errors, and none beyond the reach."""
    assert isinstance(column, IntegerColumn | FloatColumn)
    law, rng, n = CodeValues.of(column), np.random.default_rng(0), 40_000
    assert np.isnan(law.mean[-1]) == column.missing
    for code in range(column.size - column.missing):
        drawn = draw_values(column, np.full(n, code), limits=None, rng=rng).astype(np.float64)
        assert abs(drawn.mean() - law.mean[code]) <= 5 * drawn.std() / sqrt(n)
        assert drawn.var() == pytest.approx(law.variance[code], rel=0.05)
        assert (np.abs(drawn - law.mean[code]) <= law.reach[code] + 1e-9).all()


def test_without_noise_errors_are_those_of_sampling() -> None:
    """2,000 records, seed 0; 20,000 rows of the model tell the slope's error to about 2%."""
    table = records(2000, rng=np.random.default_rng(0))
    model = synthesize(table, generator="mst", epsilon=1e4, seed=0).model
    rng = np.random.default_rng(0)
    found = released_intervals(model, slopes_of="visits", on=["age"], rng=rng)
    of_records = estimates(table, slopes_of="visits", on=["age"])
    assert {i.quantity for i in found} == set(of_records)
    for interval in found:
        error = sqrt(of_records[interval.quantity][1])
        assert interval.standard_error == pytest.approx(error, rel=0.1), interval.quantity


def test_a_slope_on_a_column_with_missing_values_is_refused() -> None:
    columns = [
        replace(c, missing=True) if isinstance(c, IntegerColumn) and c.name == "age" else c
        for c in SCHEMA.columns
    ]
    frame = records(600, rng=np.random.default_rng(0)).frame
    table = Table.from_frame(Schema(columns=tuple(columns)), frame)
    model = synthesize(table, generator="mst", epsilon=5.0, seed=0).model
    rng = np.random.default_rng(0)
    for outcome, cause in (("visits", "age"), ("age", "visits")):
        with pytest.raises(InvalidValueError, match="without missing values"):
            released_intervals(model, slopes_of=outcome, on=[cause], rng=rng)


def test_what_the_model_cannot_know_is_refused() -> None:
    model = fit(600, seed=0, epsilon=5.0).model
    assert isinstance(model, GraphicalSyntheticModel)
    measured = {frozenset(m.clique) for m in model.measurements if len(m.clique) == 2}
    assert {"visits", "age"} in measured
    assert {"age", "spare"} not in measured
    rng = np.random.default_rng(0)
    for on in ([], ["age", "spare"]):
        with pytest.raises(InvalidValueError, match=r"\(age, spare\).*: age"):
            released_intervals(model, slopes_of="visits", on=on, rng=rng)
    with pytest.raises(InvalidValueError, match="none of these causes is"):
        released_intervals(model, slopes_of="age", on=["spare"], rng=rng)
    with pytest.raises(InvalidValueError, match="numeric column"):
        released_intervals(model, slopes_of="kind", rng=rng)
    with pytest.raises(InvalidValueError, match="other than 'visits'"):
        released_intervals(model, slopes_of="visits", on=["visits"], rng=rng)
    with pytest.raises(InvalidValueError, match="left out without"):
        released_intervals(model, on=["age"], rng=rng)
    with pytest.raises(UnknownNameError):
        released_intervals(model, slopes_of="visits", on=["agee"], rng=rng)
    with pytest.raises(InvalidValueError, match="keeps its noisy measurements"):
        released_intervals(replace(model, measurements=()), rng=rng)


def test_a_pair_that_was_measured_too_coarsely_is_refused() -> None:
    model = fit(600, seed=0, epsilon=5.0).model
    assert isinstance(model, GraphicalSyntheticModel)
    rng = np.random.default_rng(0)
    for halves, told in (
        ((0,) * 6 + (1,) * 6, False),
        ((0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5), True),
    ):
        groups = (halves, None)
        found = [m for m in model.measurements if set(m.clique) != {"visits", "age"}]
        (pair,) = [m for m in model.measurements if set(m.clique) == {"visits", "age"}]
        values = pair.values if pair.clique == ("visits", "age") else pair.values.T
        coarse = np.zeros((max(halves) + 1, 6))
        np.add.at(coarse, np.array(halves), values)
        found.append(
            NoisyMarginal(clique=("visits", "age"), values=coarse, sigma=pair.sigma, groups=groups)
        )
        changed = replace(model, measurements=tuple(found))
        if told:
            *_, slope = released_intervals(changed, slopes_of="visits", on=["age"], rng=rng)
            assert slope.lower < SLOPE < slope.upper
            continue
        with pytest.raises(InvalidValueError, match="finely enough"):
            released_intervals(changed, slopes_of="visits", on=["age"], rng=rng)
