"""Values of one column, made to fit its specification: converted, clipped, or refused.

Each function returns a pandas array of the column's own dtype: categorical (the schema's order),
int64 (Int64 where values may be missing), or float64. The cost is a few passes over the column;
categories are looked up once per distinct value.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.column_rules import LARGEST_INTEGER
from dpsynth.data.columns import CategoricalColumn, Category, Column, FloatColumn, IntegerColumn
from dpsynth.data.open_columns import OpenNumber
from dpsynth.data.spelling import Values, plain_values, spelling, spellings
from dpsynth.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Measured: TypeAlias = IntegerColumn | FloatColumn | OpenNumber

_MISSING = -1
CHUNK = 2**18
"""Rows that are worked on at a time: what is made on the way stays small beside the records."""


def conform(column: Column, values: Values) -> Any:
    """Return `values` as an array of the column's dtype.

    Args:
        column: the specification.
        values: a series of any dtype; texts that spell numbers count as numbers.

    Raises:
        DataError: a value that the column forbids, named with its rule.
    """
    # Objects are looked at as a whole: truth values and numbers must not mix.
    if len(values) <= CHUNK or values.dtype == object:
        return _conform(column, values)
    starts = range(0, len(values), CHUNK)
    return _joined([_conform(column, values.iloc[i : i + CHUNK]) for i in starts])


def _conform(column: Column, values: Values) -> Any:
    if isinstance(column, CategoricalColumn):
        return _categorical(column, values)
    numbers = within_bounds(column, parse_numbers(column, values))
    if isinstance(column, FloatColumn):
        return numbers
    return _integers(column, numbers)


def _joined(parts: Sequence[Any]) -> Any:
    """Return arrays of one dtype, one behind the other."""
    import pandas as pd

    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return pd.concat([pd.Series(part, copy=False) for part in parts], ignore_index=True).array


def category_dtype(column: CategoricalColumn) -> "pd.CategoricalDtype":
    """Return the dtype of the column: its categories in their declared order, unordered."""
    import pandas as pd

    return pd.CategoricalDtype(list(column.categories), ordered=False)


def _categorical(column: CategoricalColumn, values: Values) -> Any:
    import pandas as pd

    codes, distinct = factorize(column.name, values)
    used = np.bincount(codes[codes >= 0], minlength=len(distinct)) > 0
    known = spellings(column)
    # One place more, at the end, so that the code -1 of a missing value finds itself.
    translate = np.full(len(distinct) + 1, _MISSING, dtype=np.int64)
    for position in np.flatnonzero(used):
        translate[position] = _lookup(column, known, distinct[position])
    codes = translate[codes]
    if not column.missing and (codes == _MISSING).any():
        raise DataError(column.name, None, "its schema says missing = false")
    return pd.Categorical.from_codes(codes, dtype=category_dtype(column))


def factorize(name: str, values: Values) -> tuple[NDArray[np.int64], list[object]]:
    """Return a code for each value, -1 where it is missing, and the distinct values in order."""
    import pandas as pd
    from pandas.api import types

    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy(dtype=np.int64), list(values.cat.categories)
    simple = types.is_string_dtype(values.dtype) or types.is_numeric_dtype(values.dtype)
    plain = values if simple and values.dtype != object else plain_values(name, values)
    codes, distinct = cast("tuple[Any, Any]", pd.factorize(plain))
    return codes, list(distinct)


def _lookup(column: CategoricalColumn, known: Mapping[Category | None, int], value: object) -> int:
    if isinstance(value, str) and value == "":
        return _MISSING
    code = known.get(spelling(value, type(column.categories[0])))
    if code is not None:
        return code
    if column.other is not None:
        return known[column.other]
    raise DataError(
        column.name, value, f"it must be one of the {len(column.categories)} categories declared"
    )


def within_bounds(
    column: IntegerColumn | FloatColumn, numbers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the numbers as they are, or clipped, NaN where missing.

    Raises:
        DataError: a number out of bounds, or missing, that the column does not allow.
    """
    absent = np.isnan(numbers)
    if absent.any() and not column.missing:
        raise DataError(column.name, float("nan"), "its schema says missing = false")
    outside = (numbers < column.lower) | (numbers > column.upper)
    if outside.any():
        if column.on_invalid == "error":
            raise DataError(
                column.name,
                _shown(column, numbers[outside][0]),
                f"values must lie between {_bound(column, column.lower)} "
                f"and {_bound(column, column.upper)}",
            )
        numbers = np.clip(numbers, column.lower, column.upper)
    return numbers


def parse_numbers(column: Measured, values: Values) -> NDArray[np.float64]:
    """Return the values of a numeric column as floats, NaN where missing; times as ticks.

    Raises:
        DataError: a value that is no number, or no time where the column has a clock.
    """
    from pandas.api import types

    clock = column.clock if isinstance(column, IntegerColumn | OpenNumber) else None
    if clock is not None:
        ticks, absent = clock.ticks(column.name, values)
        return np.where(absent, np.nan, ticks.astype(np.float64))
    if types.is_integer_dtype(values.dtype) or types.is_float_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # one zero
    objects = plain_values(column.name, values)
    wrong = objects.map(_no_number).to_numpy(dtype=bool)
    if wrong.any():
        raise DataError(column.name, objects[wrong].iloc[0], "values must be numbers")
    numbers = _floats(objects)
    unread = [v for v in objects[np.isnan(numbers)].dropna() if str(v).strip().lower() != "nan"]
    if unread:
        raise DataError(column.name, unread[0], "values must be numbers")
    return numbers + 0.0  # there is one zero


def _floats(objects: Values) -> NDArray[np.float64]:
    """Return plain values as floats, NaN for those that spell none."""
    import pandas as pd

    try:
        parsed = cast("Values", pd.to_numeric(objects, errors="coerce"))
        return parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    except OverflowError:  # a whole number beyond every float, and so beyond every bound
        return _floats(objects.map(_within_floats))


def _within_floats(value: object) -> object:
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return inf if value > 0 else -inf
    return value


def _no_number(value: object) -> bool:
    """Return whether pandas would read a number into `value` that is none."""
    return isinstance(value, bool | np.bool_ | complex | datetime | timedelta)


def _integers(column: IntegerColumn, numbers: NDArray[np.float64]) -> Any:
    import pandas as pd

    absent = np.isnan(numbers)
    whole = np.where(absent, column.lower, numbers)
    broken = whole != np.floor(whole)
    if broken.any():
        raise DataError(column.name, float(whole[broken][0]), "values must be whole numbers")
    integers = whole.astype(np.int64)
    return pd.arrays.IntegerArray(integers, absent) if column.missing else integers


def _bound(column: IntegerColumn | FloatColumn, bound: float) -> float | str:
    clock = column.clock if isinstance(column, IntegerColumn) else None
    return bound if clock is None else clock.text(bound)


def _shown(column: IntegerColumn | FloatColumn, number: np.float64) -> float | str:
    value = float(number)
    return _bound(column, int(value) if value.is_integer() else value)
