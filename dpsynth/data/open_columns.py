"""Columns of which something is not known beforehand, and has to be bought from the budget."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np

from dpsynth.data.clock import Clock
from dpsynth.data.column_rules import (
    FLOAT_DTYPES,
    INTEGER_DTYPES,
    LARGEST_INTEGER,
    TEXT_DTYPES,
    bin_count,
    category,
    check_choice,
    check_dtype,
    check_flag,
    check_name,
    check_order,
    real_number,
    whole_number,
)
from dpsynth.data.numeric import BINS, check_decimals
from dpsynth.errors import SchemaError

LARGEST_FLOAT = 2.0**1022
"""Bounds of real numbers stay within this: the width between them must be finite."""

Binning: TypeAlias = Literal["width", "quantile", "privtree"]
BINNINGS: tuple[Binning, ...] = ("width", "quantile", "privtree")


@final
@dataclass(frozen=True, kw_only=True)
class OpenText:
    """A column of texts from an open set; the frequent ones are bought, and become categories.

    Args:
        name: the column's name.
        most: how many categories there may be.
        other: the category of texts that too few share.
        missing: whether a value may be missing.
        dtype: of the column in frames of records; None is pandas' "category".

    Raises:
        SchemaError: a field outside its rule.
    """

    name: str
    most: int = 1000
    other: str = "other"
    missing: bool = True
    dtype: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        check_flag(self.name, "missing", self.missing)
        if whole_number(self.name, "most", self.most) < 1:
            raise SchemaError(self.name, self.most, "most must be at least 1")
        if not isinstance(category(self.name, self.other), str):
            raise SchemaError(self.name, self.other, "other must be a text")
        check_dtype(self.name, self.dtype, TEXT_DTYPES, missing=self.missing)


@final
@dataclass(frozen=True, kw_only=True)
class OpenNumber:
    """A column of numbers or times whose bounds, bins or spread within bins are to be bought.

    Args:
        name: the column's name.
        whole: whether its numbers are whole; times are, in ticks.
        lower: the least value where it is publicly known; None: it is bought.
        upper: the largest value likewise.
        bins: largest number of bins.
        binning: "width" (equal widths), "quantile" (about equally many records a bin) or
            "privtree" (finer where records are dense).
        atoms: whether to look for single values that many records share.
        decimals: places behind the point of drawn numbers; None: bought, unless `whole`.
        clock: what times the numbers stand for; None: they are numbers.
        missing: whether a value may be missing.
        dtype: of the column in frames of records, as of integer and float columns.

    Raises:
        SchemaError: a field outside its rule.
    """

    name: str
    whole: bool
    lower: float | None = None
    upper: float | None = None
    bins: int = BINS
    binning: Binning = "privtree"
    atoms: bool = True
    decimals: int | None = None
    clock: Clock | None = None
    missing: bool = True
    dtype: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        for flag in ("missing", "whole", "atoms"):
            check_flag(self.name, flag, getattr(self, flag))
        check_choice(self.name, "binning", self.binning, BINNINGS)
        object.__setattr__(self, "bins", bin_count(self.name, self.bins))
        if self.clock is not None and not self.whole:
            raise SchemaError(self.name, self.whole, "times are whole numbers of ticks")
        for field in ("lower", "upper"):
            value = getattr(self, field)
            if value is not None:
                given = value if self.clock is None else self.clock.tick(self.name, field, value)
                check = whole_number if self.whole else real_number
                object.__setattr__(self, field, check(self.name, field, given))
                if self.whole and abs(getattr(self, field)) > LARGEST_INTEGER:
                    rule = f"{field} must be nearer to zero than 2**53"
                    raise SchemaError(self.name, getattr(self, field), rule)
        if self.lower is not None and self.upper is not None:
            check_order(self.name, self.lower, self.upper)
        check_decimals(self.name, self.decimals)
        if self.whole and self.decimals is not None:
            raise SchemaError(self.name, self.decimals, "whole numbers have no decimals")
        if self.clock is not None and self.dtype is not None:
            raise SchemaError(self.name, self.dtype, "a column of times has no dtype of its own")
        known = INTEGER_DTYPES if self.whole else FLOAT_DTYPES
        check_dtype(self.name, self.dtype, known, missing=self.missing)

    @property
    def reach(self) -> tuple[float, float]:
        """The least and the largest value that a record can have: a bound where one is known, else
        what the column's kind, clock and dtype hold."""
        least, most = -LARGEST_FLOAT, LARGEST_FLOAT
        if self.whole:
            least, most = -LARGEST_INTEGER, LARGEST_INTEGER
            if self.clock is not None:
                first, last = self.clock.ends
                least, most = max(least, first), min(most, last)
            if self.dtype is not None and self.dtype.lower().lstrip("u").startswith("int"):
                held = np.iinfo(self.dtype.lower())
                least, most = max(least, int(held.min)), min(most, int(held.max))
        return (
            least if self.lower is None else self.lower,
            most if self.upper is None else self.upper,
        )


OpenColumn: TypeAlias = OpenText | OpenNumber
