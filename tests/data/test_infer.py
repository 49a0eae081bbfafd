"""Drafted schemas: only for data declared public, and every record fits them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import pandas as pdst

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.infer import infer_schema, kinds_of
from dpsynth.data.open_schema import parse_schema
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, PrivacyError

INTEGERS = st.integers(1 - 2**53, 2**53 - 1)
TEXTS = st.text(min_size=1, max_size=5)


def draft(values: Any) -> Column:
    return infer_schema(pd.DataFrame({"x": values}), public=True).columns[0]


def test_a_draft_needs_the_word_that_declares_the_data_public() -> None:
    with pytest.raises(PrivacyError, match="--public"):
        infer_schema(pd.DataFrame({"x": [1]}), public=False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 1, 2], IntegerColumn(name="x", lower=1, upper=3)),
        ([3, 1, None], IntegerColumn(name="x", lower=1, upper=3, missing=True)),
        ([0.5, 2], FloatColumn(name="x", lower=0.5, upper=2, decimals=1)),
        ([1.0, 2.0], FloatColumn(name="x", lower=1, upper=2, decimals=0)),
        ([0, 1, 10**6], CategoricalColumn(name="x", categories=(0, 1, 10**6))),
        (["b", "a", ""], CategoricalColumn(name="x", categories=("a", "b"), missing=True)),
        ([True, True], CategoricalColumn(name="x", categories=(False, True))),
        ([True, None], CategoricalColumn(name="x", categories=(False, True), missing=True)),
        (pd.Categorical(["u"], ["u", "v"]), CategoricalColumn(name="x", categories=("u", "v"))),
        (["1", "x", 2.0], CategoricalColumn(name="x", categories=("1", "2", "x"))),
        ([7, 7], IntegerColumn(name="x", lower=7, upper=7)),
    ],
)
def test_kinds_bounds_and_categories_are_drafted(values: Any, expected: Column) -> None:
    assert draft(values) == expected


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ([None, None], "without any value"),
        ([1.0, np.inf], "finite"),
        ([True, 1, "x"], "of one kind"),
        ([1.0, np.inf, None], "finite"),
        ([f"name {i}" for i in range(1001)], "free text"),
        ([2**60 + i for i in range(30)], "drop identifiers"),
        ([pd.Period("2020-01")], "texts, numbers, times and truth values"),
        ([[1], [2]], "texts, numbers or truth values"),
        ([], "at least one value"),
    ],
)
def test_columns_without_a_draft_are_named(values: Any, rule: str) -> None:
    with pytest.raises(DataError, match=rule):
        draft(values)


def test_everything_measured_is_listed_and_survives_toml() -> None:
    frame = pd.DataFrame({"age": [1, 2], "sex": ["f", "m"]})
    schema = infer_schema(frame, public=True)
    assert schema.inferred == (
        "age.kind",
        "age.lower",
        "age.upper",
        "age.missing",
        "sex.kind",
        "sex.categories",
        "sex.missing",
    )
    assert Schema.from_toml(schema.to_toml()) == schema


@given(
    frame=pdst.data_frames(
        [
            pdst.column("i", elements=INTEGERS),
            pdst.column("f", elements=st.floats(-1e300, 1e300)),
            pdst.column("g", elements=st.one_of(st.just(np.nan), st.integers(-9, 9)), dtype=float),
            pdst.column("b", dtype=bool),
            pdst.column("t", elements=st.one_of(st.none(), TEXTS), dtype=object),
            pdst.column("m", elements=st.one_of(INTEGERS, TEXTS), dtype=object),
            pdst.column("n", elements=st.one_of(st.booleans(), TEXTS), dtype=object),
        ],
        index=pdst.range_indexes(min_size=1, max_size=6),
    )
)
@settings(max_examples=25, deadline=None)
def test_records_fit_the_schema_drafted_from_them(frame: pd.DataFrame) -> None:
    schema = infer_schema(frame.dropna(axis="columns", how="all"), public=True)
    frame = frame[list(schema.names)]
    table = Table.from_frame(schema, frame)
    Codec(schema=schema).encode(table)
    assert (table.frame["i"] == frame["i"]).all()


def test_times_decimals_and_identifiers_are_recognised() -> None:
    frame = pd.DataFrame(
        {
            "day": ["2020-01-05", "2021-02-03", None],
            "when": pd.Series(
                ["2020-01-05T10:00", "2021-02-03T11:30", None], dtype="datetime64[s]"
            ),
            "took": pd.Series([3600, 7200, None], dtype="timedelta64[s]"),
            "price": [1.25, 3.5, 10.0],
        }
    )
    day, when, took, price = infer_schema(frame, public=True).columns
    assert isinstance(day, IntegerColumn)
    assert isinstance(when, IntegerColumn)
    assert isinstance(took, IntegerColumn)
    assert isinstance(price, FloatColumn)
    kinds = [column.clock.kind for column in (day, when, took) if column.clock is not None]
    assert kinds == ["date", "datetime", "duration"]
    assert price.decimals == 2
    assert Table.from_frame(infer_schema(frame, public=True), frame).frame["day"].isna()[2]
    with pytest.raises(DataError, match="is an identifier; drop it"):
        infer_schema(pd.DataFrame({"id": range(100, 200)}), public=True)


def test_kinds_say_nothing_of_values() -> None:
    values = {
        "n": [1, 2],
        "x": [0.5, None],
        "t": ["a", "b"],
        "d": ["2020-01-05", "2021-02-03"],
        "b": [True, False],
        "gap": [True, None],
    }
    found = kinds_of(pd.DataFrame(values))
    other = {
        "n": [7, 900],
        "x": [None, 3e9],
        "t": ["zz", None],
        "d": ["1920-01-05", "1999-12-31"],
        "b": [True, True],
        "gap": [None, False],
    }
    assert kinds_of(pd.DataFrame(other)) == found
    assert parse_schema(found.to_toml()) == found
    kinds = [f"{name}.kind" for name in values]
    assert found.settings["inferred"] == (*kinds, "n.missing", "b.missing")
    with pytest.raises(DataError, match="a draft takes"):
        kinds_of(pd.DataFrame({"z": [1j]}, dtype=object))
