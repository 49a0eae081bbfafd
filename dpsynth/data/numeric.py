"""Columns of numbers between public bounds, in bins; times are whole numbers of ticks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite
from typing import Literal, TypeAlias, cast, final

from dpsynth.data.clock import Clock
from dpsynth.data.column_rules import (
    FLOAT_DTYPES,
    INTEGER_DTYPES,
    LARGEST_INTEGER,
    bin_count,
    check_choice,
    check_dtype,
    check_flag,
    check_name,
    check_order,
    real_number,
    whole_number,
)
from dpsynth.errors import SchemaError

BINS = 32
"""Equal-width bins of a numeric column that declares none."""

INTEGER_CODES = 128
"""An integer column with at most this many values has a code for each, unless it declares bins."""

LARGEST_DECIMALS = 15

Piece: TypeAlias = tuple[float, float, float]
"""Lower end, upper end, and weight: how often values of a bin lie there, up to a factor."""


@final
@dataclass(frozen=True, kw_only=True)
class IntegerColumn:
    """A column of whole numbers between public bounds, both included.

    Columns that differ in `pieces` or `dtype` only are equal: their codes mean the same.

    Args:
        name: the column's name.
        lower: the least value; nearer to zero than 2**53. With a clock it may be a time.
        upper: the largest value, at least `lower`; a constant column has one value.
        bins: number of bins of equal width (to within one); None takes one code a value when there
            are at most `INTEGER_CODES` values, else `BINS` bins.
        edges: where unequal bins start, and one more than `upper`; None: bins of equal width.
        pieces: how values spread within bins: from a lower end up to but not including an upper
            one, in order, each inside a bin. Values of a bin without pieces are uniform.
        clock: what times the numbers stand for; None: they are numbers.
        missing: whether a value may be missing; a missing value is the last code.
        on_invalid: "error" refuses a value out of bounds; "clip" moves it to the nearer bound.
        dtype: of the column in frames of records; None is "int64", "Int64" with missing values.

    Raises:
        SchemaError: a field outside its rule.
    """

    name: str
    lower: int
    upper: int
    bins: int | None = None
    edges: tuple[int, ...] | None = None
    pieces: tuple[Piece, ...] = field(default=(), compare=False)
    clock: Clock | None = None
    missing: bool = False
    on_invalid: Literal["error", "clip"] = "error"
    dtype: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_flag(self.name, "missing", self.missing)
        check_choice(self.name, "on_invalid", self.on_invalid, ("error", "clip"))
        if self.clock is not None and self.dtype is not None:
            raise SchemaError(self.name, self.dtype, "a column of times has no dtype of its own")
        check_dtype(self.name, self.dtype, INTEGER_DTYPES, missing=self.missing)
        for bound, value in (("lower", self.lower), ("upper", self.upper)):
            given = value if self.clock is None else self.clock.tick(self.name, bound, value)
            number = whole_number(self.name, bound, given)
            if abs(number) > LARGEST_INTEGER:
                raise SchemaError(self.name, number, f"{bound} must be nearer to zero than 2**53")
            object.__setattr__(self, bound, number)
        check_order(self.name, self.lower, self.upper)
        if self.edges is not None:
            edges = tuple(whole_number(self.name, "an edge", e) for e in _listed(self, self.edges))
            _check_edges(self.name, edges, self.lower, self.upper + 1)
            object.__setattr__(self, "edges", edges)
            _set_bins(self, edges)
        elif self.bins is not None:
            object.__setattr__(self, "bins", bin_count(self.name, self.bins))
            if self.bins > self.values:
                raise SchemaError(
                    self.name, self.bins, f"bins must be at most {self.values}, one a value"
                )
        object.__setattr__(self, "pieces", _pieces(self.name, self.pieces))

    @property
    def binned(self) -> bool:
        """Whether a code stands for several values."""
        return self.size - self.missing < self.values

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
    """A column of real numbers between public bounds, both included, in bins.

    Columns that differ in `pieces` or `dtype` only are equal: their codes mean the same.

    Args:
        name: the column's name.
        lower: the least value, finite.
        upper: the largest value, finite, at least `lower`; a constant column has one code.
        bins: number of bins of equal width.
        edges: ends of unequal bins, `lower` first and `upper` last; None: bins of equal width.
        pieces: how values spread within bins: between a lower and an upper end, which are equal
            where one value is frequent, in order, each inside a bin. Values of a bin without
            pieces are uniform.
        decimals: places behind the point of drawn values; None: as many as a float has.
        missing: whether a value may be missing; a missing value is the last code.
        on_invalid: "error" refuses a value out of bounds; "clip" moves it to the nearer bound.
        dtype: of the column in frames of records; None is "float64".

    Raises:
        SchemaError: a field outside its rule.
    """

    name: str
    lower: float
    upper: float
    bins: int = BINS
    edges: tuple[float, ...] | None = None
    pieces: tuple[Piece, ...] = field(default=(), compare=False)
    decimals: int | None = None
    missing: bool = False
    on_invalid: Literal["error", "clip"] = "error"
    dtype: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_flag(self.name, "missing", self.missing)
        check_choice(self.name, "on_invalid", self.on_invalid, ("error", "clip"))
        check_dtype(self.name, self.dtype, FLOAT_DTYPES, missing=self.missing)
        for bound, value in (("lower", self.lower), ("upper", self.upper)):
            object.__setattr__(self, bound, real_number(self.name, bound, value))
        check_order(self.name, self.lower, self.upper)
        object.__setattr__(self, "bins", bin_count(self.name, self.bins))
        check_decimals(self.name, self.decimals)
        width = self.upper - self.lower
        if not isfinite(width):
            raise SchemaError(self.name, width, "upper minus lower must be finite")
        if self.edges is not None:
            edges = tuple(real_number(self.name, "an edge", e) for e in _listed(self, self.edges))
            _check_edges(self.name, edges, self.lower, self.upper)
            object.__setattr__(self, "edges", edges)
            _set_bins(self, edges)
        elif width > 0:
            largest = max(abs(self.lower), abs(self.upper))
            if width / self.bins <= largest * 2.0**-50:
                rule = "bins must be wide enough to tell them apart"
                raise SchemaError(self.name, self.bins, rule)
        object.__setattr__(self, "pieces", _pieces(self.name, self.pieces))

    @property
    def binned(self) -> bool:
        """Whether a code stands for several values."""
        return self.lower < self.upper

    @property
    def size(self) -> int:
        """Number of codes, the one for missing values included."""
        return (1 if self.lower == self.upper else self.bins) + self.missing


def check_decimals(column: str, value: object) -> None:
    """Refuse a number of decimals that a float cannot have."""
    if value is None:
        return
    if not 0 <= whole_number(column, "decimals", value) <= LARGEST_DECIMALS:
        raise SchemaError(column, value, f"decimals must be from 0 to {LARGEST_DECIMALS}")


def _listed(column: IntegerColumn | FloatColumn, value: object) -> tuple[object, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SchemaError(column.name, value, "edges must be a list of numbers")
    return tuple(cast("Iterable[object]", value))


def _check_edges(column: str, edges: tuple[float, ...], first: float, last: float) -> None:
    rising = all(a < b for a, b in pairwise(edges))
    if len(edges) < 2 or not rising or edges[0] != first or edges[-1] != last:
        rule = f"edges must rise from {first!r} to {last!r}"
        raise SchemaError(column, list(edges[:3]), rule)


def _set_bins(column: IntegerColumn | FloatColumn, edges: tuple[float, ...]) -> None:
    found = len(edges) - 1
    if column.bins not in (None, BINS, found):
        raise SchemaError(
            column.name, column.bins, f"bins must be left out beside {found} of edges"
        )
    object.__setattr__(column, "bins", found)


def _pieces(column: str, value: object) -> tuple[Piece, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SchemaError(column, value, "pieces must be a list of [lower, upper, weight]")
    found: list[Piece] = []
    for item in cast("Iterable[object]", value):
        parts = list(cast("Iterable[object]", item)) if isinstance(item, list | tuple) else []
        if len(parts) != 3:
            raise SchemaError(column, parts, "a piece is a list of [lower, upper, weight]")
        lower, upper, weight = (real_number(column, "a piece", part) for part in parts)
        if lower > upper or weight < 0 or (found and lower < found[-1][1]):
            rule = "pieces must be in order, with weights of at least 0"
            raise SchemaError(column, [lower, upper, weight], rule)
        found.append((lower, upper, weight))
    return tuple(found)
