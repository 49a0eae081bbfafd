"""Measurements of interactions alone: the fit, the total, arrays, and standard errors."""

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.effects import Effects
from dpsynth.pgm.estimation import estimate, estimate_total
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.measurement import (
    NoisyMarginal,
    beyond_margins,
    measurement_arrays,
    measurements_from,
)
from dpsynth.pgm.objective import Objective
from dpsynth.pgm.refinement import Refinement, refined
from dpsynth.pgm.uncertainty import Uncertainty, shared_out

DOMAIN = Domain(sizes={"a": 6, "b": 4, "c": 2})
A = (0, 0, 1, 1, 1, 2)


def truth(seed: int = 0) -> np.ndarray:
    table = np.random.default_rng(seed).gamma(2.0, 60.0, DOMAIN.shape)
    return np.rint(3000.0 * table / table.sum())


def ones(table: np.ndarray, *, sigma: float = 0.5) -> list[NoisyMarginal]:
    sums = table.sum(axis=(1, 2)), table.sum(axis=(0, 2)), table.sum(axis=(0, 1))
    return [
        NoisyMarginal(clique=(name,), values=values, sigma=sigma)
        for name, values in zip("abc", sums, strict=True)
    ]


def interactions(
    values: np.ndarray, clique: tuple[str, ...], *, sigma: float = 0.5, groups: tuple = ()
) -> NoisyMarginal:
    centred = beyond_margins(values)
    return NoisyMarginal(clique=clique, values=centred, sigma=sigma, groups=groups, centred=True)


def test_with_one_ways_they_are_the_marginal() -> None:
    table = truth()
    pair = table.sum(axis=2)
    for measured in (interactions(pair, ("a", "b")), interactions(pair.T, ("b", "a"))):
        model = estimate(DOMAIN, [*ones(table), measured], total=table.sum(), steps=1000)
        assert model.marginal(("a", "b")) == pytest.approx(pair, abs=0.5)
    whole = interactions(table, ("a", "b", "c"))
    model = estimate(DOMAIN, [*ones(table), whole], total=table.sum(), steps=1000)
    assert model.marginal(("a", "b", "c")) == pytest.approx(table, abs=0.5)


def test_with_the_number_of_records_those_of_one_attribute_are_its_marginal() -> None:
    table = truth(4)
    singles = [interactions(m.values, m.clique) for m in ones(table)]
    model = estimate(DOMAIN, singles, total=table.sum(), steps=1000)
    effects = Effects.of(DOMAIN, singles, total=table.sum())
    for whole in ones(table):
        assert model.marginal(whole.clique) == pytest.approx(whole.values, abs=0.5)
        assert effects.marginal(whole.clique) == pytest.approx(whole.values)
    assert () not in Effects.of(DOMAIN, singles, total=None).effects


def test_they_say_nothing_of_one_ways() -> None:
    """The same answer fits beside other one-ways, which stay what they are."""
    table, other = truth(1), truth(2)
    shown = [*ones(other, sigma=1e-2), interactions(0.05 * table.sum(axis=2), ("a", "b"))]
    model = estimate(DOMAIN, shown, total=other.sum(), steps=1000)
    found = model.marginal(("a", "b"))
    assert found.sum(axis=1) == pytest.approx(other.sum(axis=(1, 2)), abs=0.5)
    assert beyond_margins(found) == pytest.approx(shown[-1].values, abs=0.5)


def test_in_groups_and_beside_the_marginal_of_the_same_clique() -> None:
    table = truth(3)
    sums = np.zeros((3, 4))
    np.add.at(sums, np.array(A), table.sum(axis=2))
    coarse = interactions(sums, ("a", "b"), groups=(A, None))
    rough = NoisyMarginal(clique=("a", "b"), values=table.sum(axis=2) + 9.0, sigma=30.0)
    model = estimate(DOMAIN, [*ones(table), coarse, rough], total=table.sum(), steps=1000)
    found = np.zeros((3, 4))
    np.add.at(found, np.array(A), model.marginal(("a", "b")))
    assert found == pytest.approx(sums, abs=0.5)


def test_expected_values_are_the_slope_of_the_log_partition() -> None:
    table = truth(4)
    measured = [*ones(table), interactions(table.sum(axis=1), ("a", "c"))]
    tree = JunctionTree.build(DOMAIN, [m.clique for m in measured])
    base = [np.zeros(DOMAIN.project(c).shape) for c in tree.cliques]
    objective = Objective.of(tree, measured, base=base, total=3000.0)
    at = 0.1 * np.random.default_rng(0).normal(size=len(objective.targets))
    expected = objective.margins.beyond(objective.counts(at)[1])
    for i in range(len(at)):
        step = np.zeros(len(at))
        step[i] = 1e-5
        ends = [objective.counts(at + sign * step)[0] for sign in (1, -1)]
        assert expected[i] == pytest.approx(3000.0 * (ends[0] - ends[1]) / 2e-5, abs=1e-2)


def test_they_have_no_total() -> None:
    table = truth()
    measured = [*ones(table, sigma=5.0), interactions(table.sum(axis=2), ("a", "b"), sigma=0.01)]
    assert estimate_total(measured) == pytest.approx(table.sum())
    assert estimate_total(measured[-1:]) == 1.0


def test_a_structural_zero_beside_them_stays_one() -> None:
    table = truth(5)
    table[0, 0] = 0.0
    zeros = np.zeros((6, 4), dtype=bool)
    zeros[0, 0] = True
    pair = interactions(table.sum(axis=2), ("a", "b"))
    model = estimate(
        DOMAIN, [*ones(table), pair], total=table.sum(), impossible={("a", "b"): zeros}, steps=1000
    )
    assert model.marginal(("a", "b"))[0, 0] == 0.0
    assert model.marginal(("a", "b")) == pytest.approx(table.sum(axis=2), abs=0.5)


def test_arrays_say_which_they_are() -> None:
    table = truth()
    measured = [*ones(table), interactions(table.sum(axis=2), ("a", "b"))]
    arrays = measurement_arrays(DOMAIN, measured)
    assert [m.centred for m in measurements_from(DOMAIN, arrays)] == [False] * 3 + [True]
    older = {name: array for name, array in arrays.items() if name != "measured_centred"}
    assert not any(m.centred for m in measurements_from(DOMAIN, older))
    with pytest.raises(InvalidValueError, match="measured_centred"):
        measurements_from(DOMAIN, {**arrays, "measured_centred": np.array([True])})


def test_least_squares_take_one_ways_from_where_they_were_measured() -> None:
    table = truth(6)
    pair = interactions(table.sum(axis=2), ("a", "b"), sigma=2.0)
    alone = Effects.of(DOMAIN, [pair], total=None)
    assert not alone.covers(("a", "b"))
    both = Effects.of(DOMAIN, [*ones(table, sigma=3.0), pair], total=None)
    assert both.covers(("a", "b"))
    assert both.marginal(("a", "b")) == pytest.approx(table.sum(axis=2))
    kept = (1 - 1 / 6) * (1 - 1 / 4)
    assert both.variance(("a", "b")) > 4.0 * kept
    assert both.effects["a", "b"].variance == pytest.approx(4.0)


def test_groups_that_are_as_the_model_has_them_are_shared_out_as_it_does() -> None:
    table = truth(8)
    model = estimate(DOMAIN, [*ones(table), interactions(table.sum(axis=2), ("a", "b"))])
    sums = np.zeros((3, 4))
    np.add.at(sums, np.array(A), model.marginal(("a", "b")))
    found = shared_out(model, interactions(sums.T, ("b", "a"), sigma=4.0, groups=(None, A)))
    assert found.centred
    assert found.values == pytest.approx(model.marginal(("a", "b")))
    more = np.zeros((4, 3))
    more[0, 0], more[1, 0], more[0, 1], more[1, 1] = 8.0, -8.0, -8.0, 8.0
    other = shared_out(model, interactions(sums.T + more, ("b", "a"), groups=(None, A)))
    change = (other.values - found.values)[:2].sum(axis=0)
    assert change[:2] == pytest.approx([8.0, -8.0])


def test_an_attribute_that_nothing_shows_alone_is_named() -> None:
    table = truth()
    measured = [*ones(table)[1:], interactions(table.sum(axis=2), ("a", "b"))]
    model = estimate(DOMAIN, measured, total=table.sum())
    unsure = Uncertainty(
        model=model, measurements=measured, public_total=False, rng=np.random.default_rng(0)
    )
    with pytest.raises(InvalidValueError, match="measured alone too"):
        unsure.marginals([("a", "b")])


@pytest.mark.statistical
@pytest.mark.slow
@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_cover_at_their_rate(grouped: bool) -> None:
    """300 noisy fits, seed 12: the rate of 95% intervals for all cells of the pair that was
    measured, of codes or of groups of codes that one-ways show only code by code, must lie within
    .93 to .97 (12 or 24 dependent cells a fit: a standard deviation of .005 or less); control:
    intervals of a tenth of the width cover less than .2."""
    rng = np.random.default_rng(12)
    table = truth(7)[:, :, 0] + truth(7)[:, :, 1]
    codes = Domain(sizes={"a": 6, "b": 4})
    groups = np.array(A)
    sums = np.zeros((3, 4))
    np.add.at(sums, groups, table)
    exact, first = (sums, "g") if grouped else (table, "a")
    hits, narrow = [], []
    for _ in range(300):
        single = [
            NoisyMarginal(clique=(name,), values=of + rng.normal(0.0, 12.0, of.shape), sigma=12.0)
            for name, of in (("a", table.sum(axis=1)), ("b", table.sum(axis=0)))
        ]
        pair = interactions(exact + rng.normal(0.0, 9.0, exact.shape), (first, "b"), sigma=9.0)
        model = estimate(codes, [*single, pair]) if not grouped else None
        if model is None:
            merged = np.bincount(groups, single[0].values).astype(np.float64)
            known = [NoisyMarginal(clique=("g",), values=merged, sigma=17.0), single[1], pair]
            of_groups = estimate(Domain(sizes={"g": 3, "b": 4}), known)
            link = Refinement(attribute="a", groups=groups, counts=single[0].values)
            model = refined(of_groups, codes, {"g": link})
        measured = [*single, pair]
        unsure = Uncertainty(model=model, measurements=measured, public_total=False, rng=rng)
        found = unsure.marginals([(first, "b")])[first, "b"]
        miss = np.abs(found.unbiased - exact) / found.standard_error
        hits.append(np.mean(miss < 1.96))
        narrow.append(np.mean(miss < 0.196))
    assert 0.93 <= np.mean(hits) <= 0.97
    assert np.mean(narrow) < 0.2
