"""What the fields of a column may hold: each rule in one place, with the sentence that refuses."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, TypeAlias, cast

import numpy as np

from dpsynth.errors import SchemaError

Category: TypeAlias = str | int | bool

LARGEST_INTEGER = 2**53 - 1
"""Integers beyond this are not told apart as floating-point numbers, so bounds stay within it."""

MOST_BINS = 2**24
"""Bins of a column at most: the edges of more would not fit beside the records."""

_WIDTHS = (8, 16, 32, 64)
PLAIN_DTYPES = ("bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in _WIDTHS))
"""Dtypes of pandas that hold no missing values."""

INTEGER_DTYPES = (
    *PLAIN_DTYPES[1:],
    *(f"{kind}{bits}" for kind in ("Int", "UInt") for bits in _WIDTHS),
    "float64",
)
FLOAT_DTYPES = ("float32", "float64", "Float32", "Float64")
TEXT_DTYPES = ("category", "object", "str", "string")
TRUTH_DTYPES = ("category", "object", "bool", "boolean")


def check_name(name: object) -> None:
    """Refuse what cannot name a column."""
    if not isinstance(name, str) or not name or not is_unicode(name):
        raise SchemaError(None, name, "a column's name must be a valid text that is not empty")


def is_unicode(text: str) -> bool:
    """Return whether `text` can be written to a file: a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_flag(column: str, field: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise SchemaError(column, value, f"{field} must be true or false")


def check_choice(column: str, field: str, value: object, choices: Sequence[str]) -> None:
    """Refuse what is not among `choices`."""
    if value not in choices:
        raise SchemaError(column, value, f"{field} must be {' or '.join(map(repr, choices))}")


def check_dtype(column: str, value: str | None, choices: Sequence[str], *, missing: bool) -> None:
    """Refuse a dtype that is not among `choices`, or that cannot hold a missing value."""
    if value is None:
        return
    check_choice(column, "dtype", value, choices)
    if missing and value in PLAIN_DTYPES:
        raise SchemaError(column, value, "this dtype has no missing values, which the column has")


def check_order(column: str, lower: float, upper: float) -> None:
    """Refuse bounds in the wrong order."""
    if lower > upper:
        raise SchemaError(column, upper, f"upper must be at least lower, which is {lower!r}")


def whole_number(column: str, field: str, value: object) -> int:
    """Return a whole number as a plain one."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SchemaError(column, value, f"{field} must be a whole number")
    return int(value)


def real_number(column: str, field: str, value: object) -> float:
    """Return a finite number as a plain one."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SchemaError(column, value, f"{field} must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise SchemaError(column, value, f"{field} must be finite")
    return number + 0.0  # there is one zero


def bin_count(column: str, value: object) -> int:
    """Return a number of bins."""
    count = whole_number(column, "bins", value)
    if count < 1:
        raise SchemaError(column, count, "bins must be at least 1")
    if count > MOST_BINS:
        raise SchemaError(column, count, f"bins must be at most {MOST_BINS}")
    return count


def category_list(column: str, value: object) -> tuple[Category, ...]:
    """Return the categories of a column."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SchemaError(column, value, "categories must be a list")
    found = tuple(category(column, item) for item in cast("Iterable[object]", value))
    if not found:
        raise SchemaError(column, [], "categories must name at least one")
    if len({type(c) for c in found}) > 1:
        raise SchemaError(
            column, list(found), "categories must all be texts, integers or truth values"
        )
    if len(set(found)) < len(found):
        twice, _ = Counter(found).most_common(1)[0]
        raise SchemaError(column, twice, "each category is named once")
    return found


def category(column: str, value: object) -> Category:
    """Return a category as a plain Python value; arrays hand over their own scalar types."""
    plain: object = cast("Any", value).item() if isinstance(value, np.generic) else value
    if not isinstance(plain, str | int | bool):
        raise SchemaError(column, plain, "a category must be a text, an integer or a truth value")
    if plain == "":
        raise SchemaError(column, plain, "an empty text stands for a missing value")
    if isinstance(plain, str) and not is_unicode(plain):
        raise SchemaError(column, plain, "a text must be valid Unicode")
    if isinstance(plain, int) and abs(plain) > LARGEST_INTEGER:
        raise SchemaError(column, plain, "an integer must be nearer to zero than 2**53")
    return plain
