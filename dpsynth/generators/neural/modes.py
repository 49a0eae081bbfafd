"""Ordered columns as runs of neighbouring codes, from their bought histograms."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

Array = NDArray[np.float64]
# Of entropy, in nats: a run that 14 of 10,000 records are in is cut no further.
_LEAST_GAIN = 0.001


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Modes:
    """Runs of neighbouring codes.

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
        """Return the modes of an ordered column: the runs that tell most of a record.

        They are cut in two, one after another, where the entropy of modes grows most. So a code
        that many records have is a mode of its own, and the long tail beside it is not one with it.

        Args:
            law: the estimated law of the codes.
            most: largest number of modes.
            missing: whether the last code is a missing value, which is a mode of its own.
        """
        size = len(law)
        reached = np.concatenate([[0.0], np.cumsum(law / law.sum())])
        first = [0, size - 1] if missing and size > 1 else [0]
        while len(first) < most + missing:
            runs = zip(first, [*first[1:], size], strict=True)
            gain, cut = max(_best_cut(reached, start, end) for start, end in runs)
            if gain < _LEAST_GAIN:
                break
            first = sorted([*first, cut])
        return cls(first=np.array(first), size=size)

    @property
    def mode(self) -> NDArray[np.int64]:
        """The mode of each code."""
        return np.searchsorted(self.first, np.arange(self.size), side="right") - 1

    def shares(self, law: Array) -> Array:
        """Return the law of the modes, given that of the codes."""
        return np.add.reduceat(law, self.first)

    def drawn(
        self, law: Array, mode: NDArray[np.int64], *, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Return a code within each mode, drawn from the column's law.

        Args:
            law: the estimated law of the codes.
            mode: one a row.
            rng: source of the draws.
        """
        reached = np.cumsum(law)
        before = np.concatenate([[0.0], reached])[self.first]
        wanted = before[mode] + self.shares(law)[mode] * rng.random(len(mode))
        last = np.append(self.first[1:], self.size) - 1
        found = np.searchsorted(reached, wanted, side="right")
        return np.clip(found, self.first[mode], last[mode])


def _best_cut(reached: Array, start: int, end: int) -> tuple[float, int]:
    """Return what the best cut of a run adds to the entropy of modes, and where it is.

    Args:
        reached: the share of records below each code.
        start, end: the run.
    """
    if end - start < 2:
        return 0.0, start
    left = reached[start + 1 : end] - reached[start]
    right = reached[end] - reached[start + 1 : end]
    gains = entr(left) + entr(right) - entr(reached[end] - reached[start])
    at = int(gains.argmax())
    return float(gains[at]), start + 1 + at
