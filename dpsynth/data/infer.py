"""A first draft of a schema, read from records that their owner declares public."""

from dataclasses import fields
from re import compile as compile_pattern
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.clock import Clock
from dpsynth.data.column_rules import PLAIN_DTYPES
from dpsynth.data.columns import (
    INTEGER_CODES,
    LARGEST_INTEGER,
    CategoricalColumn,
    Column,
    FloatColumn,
    IntegerColumn,
)
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.data.spelling import plain_values, spelling
from dpsynth.data.values import decimals_needed
from dpsynth.errors import DataError, PrivacyError

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 1000
"""A column of more distinct texts is taken for names or free text, and refused."""

_DRAFTED = "a draft takes texts, numbers, times and truth values only"

_TOO_LARGE = "integers beyond 2**53 have no draft; drop identifiers"

_FEW_DECIMALS = 6
"""Floats that all need at most so many decimals are drawn with as many."""

_SPELLS_TIME = compile_pattern(r"\d{4}-\d{2}-\d{2}")
"""How a text begins that may be a time."""

FEW_VALUES = 20
"""Integers with at most this many distinct values over a wide range are taken for categories."""


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
    measured = ("categories", "lower", "upper", "decimals", "missing")
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
    clock = _clock(present, kind)
    if clock is not None:
        ticks, _ = clock.ticks(name, present)
        lower, upper = int(ticks.min()), int(ticks.max())
        return IntegerColumn(name=name, lower=lower, upper=upper, clock=clock, missing=missing)
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
    raise DataError(name, present.iloc[0], _DRAFTED)


def _clock(present: Any, kind: str) -> Clock | None:
    """Return what times the values are, where they are times or texts that all spell such."""
    if kind in ("timedelta", "timedelta64"):
        return Clock(kind="duration")
    times = kind in ("date", "datetime", "datetime64")
    if not times and (kind != "string" or not _SPELLS_TIME.match(str(present.iloc[0]))):
        return None
    zone = getattr(present.iloc[0], "tzinfo", None) if times else None
    for clock in (
        Clock(kind="date"),
        Clock(kind="datetime", timezone=None if zone is None else str(zone)),
    ):
        try:
            clock.ticks("", present)
        except DataError:
            continue
        return clock
    return None


def kinds_of(frame: "pd.DataFrame") -> OpenSchema:
    """Return an open schema with the names and kinds of a frame's columns, and nothing else.

    Everything that their values would say has to be bought. Kinds follow from dtypes, and from
    whether all texts of a column spell times; a dtype without missing values says that there are
    none. `inferred` names these facts, and receipts repeat them.

    Raises:
        DataError: no columns, or one of a kind that has no draft.
    """
    columns = tuple(_kind(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns))
    if not columns:
        raise DataError(None, "no columns", "a schema needs at least one")
    inferred = [f"{column.name}.kind" for column in columns]
    inferred += [f"{column.name}.missing" for column in columns if not column.missing]
    return OpenSchema(columns=columns, settings={"inferred": inferred})


def _kind(name: str, values: Any) -> Column | OpenColumn:
    from pandas.api import types

    missing = str(values.dtype) not in PLAIN_DTYPES
    if types.is_numeric_dtype(values.dtype) and not types.is_bool_dtype(values.dtype):
        whole = types.is_integer_dtype(values.dtype)
        return OpenNumber(name=name, whole=whole, missing=missing)
    plain = plain_values(name, values)
    present = plain.dropna()
    kind = types.infer_dtype(present)
    clock = _clock(present, kind) if len(present) else None
    if clock is not None:
        return OpenNumber(name=name, whole=True, clock=clock)
    if kind == "boolean":
        return CategoricalColumn(name=name, categories=(False, True), missing=missing)
    if kind in ("string", "empty", "mixed-integer", "integer", "mixed"):
        return OpenText(name=name)
    raise DataError(name, kind, _DRAFTED)


def _float(name: str, numbers: NDArray[np.float64], missing: bool) -> Column:
    if not np.isfinite(numbers).all():
        raise DataError(name, float("inf"), "a draft takes finite numbers only")
    needed = int(decimals_needed(numbers).max())
    return FloatColumn(
        name=name,
        lower=float(numbers.min()),
        upper=float(numbers.max()),
        decimals=needed if needed <= _FEW_DECIMALS else None,
        missing=missing,
    )


def _integer(name: str, numbers: NDArray[np.float64], missing: bool) -> Column:
    if not np.isfinite(numbers).all():
        return _float(name, numbers, missing)
    lower, upper = int(numbers.min()), int(numbers.max())
    if max(-lower, upper) > LARGEST_INTEGER:
        raise DataError(name, upper, _TOO_LARGE)
    distinct = np.unique(numbers)
    if len(distinct) == len(numbers) == upper - lower + 1 > FEW_VALUES:
        rule = "a column that numbers the records is an identifier; drop it, or name it as the unit"
        raise DataError(name, f"{len(numbers)} consecutive integers", rule)
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
