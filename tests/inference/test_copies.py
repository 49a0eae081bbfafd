"""Copies of one fit know of its noise; copies that are taken for real records do not."""

from dataclasses import replace

import numpy as np
import pytest

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.inference import combined_intervals, replicated_intervals
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.inference.copies import copies
from dpsynth.pgm.bootstrap import refits
from tests.inference.law import MEANS, SCHEMA, fit, records

RUNS, ROWS = 40, 300


@pytest.mark.statistical
def test_copies_of_one_fit_cover_the_population() -> None:
    """40 fits at epsilon .5, 7 copies each, seeds 0 to 39: fewer than 32 of 40 hits have
    probability below .001 at coverage .95. Negative control: one copy twice, by the rule for fits
    apart, which sees no noise."""
    hits = dict.fromkeys(["mean of age", "mean of visits", "share of kind = b"], 0)
    truth = {
        "mean of age": MEANS["age"],
        "mean of visits": MEANS["visits"],
        "share of kind = b": 0.28,
    }
    naive = 0
    for seed in range(RUNS):
        synthesis = fit(ROWS, seed=seed, epsilon=0.5)
        made = list(copies(synthesis.model, 7, rng=np.random.default_rng(seed)))
        for found in replicated_intervals(made):
            if found.quantity in truth:
                hits[found.quantity] += found.lower <= truth[found.quantity] <= found.upper
        for found in combined_intervals([made[0]] * 2, rows=ROWS):
            if found.quantity == "share of kind = b":
                naive += found.lower <= truth[found.quantity] <= found.upper
    assert all(hit >= 32 for hit in hits.values()), hits
    assert naive < 32


@pytest.mark.parametrize("generator", ["mst", "two_stage"])
def test_copies_have_the_schema_and_the_rows_that_are_asked_for(generator: str) -> None:
    model = fit(300, seed=1, generator=generator).model
    made = list(copies(model, 3, rows=50, rng=np.random.default_rng(0)))
    again = list(copies(model, 3, rows=50, rng=np.random.default_rng(0)))
    assert [len(table) for table in made] == [50] * 3
    assert all(table.schema.columns == SCHEMA.columns for table in made)
    assert all(a.frame.equals(b.frame) for a, b in zip(made, again, strict=True))
    assert not made[0].frame.equals(made[1].frame)


def test_a_public_number_of_records_stays_what_it_is() -> None:
    model = fit(300, seed=1).model
    assert isinstance(model, GraphicalSyntheticModel)
    for public in (True, False):
        found = refits(
            model.model,
            model.measurements,
            public_total=public,
            draws=2,
            rng=np.random.default_rng(0),
        )
        totals = [fit.total for fit in found]
        assert (len(set(totals)) == 1) is public


def test_the_rule_takes_the_bias_off_and_counts_it_as_an_error() -> None:
    rng = np.random.default_rng(0)
    made = [records(n, rng=rng) for n in (400, 400, 400, 400)]
    found = {i.quantity: i for i in replicated_intervals(made)}["mean of age"]
    ages = [float(np.mean(np.asarray(t.values("age")))) for t in made]
    bias, between = float(np.mean(ages[1:])) - ages[0], float(np.var(ages[1:], ddof=1))
    assert found.value == pytest.approx(ages[0] - bias)
    assert found.within == pytest.approx(bias**2)
    reach = 4.302652729911275 * np.sqrt(4 / 3 * between + bias**2)  # Student's t of 2 degrees
    assert found.upper - found.value == pytest.approx(reach)


def test_too_few_copies_and_models_without_measurements_are_refused() -> None:
    model = fit(300, seed=1).model
    assert isinstance(model, GraphicalSyntheticModel)
    with pytest.raises(InvalidValueError, match="at least 3"):
        copies(model, 2, rng=np.random.default_rng(0))
    with pytest.raises(InvalidValueError, match="noisy measurements"):
        copies(replace(model, measurements=()), 3, rng=np.random.default_rng(0))
    table = records(20, rng=np.random.default_rng(0))
    with pytest.raises(InvalidValueError, match="at least 3"):
        replicated_intervals([table, table])
