"""A first draft of a schema, read from records that their owner declares public."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import (
    INTEGER_CODES,
    LARGEST_INTEGER,
    CategoricalColumn,
    Column,
    FloatColumn,
    IntegerColumn,
)
from dpsynth.data.schema import Schema
from dpsynth.data.spelling import plain_values, spelling
from dpsynth.errors import DataError, PrivacyError

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 1000
"""A column of more distinct texts is taken for names or free text, and refused."""

FEW_VALUES = 20
"""Integers with at most this many distinct values over a wide range are taken for categories."""


_TOO_LARGE = "integers beyond 2**53 have no draft; drop identifiers"


def infer_schema(frame: "pd.DataFrame", *, public: bool) -> Schema:
    """Return a schema that these records fit, with everything it reveals about them named.

    Kinds, categories, bounds and whether values are missing are read from the records. Doing so
    costs no privacy budget, because it gives no protection: it is for data that are public, or
    for a draft to be replaced by what is publicly known.

    Args:
        frame: the records.
        public: whether their owner declares these records public.

    Returns:
        The schema; its `inferred` names each field as "column.field", and receipts repeat them.

    Raises:
        PrivacyError: the records are not declared public.
        DataError: no rows or columns, or a column without a draft: one that holds no value, an
            infinite number, or more than a thousand distinct texts.
    """
    if not public:
        raise PrivacyError(
            "a schema drafted from private records reveals their values; declare the data public "
            "(public=True; on the command line: --public) or write the schema by hand."
        )
    if frame.empty:
        raise DataError(None, "no records", "a schema is drafted from at least one value")
    columns = tuple(_draft(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns))
    return Schema(columns=columns, inferred=tuple(_revealed(columns)))


def _revealed(columns: tuple[Column, ...]) -> list[str]:
    measured = ("categories", "lower", "upper", "missing")
    return [
        f"{column.name}.{field}"
        for column in columns
        for field in ("kind", *(f.name for f in fields(column) if f.name in measured))
    ]


def _draft(name: str, values: Any) -> Column:
    from pandas.api import types

    plain = plain_values(name, values)
    missing, present = bool(plain.isna().any()), plain.dropna()
    if not len(present):
        raise DataError(name, None, "a column without any value has no draft; drop it")
    if isinstance(values.dtype, types.CategoricalDtype):
        return _categories(name, values.cat.categories, missing)
    kind = types.infer_dtype(present)
    if kind == "boolean":
        return CategoricalColumn(name=name, categories=(False, True), missing=missing)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        # Integers with gaps reach pandas as floats, so that whole numbers are integers there too.
        try:
            numbers = present.to_numpy(dtype=np.float64)
        except OverflowError:
            raise DataError(name, present.iloc[0], _TOO_LARGE) from None
        whole = bool((numbers == np.floor(numbers)).all())
        draft = _integer if kind == "integer" or (whole and missing) else _float
        return draft(name, numbers, missing)
    if kind in ("string", "mixed", "mixed-integer"):
        return _categories(name, present.unique(), missing)
    raise DataError(name, present.iloc[0], "a draft takes texts, numbers and truth values only")


def _float(name: str, numbers: NDArray[np.float64], missing: bool) -> Column:
    if not np.isfinite(numbers).all():
        raise DataError(name, float("inf"), "a draft takes finite numbers only")
    return FloatColumn(
        name=name, lower=float(numbers.min()), upper=float(numbers.max()), missing=missing
    )


def _integer(name: str, numbers: NDArray[np.float64], missing: bool) -> Column:
    if not np.isfinite(numbers).all():
        return _float(name, numbers, missing)
    lower, upper = int(numbers.min()), int(numbers.max())
    if max(-lower, upper) > LARGEST_INTEGER:
        raise DataError(name, upper, _TOO_LARGE)
    distinct = np.unique(numbers)
    wide = upper - lower >= INTEGER_CODES
    if wide and len(distinct) <= FEW_VALUES:
        return _categories(name, distinct.astype(np.int64), missing)
    return IntegerColumn(name=name, lower=lower, upper=upper, missing=missing)


def _categories(name: str, values: Any, missing: bool) -> CategoricalColumn:
    """Return a column of integers where all of `values` are, else of texts; texts are sorted."""
    integers = all(isinstance(value, int | np.integer) for value in values)
    distinct = {spelling(value, int if integers else str) for value in values} - {""}
    if None in distinct:
        raise DataError(name, "an integer of thousands of digits", _TOO_LARGE)
    categories = sorted(cast("set[Any]", distinct))
    if len(categories) > MOST_CATEGORIES:
        raise DataError(
            name,
            f"{len(categories)} distinct values",
            f"a draft takes at most {MOST_CATEGORIES} categories; drop names and free text",
        )
    return CategoricalColumn(name=name, categories=tuple(categories), missing=missing)
