"""Predicates on records: conjunctions of one comparison a column, and whom they match."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

Comparison: TypeAlias = Literal["equal", "at most", "at least"]
Term: TypeAlias = tuple[int, Comparison, float]
MISSING = float("nan")
"""The one NaN of predicates: two predicates on missing values are equal only by its identity."""


@final
@dataclass(frozen=True, kw_only=True)
class Predicate:
    """A conjunction of comparisons.

    Args:
        terms: (column number, comparison, value) each; the value MISSING matches missing values.
    """

    terms: tuple[Term, ...]

    def matches(self, records: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which records match; `records` as `plain_records` returns them."""
        holds = np.ones(len(records), dtype=np.bool_)
        for column, comparison, value in self.terms:
            holds &= compare(records[:, column], comparison, value)
        return holds


def compare(
    numbers: NDArray[np.float64], comparison: Comparison, value: float
) -> NDArray[np.bool_]:
    """Return which of `numbers` stand in the comparison to `value`."""
    if np.isnan(value):
        return np.isnan(numbers)
    if comparison == "equal":
        return numbers == value
    return numbers <= value if comparison == "at most" else numbers >= value
