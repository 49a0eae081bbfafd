"""Public specifications of columns: what values may occur, and into how many codes they fall.

Everything here is declared, never measured: a column that was drafted from records is the business
of `Schema.inferred`. Each kind validates itself, so that a column that exists is a column that the
codec can use.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any, Literal, TypeAlias, cast, final

import numpy as np

from dpsynth.errors import SchemaError

Category: TypeAlias = str | int | bool

BINS = 32
"""Equal-width bins of a numeric column that declares none."""

MOST_BINS = 2**24
"""Bins of a column at most: the edges of more would not fit beside the records."""

INTEGER_CODES = 128
"""An integer column with at most this many values has a code for each, unless it declares bins."""

LARGEST_INTEGER = 2**53 - 1
"""Integers beyond this are not told apart as floating-point numbers, so bounds stay within it."""


@final
@dataclass(frozen=True, kw_only=True)
class CategoricalColumn:
    """A column of unordered categories; codes follow the order in which they are declared.

    Args:
        name: the column's name.
        categories: at least one, unique, all of one type: texts, integers, or truth values.
        missing: whether a value may be missing; a missing value is the last code.
        on_invalid: "error" refuses a value outside the categories; "other" sends it to `other`.
        other: the category that takes values outside; one of `categories`, given exactly when
            `on_invalid` is "other".

    Raises:
        SchemaError: a field outside its rule.
    """

    name: str
    categories: tuple[Category, ...]
    missing: bool = False
    on_invalid: Literal["error", "other"] = "error"
    other: Category | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_flag(self.name, "missing", self.missing)
        object.__setattr__(self, "categories", _categories(self.name, self.categories))
        _check_choice(self.name, self.on_invalid, ("error", "other"))
        if (self.on_invalid == "other") != (self.other is not None):
            raise SchemaError(
                self.name, self.other, "other is given exactly when on_invalid is 'other'"
            )
        if self.other is not None:
            other = _category(self.name, self.other)
            if type(other) is not type(self.categories[0]) or other not in self.categories:
                raise SchemaError(self.name, other, "other must be one of the categories")
            object.__setattr__(self, "other", other)

    @property
    def size(self) -> int:
        """Number of codes, the one for missing values included."""
        return len(self.categories) + self.missing


@final
@dataclass(frozen=True, kw_only=True)
class IntegerColumn:
    """A column of whole numbers between public bounds, both included.

    Args:
        name: the column's name.
        lower: the least value; nearer to zero than 2**53.
        upper: the largest value, at least `lower`; a constant column has one value.
        bins: number of bins of equal width (to within one); None takes one code a value when there
            are at most `INTEGER_CODES` values, else `BINS` bins.
        missing: whether a value may be missing; a missing value is the last code.
        on_invalid: "error" refuses a value out of bounds; "clip" moves it to the nearer bound.

    Raises:
        SchemaError: a field outside its rule.
    """

    name: str
    lower: int
    upper: int
    bins: int | None = None
    missing: bool = False
    on_invalid: Literal["error", "clip"] = "error"

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_flag(self.name, "missing", self.missing)
        _check_choice(self.name, self.on_invalid, ("error", "clip"))
        for field, value in (("lower", self.lower), ("upper", self.upper)):
            bound = _integer(self.name, field, value)
            if abs(bound) > LARGEST_INTEGER:
                raise SchemaError(self.name, bound, f"{field} must be nearer to zero than 2**53")
            object.__setattr__(self, field, bound)
        _check_order(self.name, self.lower, self.upper)
        if self.bins is not None:
            object.__setattr__(self, "bins", _bins(self.name, self.bins))
            if self.bins > self.values:
                raise SchemaError(
                    self.name, self.bins, f"bins must be at most {self.values}, one a value"
                )

    @property
    def values(self) -> int:
        """Number of whole numbers from `lower` to `upper`."""
        return self.upper - self.lower + 1

    @property
    def size(self) -> int:
        """Number of codes, the one for missing values included."""
        default = self.values if self.values <= INTEGER_CODES else BINS
        return (default if self.bins is None else self.bins) + self.missing


@final
@dataclass(frozen=True, kw_only=True)
class FloatColumn:
    """A column of real numbers between public bounds, both included, in bins of equal width.

    Args:
        name: the column's name.
        lower: the least value, finite.
        upper: the largest value, finite, at least `lower`; a constant column has one code.
        bins: number of bins of equal width.
        missing: whether a value may be missing; a missing value is the last code.
        on_invalid: "error" refuses a value out of bounds; "clip" moves it to the nearer bound.

    Raises:
        SchemaError: a field outside its rule.
    """

    name: str
    lower: float
    upper: float
    bins: int = BINS
    missing: bool = False
    on_invalid: Literal["error", "clip"] = "error"

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_flag(self.name, "missing", self.missing)
        _check_choice(self.name, self.on_invalid, ("error", "clip"))
        for field, value in (("lower", self.lower), ("upper", self.upper)):
            object.__setattr__(self, field, _real(self.name, field, value))
        _check_order(self.name, self.lower, self.upper)
        object.__setattr__(self, "bins", _bins(self.name, self.bins))
        width = self.upper - self.lower
        if not isfinite(width):
            raise SchemaError(self.name, width, "upper minus lower must be finite")
        largest = max(abs(self.lower), abs(self.upper))
        if width > 0 and width / self.bins <= largest * 2.0**-50:
            raise SchemaError(self.name, self.bins, "bins must be wide enough to tell them apart")

    @property
    def size(self) -> int:
        """Number of codes, the one for missing values included."""
        return (1 if self.lower == self.upper else self.bins) + self.missing


Column: TypeAlias = CategoricalColumn | IntegerColumn | FloatColumn


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name or not _is_unicode(name):
        raise SchemaError(None, name, "a column's name must be a valid text that is not empty")


def _is_unicode(text: str) -> bool:
    """Return whether `text` can be written to a file: a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_flag(column: str, field: str, value: object) -> None:
    if not isinstance(value, bool):
        raise SchemaError(column, value, f"{field} must be true or false")


def _check_choice(column: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise SchemaError(
            column, value, f"on_invalid must be {' or '.join(repr(c) for c in choices)}"
        )


def _check_order(column: str, lower: float, upper: float) -> None:
    if lower > upper:
        raise SchemaError(column, upper, f"upper must be at least lower, which is {lower!r}")


def _integer(column: str, field: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise SchemaError(column, value, f"{field} must be a whole number")
    return int(value)


def _real(column: str, field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise SchemaError(column, value, f"{field} must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise SchemaError(column, value, f"{field} must be finite")
    return number + 0.0  # there is one zero


def _bins(column: str, value: object) -> int:
    bins = _integer(column, "bins", value)
    if bins < 1:
        raise SchemaError(column, bins, "bins must be at least 1")
    if bins > MOST_BINS:
        raise SchemaError(column, bins, f"bins must be at most {MOST_BINS}")
    return bins


def _categories(column: str, value: object) -> tuple[Category, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SchemaError(column, value, "categories must be a list")
    categories = tuple(_category(column, item) for item in cast("Iterable[object]", value))
    if not categories:
        raise SchemaError(column, [], "categories must name at least one")
    if len({type(c) for c in categories}) > 1:
        raise SchemaError(
            column, list(categories), "categories must all be texts, integers or truth values"
        )
    if len(set(categories)) < len(categories):
        twice, _ = Counter(categories).most_common(1)[0]
        raise SchemaError(column, twice, "each category is named once")
    return categories


def _category(column: str, value: object) -> Category:
    """Return a category as a plain Python value; arrays hand over their own scalar types."""
    plain: object = cast("Any", value).item() if isinstance(value, np.generic) else value
    if not isinstance(plain, str | int | bool):
        raise SchemaError(column, plain, "a category must be a text, an integer or a truth value")
    if plain == "":
        raise SchemaError(column, plain, "an empty text stands for a missing value")
    if isinstance(plain, str) and not _is_unicode(plain):
        raise SchemaError(column, plain, "a text must be valid Unicode")
    if isinstance(plain, int) and abs(plain) > LARGEST_INTEGER:
        raise SchemaError(column, plain, "an integer must be nearer to zero than 2**53")
    return plain
