"""Tables: values are converted, clipped, sent to the declared category, or refused by name."""

import pickle
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.data import conform, encoding
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, UnknownNameError

AGE = IntegerColumn(name="age", lower=0, upper=100)
SEX = CategoricalColumn(name="sex", categories=("m", "f"))
HEIGHT = FloatColumn(name="height", lower=0, upper=2.5)
SCHEMA = Schema(columns=(AGE, SEX, HEIGHT))
FRAME = pd.DataFrame({"height": [1.5, 2], "age": [34, 101 - 1], "sex": ["f", "m"]})


def conformed(column: Column, values: Any) -> list[Any]:
    frame = pd.DataFrame({column.name: values})
    return Table.from_frame(Schema(columns=(column,)), frame).frame[column.name].tolist()


def test_columns_take_the_schemas_order_and_types() -> None:
    frame = Table.from_frame(SCHEMA, FRAME).frame
    assert frame.columns.tolist() == ["age", "sex", "height"]
    assert frame["age"].dtype == np.int64
    assert frame["height"].dtype == np.float64
    assert frame["sex"].cat.categories.tolist() == ["m", "f"]
    assert frame["sex"].tolist() == ["f", "m"]


def test_a_table_shows_no_records_and_not_their_number() -> None:
    assert repr(Table.from_frame(SCHEMA, FRAME)) == repr(Table.from_frame(SCHEMA, FRAME.head(1)))
    assert "34" not in repr(Table.from_frame(SCHEMA, FRAME))


def test_writing_to_the_frame_does_not_reach_the_table() -> None:
    source = FRAME.copy()
    table = Table.from_frame(SCHEMA, source)
    copy = table.frame
    copy.loc[0, "age"] = 7
    source.loc[0, "height"] = 0.1
    assert table.frame["age"].tolist() == [34, 100]
    assert table.frame["height"].tolist() == [1.5, 2.0]


def test_records_are_taken_in_order_and_outside_ones_refused() -> None:
    table = Table.from_frame(SCHEMA, FRAME)
    assert table.take(np.array([1, 0, 1])).frame["age"].tolist() == [100, 34, 100]
    for indices in ([], [2], [-1]):
        with pytest.raises(DataError):
            table.take(np.array(indices, dtype=int))


def test_a_table_survives_pickling() -> None:
    table = pickle.loads(pickle.dumps(Table.from_frame(SCHEMA, FRAME)))
    assert table.schema == SCHEMA
    assert len(table) == 2


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (AGE, ["1", " 2", "3.0"], [1, 2, 3]),
        (AGE, [1.0, 2.0], [1, 2]),
        (AGE, pd.array([1, 2], dtype="Int8"), [1, 2]),
        (AGE, pd.Categorical([5, 4]), [5, 4]),
        (AGE, np.array([7], dtype=np.uint64), [7]),
        (HEIGHT, ["1e0", "2"], [1.0, 2.0]),
        (HEIGHT, np.array([0.5], dtype=np.float32), [0.5]),
        (SEX, pd.Categorical(["f", "m"], categories=["f", "q", "m"]), ["f", "m"]),
        (CategoricalColumn(name="c", categories=(0, 1)), ["1", 0, 1.0, "0.0"], [1, 0, 1, 0]),
        (CategoricalColumn(name="c", categories=("1", "2")), [2, 1], ["2", "1"]),
        (CategoricalColumn(name="c", categories=("1", "2")), [2.0, 1.0], ["2", "1"]),
        (CategoricalColumn(name="c", categories=(True, False)), ["TRUE", False], [True, False]),
        (CategoricalColumn(name="c", categories=("True", "no")), [True, "no"], ["True", "no"]),
        (CategoricalColumn(name="c", categories=("NA", "None")), ["NA", "None"], ["NA", "None"]),
    ],
)
def test_values_are_understood(column: Column, values: Any, expected: list[Any]) -> None:
    assert conformed(column, values) == expected


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        (AGE, 101, "between 0 and 100"),
        (AGE, -1, "between 0 and 100"),
        (AGE, float("inf"), "between"),
        (AGE, 3.5, "whole numbers"),
        (AGE, "old", "must be numbers"),
        (AGE, True, "must be numbers"),
        (AGE, None, "missing = false"),
        (AGE, "", "missing = false"),
        (AGE, datetime(2020, 1, 1), "must be numbers"),
        (AGE, pd.array([None, True], dtype="boolean")[1], "must be numbers"),
        (AGE, [1], "texts, numbers or truth values"),
        (HEIGHT, float("nan"), "missing = false"),
        (HEIGHT, 2.6, "between 0.0 and 2.5"),
        (HEIGHT, 1j, "must be numbers"),
        (SEX, "x", "one of the 2 categories"),
        (SEX, None, "missing = false"),
        (SEX, {"a": 1}, "texts, numbers or truth values"),
        (SEX, pd.NaT, "missing = false"),
        (CategoricalColumn(name="c", categories=(0, 1)), True, "one of the 2 categories"),
        (CategoricalColumn(name="c", categories=(True, False)), 1, "one of the 2 categories"),
        (CategoricalColumn(name="c", categories=(0, 1)), "1.5", "one of the 2 categories"),
    ],
)
@pytest.mark.parametrize("mixed", [False, True], ids=["own type", "object"])
def test_values_that_the_schema_forbids_are_named(
    column: Column, value: Any, rule: str, mixed: bool
) -> None:
    values = pd.Series([value], dtype=object if mixed else None)
    with pytest.raises(DataError, match=rule) as refusal:
        conformed(column, values)
    assert f"column {column.name!r}" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_missing_values_are_kept_where_they_are_allowed() -> None:
    schema = Schema(
        columns=(
            IntegerColumn(name="i", lower=0, upper=9, missing=True),
            FloatColumn(name="f", lower=0, upper=9, missing=True),
            CategoricalColumn(name="c", categories=("a",), missing=True),
        )
    )
    frame = pd.DataFrame({"i": [1, None, ""], "f": ["", None, 2], "c": ["a", "", np.nan]})
    table = Table.from_frame(schema, frame).frame
    assert table.isna().to_numpy().tolist() == [
        [False, True, False],
        [True] * 3,
        [True, False, True],
    ]
    assert table["i"].dtype == "Int64"
    assert table["f"].dtype == np.float64


def test_values_outside_are_clipped_or_sent_to_the_declared_category() -> None:
    clipped = IntegerColumn(name="x", lower=0, upper=9, on_invalid="clip")
    assert conformed(clipped, [-5, 3, 1e300, -np.inf]) == [0, 3, 9, 0]
    real = FloatColumn(name="x", lower=0, upper=1, on_invalid="clip")
    assert conformed(real, [-0.1, 0.5, np.inf]) == [0.0, 0.5, 1.0]
    other = CategoricalColumn(name="x", categories=("a", "rest"), on_invalid="other", other="rest")
    assert conformed(other, ["a", "b", 3]) == ["a", "rest", "rest"]
    with pytest.raises(DataError, match="missing = false"):
        conformed(other, ["a", None])


def test_long_columns_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (
        IntegerColumn(name="age", lower=0, upper=9, missing=True),
        IntegerColumn(name="size", lower=0, upper=3, on_invalid="clip"),
        CategoricalColumn(name="sex", categories=("m", "f"), missing=True),
        FloatColumn(name="height", lower=0, upper=2, missing=True),
    )
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": pd.array(rng.integers(0, 10, 100), dtype="Int64"),
            "size": rng.integers(0, 6, 100, dtype=np.uint8),
            "sex": rng.choice(np.array(["f", "m", None], dtype=object), 100),
            "height": rng.random(100),
        }
    )
    frame.loc[[3, 50], ["age", "height"]] = None
    frame["sex"] = frame["sex"].astype("category")  # in another order than declared
    whole = Table.from_frame(Schema(columns=columns), frame)
    codes = Codec(schema=whole.schema).encode(whole)
    for module in (conform, encoding):
        monkeypatch.setattr(module, "CHUNK", 7)
    parts = Table.from_frame(Schema(columns=columns), frame)
    pd.testing.assert_frame_equal(parts.frame, whole.frame)
    assert np.array_equal(Codec(schema=parts.schema).encode(parts), codes)
    # Truth values and numbers are told apart though no part holds both.
    mixed = pd.Series([True] * 20 + [1] * 20, dtype=object)
    with pytest.raises(DataError, match="one kind"):
        conformed(CategoricalColumn(name="x", categories=(1, 2)), mixed)


def test_columns_must_be_those_of_the_schema() -> None:
    with pytest.raises(UnknownNameError, match="column of the schema 'agee'; did you mean 'age'"):
        Table.from_frame(SCHEMA, FRAME.assign(agee=1))
    with pytest.raises(UnknownNameError, match="column of the table 'age'; did you mean 'agee'"):
        Table.from_frame(SCHEMA, FRAME.rename(columns={"age": "agee"}))
    twice = pd.concat([FRAME, FRAME[["age"]]], axis=1)
    with pytest.raises(DataError, match="names must be unique"):
        Table.from_frame(SCHEMA, twice)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        Table.from_frame(SCHEMA, FRAME.head(0))
    with pytest.raises(DataError, match="pandas DataFrame"):
        Table.from_frame(SCHEMA, {"age": [1]})  # pyright: ignore[reportArgumentType]


def test_the_smallest_tables_work() -> None:
    assert conformed(CategoricalColumn(name="x", categories=("only",)), ["only"]) == ["only"]
    assert conformed(FloatColumn(name="x", lower=2, upper=2), [2, 2]) == [2.0, 2.0]
    assert conformed(IntegerColumn(name="0", lower=2, upper=2), [2]) == [2]
    numbered = pd.DataFrame([[1, 0]])
    schema = Schema(columns=tuple(IntegerColumn(name=n, lower=0, upper=1) for n in ("1", "0")))
    assert Table.from_frame(schema, numbered).frame.to_numpy().tolist() == [[0, 1]]


def test_the_index_of_the_frame_plays_no_part() -> None:
    frame = FRAME.set_axis([7, 7], axis="index")
    assert Table.from_frame(SCHEMA, frame).frame.index.tolist() == [0, 1]


def test_truth_values_may_have_gaps_but_are_no_numbers() -> None:
    column = CategoricalColumn(name="x", categories=(False, True), missing=True)
    table = Table.from_frame(
        Schema(columns=(column,)), pd.DataFrame({"x": [True, np.nan, "false"]})
    )
    assert table.values("x").codes.tolist() == [1, -1, 0]
    with pytest.raises(DataError, match="of one kind"):
        conformed(column, [True, 0])
