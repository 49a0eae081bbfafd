"""What values the codes of a numeric column stand for: their mean and spread, by its pieces."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import FloatColumn, IntegerColumn
from dpsynth.data.values import value_law

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class CodeValues:
    """The law of the values behind each code; NaN for the code of missing values.

    Args:
        mean: of the values of each code.
        variance: of them.
        reach: how far from the mean a value of the code may be at most.
    """

    mean: Array
    variance: Array
    reach: Array

    @classmethod
    def of(cls, column: IntegerColumn | FloatColumn) -> Self:
        """Return the law by which values of `column` are decoded."""
        law = value_law(column)
        if isinstance(column, IntegerColumn):
            whole, edges = True, integer_edges(column).astype(np.float64)
        else:
            whole, edges = False, float_edges(column)
        lower, upper = law.lower.astype(np.float64), law.upper.astype(np.float64)
        # Whole numbers end one before the upper end.
        last = upper - 1 if whole else upper
        middle, width = (lower + last) / 2, upper - lower
        within = (width**2 - 1) / 12 if whole else width**2 / 12
        weight, first = np.diff(law.before), law.first[:-1]
        mass = np.add.reduceat(weight, first)
        mean = np.add.reduceat(weight * middle, first) / mass
        square = np.add.reduceat(weight * (middle**2 + within), first) / mass
        ends = edges[1:] - 1 if whole else edges[1:]
        parts = mean, np.maximum(square - mean**2, 0.0), np.maximum(mean - edges[:-1], ends - mean)
        if column.missing:
            parts = tuple(np.append(part, np.nan) for part in parts)
        return cls(mean=parts[0], variance=parts[1], reach=parts[2])
