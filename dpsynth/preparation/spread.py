"""From noisy counts of values and intervals to bins, and to how values spread within them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.interpolation import bins_of, curve_shares
from dpsynth.data.numeric import Piece

Array = NDArray[np.float64]

_FIRM = 3.0
"""Standard deviations beyond which a sum of noisy counts is not taken for noise."""

_TELLING = 2.0
"""The same for what the counts of a declared bin say beyond its sum, and for that sum."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Spread:
    """Where the values of a column lie: post-processing of what was bought.

    Args:
        edges: of intervals, rising.
        inside: number of records in each interval, less those at its atoms; at least 0.
        atoms: single values, rising.
        at: number of records at each atom; at least 0.
        whole: whether values are whole numbers; the last edge is then one past the last value.
    """

    edges: Array
    inside: Array
    atoms: Array
    at: Array
    whole: bool

    def pieces(self) -> list[Piece]:
        """Return intervals and atoms in order, those without records left out.

        An interval is cut at the atoms in it, and its records fall to its parts by width.
        """
        found: list[Piece] = []
        for start, stop, records in zip(self.edges, self.edges[1:], self.inside, strict=False):
            within = np.flatnonzero((self.atoms >= start) & (self.atoms < stop))
            if stop == self.edges[-1] and not self.whole:
                within = np.flatnonzero((self.atoms >= start) & (self.atoms <= stop))
            parts: list[tuple[float, float]] = []
            left = float(start)
            for i in within:
                value = float(self.atoms[i])
                parts.append((left, value))
                left = self._after(value)
            parts.append((left, float(stop)))
            widths = [max(0.0, high - low) for low, high in parts]
            width = sum(widths) or 1.0
            for k, (low, high) in enumerate(parts):
                if records * widths[k] > 0:
                    found.append((low, high, float(records * widths[k] / width)))
                if k < len(within) and self.at[within[k]] > 0:
                    value = float(self.atoms[within[k]])
                    end = value + 1 if self.whole else value
                    found.append((value, end, float(self.at[within[k]])))
        return found

    def _after(self, value: float) -> float:
        return value + 1 if self.whole else float(np.nextafter(value, np.inf))


def grouped(pieces: Sequence[Piece], *, bins: int, least: float) -> list[int]:
    """Return the position of the first piece of each group of neighbouring pieces.

    The two neighbours that hold the fewest records together become one, until there are at most
    `bins` groups and no two neighbours hold fewer than `least`: groups of about equal size, in
    which a value that many records share stays alone.

    Args:
        pieces: in order, at least one.
        bins: largest number of groups.
        least: records that a pair of groups should hold.
    """
    first = list(range(len(pieces)))
    mass = np.array([weight for _, _, weight in pieces])
    while len(first) > 1:
        together = mass[:-1] + mass[1:]
        i = int(np.argmin(together))
        if len(first) <= bins and together[i] >= least:
            break
        mass = np.delete(mass, i + 1)
        mass[i] = together[i]
        del first[i + 1]
    return first


def nonnegative(counts: Array) -> Array:
    """Return the nearest counts of at least 0 with the same sum (0 where that is negative)."""
    total = max(float(counts.sum()), 0.0)
    falling = np.sort(counts)[::-1]
    excess = (np.cumsum(falling) - total) / np.arange(1, len(counts) + 1)
    kept = np.flatnonzero(falling > excess)
    return np.maximum(counts - (excess[kept[-1]] if len(kept) else falling[0]), 0.0)


def supported(counts: Array, sigma: float) -> Array:
    """Return noisy counts with 0 beyond the outermost ones that noise does not explain.

    A tail of many small counts is seen in their sum: of the halves of an interval whose sum is
    larger than its noise makes likely, the outer one is looked into where it is so too, else the
    inner one, until neither is.

    Args:
        counts: of neighbouring intervals.
        sigma: standard deviation of the noise in each.
    """
    start = _reach(counts[::-1], sigma)
    stop = _reach(counts, sigma)
    kept = np.zeros_like(counts)
    first = len(counts) - start
    kept[first:stop] = counts[first:stop]
    return kept


def told(counts: Array, ends: Array, *, bins: Array, atoms: Array, sigma: float) -> Array:
    """Return noisy counts of the parts of declared bins, drawn towards what is known without them.

    That is a curve through the sums of all bins. What the parts of a bin say beyond it is shrunk
    by how much of its size is noise (James and Stein), and where all of it may be, the bin is left
    to the curve of the model's own counts, which are less noisy: all its parts are 0. A bin that
    has frequent values and a firm sum beside them keeps the curve.

    Args:
        counts: of the parts, without records at `atoms`.
        ends: of the parts, the edges of bins among them.
        bins: edges of the bins.
        atoms: frequent values.
        sigma: standard deviation of the noise in each count.

    Reference: Efron & Morris 1973, equation 1.5, for the positive part of the shrunk.
    """
    own = bins_of(bins, ends)
    parts = np.bincount(own)
    sums = np.maximum(np.bincount(own, weights=counts), 0.0)
    expected = curve_shares(bins, sums, ends) * sums[own]
    beyond = counts - expected
    beyond -= (np.bincount(own, weights=beyond) / parts)[own]
    misfit = np.bincount(own, weights=beyond**2) / sigma**2
    freedom = parts - 1
    telling = misfit > freedom + _TELLING * np.sqrt(2 * freedom)
    kept = np.where(telling, 1 - freedom / np.where(telling, misfit, 1.0), 0.0)
    found = expected + kept[own] * beyond
    # Of which bin an atom is: as if it were the end of a part, which it may share.
    held = np.isin(np.arange(len(parts)), bins_of(bins, np.append(atoms, np.inf)))
    held &= sums > _TELLING * sigma * np.sqrt(parts)
    found[~(telling | held)[own]] = 0.0
    for b in np.flatnonzero(telling):
        found[own == b] = nonnegative(found[own == b])
    return found


def _reach(counts: Array, sigma: float) -> int:
    """Return how many counts there are up to the last that noise does not explain."""
    sums = np.concatenate([[0.0], np.cumsum(counts)])

    def held(start: int, stop: int) -> bool:
        return bool(sums[stop] - sums[start] > _FIRM * sigma * sqrt(stop - start))

    start, stop = 0, len(counts)
    while stop - start > 1:
        middle = (start + stop) // 2
        if held(middle, stop):
            start = middle
        elif held(start, middle):
            stop = middle
        else:
            break
    return stop
