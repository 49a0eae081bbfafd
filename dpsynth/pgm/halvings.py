"""Ways of cutting ordered codes into stretches of equal counts, all weighed at once."""

from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_SPLIT = 0.7
"""Prior probability that a stretch of more than one code is halved and not left level."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Halvings:
    """The stretches that repeated halving of ordered codes leads to, and codes without an order.

    Level by level: the halves of a stretch stand after it. A cutting is a set of stretches that
    covers every code once.

    Args:
        low: first code of each stretch.
        high: the code after its last one.
        left: index of its first half, -1 where it is one code; the other half is the next one.
        roots: which stretches are half of none.
        depths: index at which each level starts, and the number of stretches.
    """

    low: Indices
    high: Indices
    left: Indices
    roots: Indices
    depths: tuple[int, ...]

    @classmethod
    def of(cls, codes: int, *, ordered: int) -> Self:
        """Return the stretches of the first `ordered` codes; each other code stands alone."""
        whole = [(0, ordered)] if ordered else []
        level = whole + [(code, code + 1) for code in range(ordered, codes)]
        roots, found, left, depths = len(level), list(level), list[int](), [0]
        while level:
            depths.append(len(found))
            halves: list[tuple[int, int]] = []
            for low, high in level:
                middle = (low + high) // 2
                left.append(len(found) + len(halves) if high - low > 1 else -1)
                halves += [(low, middle), (middle, high)] if high - low > 1 else []
            found, level = found + halves, halves
        low, high = np.array(found, dtype=np.intp).reshape(-1, 2).T
        return cls(
            low=low,
            high=high,
            left=np.array(left, dtype=np.intp),
            roots=np.arange(roots),
            depths=tuple(depths),
        )

    @property
    def sizes(self) -> Array:
        """Number of codes of each stretch."""
        return (self.high - self.low).astype(np.float64)

    def sums(self, values: Array) -> Array:
        """Return the sum over each stretch of values of the codes."""
        running = np.concatenate([[0.0], np.cumsum(values)])
        return running[self.high] - running[self.low]

    def weigh(self, likely: Array) -> tuple[Array, Array]:
        """Return the log-evidence of all cuttings together, and the probability of each stretch.

        A stretch is halved with one prior probability wherever it stands, so that what its codes
        say sums over all its cuttings by one rule: its own evidence, or the product of its halves'.

        Args:
            likely: hypotheses x stretches: log-likelihood of its codes when they are level.

        Returns:
            For each hypothesis, and hypotheses x stretches: how probably it is part of the cutting.
        """
        together, split = likely.copy(), np.zeros_like(likely)
        for start, end in zip(self.depths[-2::-1], self.depths[:0:-1], strict=True):
            (cut,) = np.nonzero(self.left[start:end] >= 0)
            at, half = cut + start, self.left[start:end][cut]
            halves = np.log(_SPLIT) + together[:, half] + together[:, half + 1]
            together[:, at] = np.logaddexp(halves, np.log1p(-_SPLIT) + likely[:, at])
            split[:, at] = np.exp(halves - together[:, at])
        reached = np.zeros_like(likely)
        reached[:, self.roots] = 1.0
        for start, end in zip(self.depths, self.depths[1:], strict=False):
            (cut,) = np.nonzero(self.left[start:end] >= 0)
            at, half = cut + start, self.left[start:end][cut]
            reached[:, half] = reached[:, half + 1] = reached[:, at] * split[:, at]
        return together[:, self.roots].sum(axis=1), reached * (1 - split)

    def spread(self, levels: Array) -> Array:
        """Return for each code the sum of the levels of the stretches that hold it."""
        changes = np.zeros(int(self.high.max()) + 1)
        np.add.at(changes, self.low, levels)
        np.add.at(changes, self.high, -levels)
        return np.cumsum(changes)[:-1]
