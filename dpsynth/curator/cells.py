"""Public ways to sort the raw values of one column into cells, before it has codes."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """Intervals between edges, single values, and one cell for a missing value, in this order.

    It must be public: chosen from the schema or from answers that were paid for.

    Args:
        edges: rising; interval i holds values from edge i up to but not including the next. What
            lies outside falls into the first or the last.
        atoms: rising values, each a cell of its own and in no interval.
    """

    edges: NDArray[np.float64]
    atoms: NDArray[np.float64]

    @property
    def intervals(self) -> int:
        return len(self.edges) - 1

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.intervals + len(self.atoms) + 1

    def codes(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the cell of each number; NaN is missing."""
        found = np.searchsorted(self.edges[1:-1], numbers, side="right").astype(np.int64)
        if len(self.atoms):
            nearest = np.searchsorted(self.atoms, numbers)
            nearest = np.minimum(nearest, len(self.atoms) - 1)
            exact = self.atoms[nearest] == numbers
            found = np.where(exact, self.intervals + nearest, found)
        return np.where(np.isnan(numbers), self.size - 1, found)


def magnitude_edges(*, whole: bool, lower: float | None, upper: float | None) -> Any:
    """Return edges at the powers of two of both signs, and at 0, between the known bounds.

    Args:
        whole: from 1 to 2**53; else from 2**-40 to 2**64.
        lower, upper: the bounds that are known: no edge lies beyond them.
    """
    powers = 2.0 ** np.arange(0 if whole else -40, 54 if whole else 65)
    edges = np.concatenate([-powers[::-1], [0.0], powers])
    if lower is not None:
        edges = np.concatenate([[lower], edges[edges > lower]])
    if upper is not None:
        edges = np.concatenate([edges[edges < upper], [upper]])
    return edges
