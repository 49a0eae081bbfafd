"""Frames of unusual types and names: taken for what they hold, or refused with nothing spent."""

from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import dpsynth
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DpsynthError
from tests.doors import check_sentence, counted_charges

INTEGER = IntegerColumn(name="a", lower=0, upper=9)
GAPS = IntegerColumn(name="a", lower=0, upper=9, missing=True)
FLOAT = FloatColumn(name="a", lower=0, upper=9)
LARGE = IntegerColumn(name="a", lower=0, upper=2**53 - 1)
TEXT = CategoricalColumn(name="a", categories=("x", "y"))
CODE = CategoricalColumn(name="a", categories=(0, 1, 10))
TRUTH = CategoricalColumn(name="a", categories=(False, True))


def arrow(values: Any) -> Any:
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([values]))


def objects(*values: Any) -> pd.Series:
    return pd.Series(list(values), dtype=object)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (GAPS, pd.array([1, None], dtype="Int8"), [1, pd.NA]),
        (GAPS, arrow(pa.array([1, None])), [1, pd.NA]),
        (GAPS, objects(1, None, np.nan, pd.NA, pd.NaT, "", "NaN", 2.0), [1, *[pd.NA] * 6, 2]),
        (INTEGER, arrow(pa.array([Decimal("1.00")])), [1]),
        (INTEGER, objects(Decimal(1), "2", 3.0, np.int8(4)), [1, 2, 3, 4]),
        (FLOAT, pd.arrays.SparseArray([1.0, 0.0, -0.0]), [1.0, 0.0, 0.0]),
        (FLOAT, np.array([1], dtype=np.longdouble), [1.0]),
        (FLOAT, pd.Categorical(["1.5", "2"]), [1.5, 2.0]),
        (TEXT, arrow(pa.array(["x", "y"], pa.large_string())), ["x", "y"]),
        (TEXT, np.array(["x", "y"]), ["x", "y"]),
        (TEXT, pd.Categorical(["x", "y"], categories=["unused", "y", "x"]), ["x", "y"]),
        (CODE, pd.Categorical([1, 0]), [1, 0]),
        (CODE, objects("1", 1.0, 10, "10.0", "-0"), [1, 1, 10, 10, 0]),
        (TRUTH, pd.array([True, False], dtype="boolean"), [True, False]),
        (LARGE, np.array([2**53 - 1], dtype=np.uint64), [2**53 - 1]),
    ],
)
def test_values_of_every_type_are_taken(column: Column, values: Any, expected: list[Any]) -> None:
    table = Table.from_frame(Schema(columns=(column,)), pd.DataFrame({"a": values}))
    assert [str(v) for v in table.frame["a"]] == [str(v) for v in expected]


NO_NUMBER = "but values must be numbers"
NO_VALUE = "but values must be texts, numbers or truth values"


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        (INTEGER, [1j], f"has 1j, {NO_NUMBER}"),
        (INTEGER, pd.to_datetime(["2020-01-01"]), f"has 2020-01-01 00:00:00, {NO_NUMBER}"),
        (
            INTEGER,
            pd.to_datetime(["2020-01-01"], utc=True),
            f"has 2020-01-01 00:00:00+00:00, {NO_NUMBER}",
        ),
        (FLOAT, pd.to_timedelta(["1h"]), f"has 0 days 01:00:00, {NO_NUMBER}"),
        (FLOAT, pd.period_range("2020-01", periods=1, freq="M"), NO_NUMBER),
        (FLOAT, pd.interval_range(0, 1), NO_NUMBER),
        (FLOAT, [date(2020, 1, 1)], f"has 2020-01-01, {NO_NUMBER}"),
        (FLOAT, [time(1)], f"has 01:00:00, {NO_NUMBER}"),
        (INTEGER, [True], f"has True, {NO_NUMBER}"),
        (INTEGER, objects("1", True), f"has True, {NO_NUMBER}"),
        (
            INTEGER,
            objects(1, True),
            "has 'truth values and numbers', but its values must be of one kind",
        ),
        (CODE, objects(Decimal(1), np.bool_(True)), "its values must be of one kind"),
        (INTEGER, objects("1", "x", 2), f"has 'x', {NO_NUMBER}"),
        (TEXT, objects("x", 1), "has 1, but it must be one of the 2 categories declared"),
        (INTEGER, objects(b"1"), f"has 'bytes', {NO_VALUE}"),
        (TEXT, objects(b"x"), f"has 'bytes', {NO_VALUE}"),
        (TEXT, objects([1]), f"has 'list', {NO_VALUE}"),
        (TEXT, objects({"x": 1}), f"has 'dict', {NO_VALUE}"),
        (TEXT, objects(np.ones(2)), f"has 'ndarray', {NO_VALUE}"),
        (TEXT, arrow(pa.array([["x"]])), f"has 'ndarray', {NO_VALUE}"),
        (TEXT, arrow(pa.array([{"q": 1}])), f"has 'dict', {NO_VALUE}"),
        (TEXT, objects(object()), "has <object object>, but it must be one of"),
        (INTEGER, objects(Decimal("sNaN")), f"has 'sNaN', {NO_VALUE}"),
        (INTEGER, objects(Decimal("NaN")), "has nan, but its schema says missing = false"),
        (INTEGER, objects(10**400), "has inf, but values must lie between 0 and 9"),
        (FLOAT, objects(-(10**5000)), "has -inf, but values must lie between 0.0 and 9.0"),
        (TEXT, objects(10**5000), "has an integer of more than 4000 digits, but it must be"),
        (
            LARGE,
            np.array([2**53], dtype=np.int64),
            "but values must lie between 0 and 9007199254740991",
        ),
        (LARGE, np.array([2**53 + 1], dtype=np.int64), "but values must lie between 0 and 9007"),
        (LARGE, np.array([2**64 - 1], dtype=np.uint64), "but values must lie between 0 and 9007"),
        (TEXT, objects("\ud800"), r"has '\ud800', but it must be one of"),
        (INTEGER, objects("\ud800"), rf"has '\ud800', {NO_NUMBER}"),
        (CODE, objects("1_0"), "has '1_0', but it must be one of the 3 categories declared"),
        (CODE, objects("١"), "has '١', but it must be one of the 3 categories declared"),
        (TEXT, pd.Categorical(["q"]), "has 'q', but it must be one of the 2 categories declared"),
        (TEXT, pd.cut([1, 2], 2), "but it must be one of the 2 categories declared"),
        (FLOAT, [np.inf], "has inf, but values must lie between 0.0 and 9.0"),
    ],
)
def test_values_of_no_use_are_refused(
    monkeypatch: pytest.MonkeyPatch, column: Column, values: Any, said: str
) -> None:
    refused(
        monkeypatch,
        Schema(columns=(column,)),
        pd.DataFrame({"a": values}),
        f"column 'a' {said}" if said.startswith("has") else said,
    )


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({0: [1]}), "unknown column of the table 'a'; known: 0"),
        (pd.DataFrame({np.nan: [1]}), "unknown column of the table 'a'; did you mean 'nan'"),
        (pd.DataFrame({("a", "b"): [1]}), "unknown column of the table 'a'; known: ('a', 'b')"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "known: ('a', 'b')"),
        (
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            "column 'a' has 'several columns of that name'",
        ),
        (pd.DataFrame([[1, 2]], columns=["a", "a.1"]), "unknown column of the schema 'a.1'"),
        (
            pd.DataFrame([[1, 2, 3]], columns=["a", 1, "1"]),
            "column '1' has 'several columns of that",
        ),
        (
            pd.DataFrame([[1, 2]], columns=["a", ""]),
            "table has 'a column without a name', but each",
        ),
        (pd.DataFrame({" a": [1]}), "unknown column of the table 'a'; did you mean ' a'"),
        (pd.DataFrame({"A": [1]}), "unknown column of the table 'a'; did you mean 'A'"),
        (pd.DataFrame([[1]], columns=pd.Index(["\ud800"], dtype=object)), r"known: '\ud800'"),
        (
            pd.DataFrame({f"c{i}": [1] for i in range(2000)}),
            "known: c0, c1, c10, c100, c1000, c1001, c1002, c1003, c1004, c1005, c1006, c1007",
        ),
        (pd.DataFrame(index=[0]), "unknown column of the table 'a'; known: none"),
        (pd.DataFrame({"a": []}), "table has 'no rows', but at least one is needed"),
        (pd.Series([1], name="a"), "table has 'Series', but records come as a pandas DataFrame"),
        ({"a": [1]}, "table has 'dict', but records come as a pandas DataFrame"),
        (None, "table has 'NoneType', but records come as a pandas DataFrame"),
    ],
    ids=lambda v: v if isinstance(v, str) else "frame",
)
def test_frames_of_no_use_are_refused(
    monkeypatch: pytest.MonkeyPatch, frame: Any, said: str
) -> None:
    refused(monkeypatch, Schema(columns=(INTEGER,)), frame, said)


def refused(monkeypatch: pytest.MonkeyPatch, schema: Schema, frame: Any, said: str) -> None:
    charges = counted_charges(monkeypatch)
    with pytest.raises(DpsynthError) as refusal:
        dpsynth.synthesize(frame, schema=schema, generator="independent", epsilon=1.0)
    check_sentence(refusal.value, said)
    assert charges == []


@pytest.mark.parametrize("rows", [[0, 0], pd.MultiIndex.from_tuples([(0, 0), (0, 0)])], ids=repr)
def test_the_index_of_rows_plays_no_part(rows: Any) -> None:
    frame = pd.DataFrame({"a": ["1", 2]}, index=rows)
    assert Table.from_frame(Schema(columns=(INTEGER,)), frame).frame["a"].tolist() == [1, 2]


def test_names_that_are_no_texts_are_taken_for_their_texts() -> None:
    schema = Schema(columns=(IntegerColumn(name="0", lower=0, upper=9),))
    made = dpsynth.synthesize(
        pd.DataFrame({0: [1, 2]}), schema=schema, generator="independent", epsilon=1.0, seed=0
    )
    assert made.sample(3).frame.columns.tolist() == ["0"]
