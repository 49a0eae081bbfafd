"""Ordered columns as a mode and a number within it, from their bought histograms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ROUNDS = 50


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Modes:
    """Runs of neighbouring codes, each with numbers from -1 to 1 for its codes.

    Args:
        first: the first code of each mode, rising from 0.
        size: number of codes in all.
    """

    first: NDArray[np.int64]
    size: int

    @classmethod
    def plain(cls, size: int) -> "Modes":
        """Return modes of one code each: those of a column without an order."""
        return cls(first=np.arange(size), size=size)

    @classmethod
    def of(cls, law: Array, *, most: int, missing: bool) -> "Modes":
        """Return the modes of an ordered column: clusters of its law.

        Weighted k-means on a line, the limit of a Gaussian mixture with small equal variances,
        started from quantiles; clusters of neighbouring codes are runs.

        Args:
            law: the estimated law of the codes.
            most: largest number of modes.
            missing: whether the last code is a missing value, which is a mode of its own.
        """
        values = len(law) - missing
        weight = np.maximum(law[:values], 1e-12)
        codes = np.arange(values, dtype=np.float64)
        reached = np.cumsum(weight) / weight.sum()
        centres = np.unique(np.searchsorted(reached, (np.arange(most) + 0.5) / most)).astype(float)
        nearest = np.zeros(values, dtype=np.intp)
        for _ in range(_ROUNDS):
            nearest = np.abs(codes[:, None] - centres).argmin(axis=1)
            known, nearest = np.unique(nearest, return_inverse=True)
            mass = np.bincount(nearest, weights=weight, minlength=len(known))
            centres = np.bincount(nearest, weights=weight * codes) / mass
        first = np.flatnonzero(np.diff(nearest, prepend=-1))
        return cls(first=np.append(first, values) if missing else first, size=len(law))

    @property
    def mode(self) -> NDArray[np.int64]:
        """The mode of each code."""
        return np.searchsorted(self.first, np.arange(self.size), side="right") - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of codes of each mode."""
        return np.diff(np.append(self.first, self.size))

    @property
    def numbers(self) -> Array:
        """The number of each code within its mode: evenly between -1 and 1, and 0 if alone."""
        steps = self.lengths[self.mode]
        return (2.0 * (np.arange(self.size) - self.first[self.mode]) + 1.0) / steps - 1.0

    def code(self, mode: NDArray[np.int64], number: Array, cuts: Array) -> NDArray[np.int64]:
        """Return the code of each mode and number.

        Args:
            mode: one a row.
            number: likewise, from -1 to 1.
            cuts: the upper end of each code's numbers (`even_cuts`, or fitted ones).
        """
        # Modes are told apart by whole numbers, so that one sorted list serves all of them.
        ends = cuts + 4.0 * self.mode
        found = np.searchsorted(ends, np.clip(number, -1.0, 1.0) + 4.0 * mode, side="left")
        return np.minimum(
            np.maximum(found, self.first[mode]), (self.first + self.lengths)[mode] - 1
        )

    def even_cuts(self) -> Array:
        """Return cuts half-way between the numbers of codes."""
        return self.numbers + 1.0 / self.lengths[self.mode]

    def fitted_cuts(self, law: Array, mode: NDArray[np.int64], number: Array) -> Array:
        """Return cuts at which numbers, drawn in each mode, become codes of the law wanted.

        The order of numbers stays, so what they have to do with other columns stays too.

        Args:
            law: the estimated law of the codes.
            mode: of rows that were generated.
            number: likewise.
        """
        cuts = self.even_cuts()
        for at, (start, length) in enumerate(zip(self.first, self.lengths, strict=True)):
            drawn = number[mode == at]
            if length > 1 and len(drawn):
                run = slice(start, start + length)
                reached = np.cumsum(law[run]) / law[run].sum()
                cuts[run] = np.quantile(drawn, np.clip(reached, 0.0, 1.0))
        return cuts


def blocks(modes: Sequence[Modes], shares: Sequence[Array]) -> list[Array]:
    """Return the law of each column's modes.

    Args:
        modes: of each column.
        shares: the law of its codes.
    """
    return [np.add.reduceat(law, of.first) for of, law in zip(modes, shares, strict=True)]
