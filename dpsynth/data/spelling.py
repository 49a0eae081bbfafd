"""One value, several spellings: how texts, numbers and gaps from files and frames are understood.

Files know texts only, and pandas turns integers with gaps into floats: 1, 1.0 and "1" are one
category. A truth value is never a number, and an empty text is a missing value.
"""

from collections.abc import Mapping
from numbers import Number
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Category
from dpsynth.errors import DataError

Values: TypeAlias = Any
"""A pandas Series; its stubs leave out what a column of unknown type needs."""

_LONGEST = 4096
"""Bits of a whole number that may be a category: Python writes out no number of far more."""

_RULE = "values must be texts, numbers or truth values"


def spelling(value: object, kind: type[Category]) -> Category | None:
    """Return `value` as a category of `kind` (a text, an integer, a truth value), or None."""
    plain = cast("Any", value).item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool):
        return plain if kind is bool else str(plain) if kind is str else None
    if kind is bool:
        return {"true": True, "false": False}.get(plain.lower()) if isinstance(plain, str) else None
    if isinstance(plain, float) and plain.is_integer():
        plain = int(plain)
    if isinstance(plain, int) and plain.bit_length() > _LONGEST:
        return None
    if kind is str:
        return str(plain)
    if isinstance(plain, str):
        return _integer(plain)
    return plain if isinstance(plain, int) else None


def spellings(column: CategoricalColumn) -> Mapping[Category | None, int]:
    """Return category -> code, for looking up what `spelling` returns."""
    return column.codes


def plain_values(name: str, values: Values) -> Values:
    """Return `values` without pandas' wrapping, None where a value is missing or an empty text.

    Raises:
        DataError: a value is a collection, or truth values and numbers are mixed: pandas takes
            true and 1 for one value.
    """
    import pandas as pd

    objects = values.astype(object)
    array = objects.to_numpy()
    try:
        absent = cast("NDArray[np.bool_]", pd.isna(array))
    except ArithmeticError:  # a signalling decimal
        raise DataError(name, "sNaN", _RULE) from None
    present = array[~absent]
    kinds = set(map(type, present))
    if kinds & {bool, np.bool_} and any(issubclass(k, Number) for k in kinds - {bool, np.bool_}):
        raise DataError(name, "truth values and numbers", "its values must be of one kind")
    for kind in kinds:
        if hasattr(kind, "__len__") and not issubclass(kind, str):
            raise DataError(name, kind.__name__, _RULE)
    absent[~absent] = present == ""
    return objects.mask(absent, None)


def _integer(text: str) -> int | None:
    # Python reads 1_000 and the digits of any script; a column of numbers reads neither.
    if not text.isascii() or "_" in text:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None
