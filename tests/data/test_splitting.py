"""Bins are split where constraints need an edge: what codes mean stays, and nothing is cut."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.binning import code_values, float_edges, integer_edges
from dpsynth.data.clock import Clock
from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.constraints import Combinations, Determines, Forbidden, Within
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.data.splitting import split, widened
from dpsynth.data.table import Table
from dpsynth.data.values import value_law

AGE = IntegerColumn(name="age", lower=0, upper=39, bins=4, missing=True)
PAY = FloatColumn(name="pay", lower=0.0, upper=100.0, bins=5)
WORK = CategoricalColumn(name="work", categories=("none", "full"))
AFTER = float(np.nextafter(20, 21))


@pytest.mark.parametrize(
    ("constraint", "ages", "pays"),
    [
        (Forbidden(when={"age": "<16", "work": "full"}), {16}, set()),
        (Within(when={"work": "none"}, then={"pay": "<=20", "age": ">=7, <30"}), {7}, {AFTER}),
        (Determines(columns=("pay",), determined="work", mapping=((20, "none"),)), set(), {AFTER}),
        (Combinations(columns=("age", "pay"), allowed=((("<5", 12), ">2.5"),)), {5, 12, 13}, {2.5}),
        (Forbidden(when={"age": "<20", "pay": "<40"}), set(), set()),
    ],
)
def test_bins_that_a_condition_cuts_are_split_there(
    constraint: Any, ages: set[int], pays: set[float]
) -> None:
    schema = Schema(columns=(AGE, PAY, WORK), constraints=(constraint,))
    age, pay, work = schema.columns
    assert isinstance(age, IntegerColumn)
    assert isinstance(pay, FloatColumn)
    assert set(integer_edges(age)) == set(integer_edges(AGE)) | ages
    expected = {np.nextafter(p, 9) if p == 2.5 else p for p in pays}
    assert set(float_edges(pay)) == set(float_edges(PAY)) | expected
    assert work is WORK
    assert (age is AGE, pay is PAY) == (not ages, not pays)
    assert Schema.from_toml(schema.to_toml()) == schema


def test_moments_are_split_too() -> None:
    dates: Any = {"lower": "2020-01-01", "upper": "2020-12-31"}
    day = IntegerColumn(name="day", bins=4, clock=Clock(kind="date"), **dates)
    forbidden = Forbidden(when={"day": ">=2020-07-15", "work": "full"})
    schema = Schema(columns=(day, WORK), constraints=(forbidden,))
    found = schema.column("day")
    assert isinstance(found, IntegerColumn)
    assert found.clock == day.clock
    assert day.clock is not None
    assert day.clock.tick("day", "x", "2020-07-15") in integer_edges(found)


def test_records_and_samples_keep_a_constraint_that_cuts_a_bin() -> None:
    rng = np.random.default_rng(0)
    schema = Schema(
        columns=(AGE, PAY, WORK),
        constraints=(
            Forbidden(when={"age": "<16", "work": "full"}),
            Within(when={"work": "none"}, then={"pay": "<=20"}),
        ),
    )
    codes = np.stack([rng.integers(0, c.size, 4000) for c in schema.columns], axis=1)
    wrong = np.zeros(4000, dtype=bool)
    for clique, zeros in schema.rules.impossible.items():
        wrong |= zeros[tuple(codes[:, schema.names.index(a)] for a in clique)]
    assert 0 < wrong.sum() < 4000
    frame = Codec(schema=schema).decode(codes, rng=rng).frame
    full, age = frame["work"] == "full", frame["age"]
    broken = (full & (age < 16).fillna(False)) | (~full & (frame["pay"] > 20))
    assert (broken == wrong).all()  # codes decide
    kept = Table.from_frame(schema, frame[~wrong])
    assert (Codec(schema=schema).encode(kept) == codes[~wrong]).all()


@pytest.mark.parametrize("whole", [True, False])
def test_the_spread_of_values_stays(whole: bool) -> None:
    """The share of a bin's values on each side of a cut is that of its pieces."""
    pieces = ((0.0, 4.0, 1.0), (6.0, 6.0 + whole, 2.0), (8.0, 10.0, 1.0), (10.0, 20.0, 5.0))
    ends: Mapping[str, Any] = {"name": "x", "lower": 0, "upper": 20 - whole, "pieces": pieces}
    column = IntegerColumn(bins=2, **ends) if whole else FloatColumn(bins=2, **ends)
    found = split(column, [3.0, 6.0, 15.0])
    assert not isinstance(found, CategoricalColumn)
    first, _ = code_values(found)
    assert first.tolist() == [0, 3, 6, 10, 15]
    assert found.pieces == (
        (0.0, 3.0, 0.75),
        (3.0, 4.0, 0.25),
        *pieces[1:3],
        (10.0, 15.0, 2.5),
        (15.0, 20.0, 2.5),
    )
    for low, high in ((0, 2), (3, 5), (6, 9), (10, 14)):
        limits = (low, high if whole else high + 1 - 1e-9)
        apart = value_law(found, limits).mass
        assert (apart > 1 - 1e-6).sum() == 1
    assert split(column, [10.0, 20.0, -3.0, 99.0]) is column


@pytest.mark.parametrize(
    ("column", "bounds", "ends"),
    [
        (IntegerColumn(name="x", lower=0, upper=3), (-2, 5), [-2, 0, 1, 2, 3, 4, 6]),
        (IntegerColumn(name="x", lower=0, upper=39, bins=2), (0, 99), [0, 20, 40, 100]),
        (IntegerColumn(name="x", lower=4, upper=4), (3, 4), [3, 4, 5]),
        (FloatColumn(name="x", lower=0, upper=4, bins=2), (-1, 4), [-1, 0, 2, 4]),
        (FloatColumn(name="x", lower=2, upper=2), (1, 2), [1, 2]),
        (FloatColumn(name="x", lower=2, upper=2), (2, 9), [2, np.nextafter(2, 3), 9]),
        (
            FloatColumn(name="x", lower=0, upper=4, bins=2),
            (0, 9),
            [0, 2, np.nextafter(4, 5), 9],
        ),
        (
            FloatColumn(name="x", lower=0, upper=4, bins=2),
            (0, np.nextafter(4, 5)),
            [0, 2, np.nextafter(4, 5)],
        ),
    ],
)
def test_bounds_move_outwards_and_bins_stay(
    column: Any, bounds: tuple[float, float], ends: list[float]
) -> None:
    found = widened(column, *bounds)
    edges = integer_edges(found) if isinstance(found, IntegerColumn) else float_edges(found)
    assert edges.tolist() == ends
    assert (found.lower, found.upper) == bounds
    assert widened(column, column.lower + 1, column.upper - 1) is column


def test_what_was_the_largest_value_stays_in_its_bin() -> None:
    column = FloatColumn(name="x", lower=0, upper=4, bins=2, pieces=((4.0, 4.0, 1.0),))
    found = widened(column, 0, 9)
    assert isinstance(found, FloatColumn)
    schema = Schema(columns=(found,))
    codes = Codec(schema=schema).encode(Table.from_frame(schema, pd.DataFrame({"x": [4.0, 4.5]})))
    assert codes[:, 0].tolist() == [1, 2]
