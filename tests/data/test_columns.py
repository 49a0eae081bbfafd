"""Columns refuse what contradicts itself, in one sentence that names column, value and rule."""

from typing import Any

import numpy as np
import pytest

from dpsynth.data.columns import (
    BINS,
    INTEGER_CODES,
    CategoricalColumn,
    FloatColumn,
    IntegerColumn,
)
from dpsynth.errors import SchemaError

GOOD: dict[type, dict[str, Any]] = {
    CategoricalColumn: {"name": "x", "categories": ("a", "b")},
    IntegerColumn: {"name": "x", "lower": 0, "upper": 9},
    FloatColumn: {"name": "x", "lower": 0.0, "upper": 1.0},
}


@pytest.mark.parametrize(
    ("kind", "change", "rule"),
    [
        (CategoricalColumn, {"name": ""}, "not empty"),
        (CategoricalColumn, {"name": 3}, "valid text"),
        (CategoricalColumn, {"categories": ()}, "at least one"),
        (CategoricalColumn, {"categories": "ab"}, "must be a list"),
        (CategoricalColumn, {"categories": 3}, "must be a list"),
        (CategoricalColumn, {"categories": ("a", "a")}, "named once"),
        (CategoricalColumn, {"categories": ("a", 1)}, "must all be"),
        (CategoricalColumn, {"categories": (True, 0)}, "must all be"),
        (CategoricalColumn, {"categories": (0.5,)}, "a category must be"),
        (CategoricalColumn, {"categories": ("a", "")}, "empty text"),
        (CategoricalColumn, {"categories": (["a"],)}, "a category must be"),
        (CategoricalColumn, {"categories": ("\ud800",)}, "valid Unicode"),
        (CategoricalColumn, {"name": "\ud800"}, "valid text"),
        (CategoricalColumn, {"categories": (2**53,)}, "nearer to zero than 2"),
        (CategoricalColumn, {"other": "a"}, "exactly when"),
        (CategoricalColumn, {"on_invalid": "other"}, "exactly when"),
        (CategoricalColumn, {"on_invalid": "other", "other": "c"}, "one of the categories"),
        (CategoricalColumn, {"categories": (0, 1), "on_invalid": "other", "other": True}, "one of"),
        (CategoricalColumn, {"on_invalid": "clip"}, "'error' or 'other'"),
        (CategoricalColumn, {"missing": 1}, "true or false"),
        (IntegerColumn, {"lower": 10}, "at least lower"),
        (IntegerColumn, {"lower": 0.5}, "whole number"),
        (IntegerColumn, {"lower": True}, "whole number"),
        (IntegerColumn, {"upper": 2**53}, "2\\*\\*53"),
        (IntegerColumn, {"bins": 0}, "at least 1"),
        (IntegerColumn, {"bins": 11}, "at most 10"),
        (IntegerColumn, {"bins": 2.0}, "whole number"),
        (IntegerColumn, {"on_invalid": "other"}, "'error' or 'clip'"),
        (FloatColumn, {"lower": float("nan")}, "finite"),
        (FloatColumn, {"upper": float("inf")}, "finite"),
        (FloatColumn, {"upper": 10**400}, "finite"),
        (FloatColumn, {"upper": "1"}, "a number"),
        (FloatColumn, {"lower": 2}, "at least lower"),
        (FloatColumn, {"bins": -1}, "at least 1"),
        (FloatColumn, {"bins": 2**24 + 1}, "at most 16777216"),
        (FloatColumn, {"bins": 10**400}, "at most 16777216"),
        (CategoricalColumn, {"categories": (*range(200_000), 199_999)}, "named once"),
        (FloatColumn, {"lower": -1.7e308, "upper": 1.7e308}, "upper minus lower"),
        (FloatColumn, {"lower": 1.0, "upper": 1.0 + 2**-50}, "wide enough"),
        (FloatColumn, {"missing": "yes"}, "true or false"),
    ],
)
def test_a_column_that_contradicts_itself_is_refused(
    kind: type, change: dict[str, Any], rule: str
) -> None:
    kind(**GOOD[kind])
    with pytest.raises(SchemaError, match=rule) as refusal:
        kind(**{**GOOD[kind], **change})
    assert str(refusal.value).count("\n") == 0


def test_integers_have_a_code_each_while_there_are_few() -> None:
    def size(upper: int, **fields: Any) -> int:
        return IntegerColumn(name="x", lower=0, upper=upper, **fields).size

    assert size(INTEGER_CODES - 1) == INTEGER_CODES
    assert size(INTEGER_CODES) == BINS
    assert size(INTEGER_CODES, missing=True) == BINS + 1
    assert size(0) == 1
    assert size(9, bins=3) == 3


def test_a_constant_column_has_one_code() -> None:
    assert FloatColumn(name="x", lower=2, upper=2).size == 1
    assert FloatColumn(name="x", lower=2, upper=2, missing=True).size == 2
    assert CategoricalColumn(name="x", categories=("only",)).size == 1


def test_values_become_plain_python() -> None:
    loose: Any = CategoricalColumn
    column = loose(
        name="x", categories=list(np.array([3, 1])), on_invalid="other", other=np.int64(1)
    )
    assert [type(c) for c in column.categories] == [int, int]
    assert type(column.other) is int
    loose = FloatColumn
    assert type(loose(name="x", lower=np.float32(0), upper=1).upper) is float
    loose = IntegerColumn
    assert type(loose(name="x", lower=np.int8(0), upper=1).lower) is int
