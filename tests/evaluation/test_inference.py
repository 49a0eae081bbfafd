"""Combined intervals cover the population, with noise in every fit; gains are not made up."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.schema import CategoricalColumn, FloatColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.augmentation import augmentation_gain
from dpsynth.evaluation.inference import Combined, combined_intervals, interval_coverage
from tests.evaluation.laws import ILL, corrupt, draw

SCHEMA = Schema(columns=(CategoricalColumn(name="kind", categories=("a", "b")),))
SHARE, ROWS, COPIES, RUNS = 0.3, 400, 5, 120
NOISE = 0.05


def copies(rng: np.random.Generator, *, apart: bool) -> list[Table]:
    """Return copies whose fits have noise of deviation NOISE in the share: their own, or one."""
    real = rng.binomial(ROWS, SHARE) / ROWS
    noise = rng.normal(0, NOISE, size=COPIES) if apart else np.full(COPIES, rng.normal(0, NOISE))
    made = [rng.random(ROWS) < np.clip(real + e, 0, 1) for e in noise]
    return [
        Table.from_frame(SCHEMA, pd.DataFrame({"kind": np.where(rows, "a", "b")})) for rows in made
    ]


@pytest.mark.statistical
def test_intervals_cover_the_population_when_fits_are_apart() -> None:
    """120 runs, seed 0: fewer than 105 hits have probability below .001 at coverage .95. Negative
    control: copies of one fit, whose common noise no copy can tell."""
    rng = np.random.default_rng(0)
    hits = {True: 0, False: 0}
    for apart in hits:
        for _ in range(RUNS):
            first = combined_intervals(copies(rng, apart=apart), rows=ROWS)[0]
            hits[apart] += first.lower <= SHARE <= first.upper
    assert hits[True] >= 105
    assert hits[False] < 105


def test_slopes_are_those_of_least_squares() -> None:
    rng = np.random.default_rng(1)
    columns = tuple(FloatColumn(name=c, lower=0.0, upper=1.0, bins=50) for c in "xy")
    schema = Schema(columns=columns)
    tables = []
    for _ in range(3):
        x = rng.random(2000)
        y = np.clip(0.2 + 0.5 * x + rng.normal(0, 0.05, 2000), 0, 1)
        tables.append(Table.from_frame(schema, pd.DataFrame({"x": x, "y": y})))
    found = {c.quantity: c for c in combined_intervals(tables, rows=2000, slopes_of="y")}
    slope = found["slope of y on x"]
    assert slope.lower < 0.5 < slope.upper
    assert slope.upper - slope.lower < 0.05
    assert found["mean of x"].value == pytest.approx(0.5, abs=0.02)


def test_coverage_counts_the_quantities_of_the_population() -> None:
    population = Table.from_frame(SCHEMA, pd.DataFrame({"kind": ["a"] * 3 + ["b"] * 7}))

    def interval(category: str, lower: float, upper: float) -> Combined:
        quantity = f"share of kind = {category}"
        return Combined(
            quantity=quantity, value=0.5, lower=lower, upper=upper, between=0.0, within=0.0
        )

    found = interval_coverage([interval("a", 0.2, 0.4), interval("b", 0.1, 0.6)], population)
    assert found == {"share": (1, 2)}
    with pytest.raises(InvalidValueError, match="kind = c"):
        interval_coverage([interval("c", 0.0, 1.0)], population)


def test_noise_is_no_gain_and_records_of_the_law_are_one() -> None:
    rng = np.random.default_rng(2)
    few, test = draw(40, rng=rng), draw(1500, rng=rng)
    useful = augmentation_gain(few, draw(1500, rng=rng), test, target=ILL, rng=rng)
    assert useful.claimed
    assert useful.gain == pytest.approx(useful.augmented - useful.real)
    noise = corrupt(draw(1500, rng=rng), 1.0, rng=rng)
    useless = augmentation_gain(draw(800, rng=rng), noise, test, target=ILL, rng=rng)
    assert not useless.claimed
    assert useless.lower < useless.gain < useless.upper


def test_what_cannot_be_told_is_refused() -> None:
    table = draw(20, rng=np.random.default_rng(3))
    with pytest.raises(InvalidValueError, match="copies"):
        combined_intervals([table], rows=20)
    with pytest.raises(InvalidValueError, match="slopes_of"):
        combined_intervals([table, table], rows=20, slopes_of="region")
    with pytest.raises(InvalidValueError, match="rows"):
        combined_intervals([table, table], rows=0)
