"""What counts of ordered codes probably were before noise: shares halved again and again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.pgm.column_kinds import NUMBERS, PLACES, Halving, Kind, place_of
from dpsynth.pgm.share_laws import shares_below

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

_POINTS = 48
"""Places where the count of a stretch is looked for."""
_REACH = 6.0
"""How far from the noisy sum, in deviations; beyond, evidence falls as a Gaussian does."""
_IMPOSSIBLE = -1e300  # log-evidence
_CHUNK = 2**17  # numbers in one array of pairs of counts


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """Stretches after as many halvings; the halves of those of several codes are the next level.

    Args:
        low: first code of each stretch.
        high: the code after its last one.
        neighbours: whether all its codes stand in an order, so that they may be level.
        halvings: of the stretches of more than one code.
    """

    low: Indices
    high: Indices
    neighbours: NDArray[np.bool_]
    halvings: tuple[Halving, ...]

    @cached_property
    def halved(self) -> Indices:
        """The stretches of more than one code."""
        return np.flatnonzero(self.high - self.low > 1)


def levels_of(codes: int, *, ordered: int) -> list[Level]:
    """Return all stretches of codes of which the first `ordered` are neighbours, the whole first.

    Each other code is split off the whole before.
    """
    spans, found = [(0, codes)], list[Level]()
    while spans:
        low, high = np.array(spans, dtype=np.intp).T
        depth = len(found) - (codes - ordered)
        halves, halvings = list[tuple[int, int]](), list[Halving]()
        for start, end in spans:
            if end - start == 1:
                continue
            middle = (start + end) // 2 if end <= ordered else end - 1
            halves += [(start, middle), (middle, end)]
            place = place_of(start, depth) if end <= ordered else len(PLACES)
            halvings.append(Halving(place=place, first=middle - start, second=end - middle))
        level = Level(low=low, high=high, neighbours=high <= ordered, halvings=tuple(halvings))
        found.append(level)
        spans = halves
    return found


def cascade_counts(
    values: Array,
    *,
    sigma: float,
    total: float,
    ordered: int,
    kinds: Sequence[Kind] = NUMBERS,
) -> Array:
    """Return the expected counts of ordered codes given noisy ones, summing to `total`.

    A priori a stretch of codes is level with a small probability, and otherwise its count is shared
    by its two halves, in shares of a mixture of beta laws. So are those of the halves, down to
    single codes (a Polya tree). The mixtures are those of a few kinds of columns (`column_kinds`),
    whose answers are averaged by how probable each makes the values. The evidence of a stretch is
    a function of its count, from which follows that of the stretch it is half of; chances of
    counts are passed back. Exact but for the grids of counts.

    Args:
        values: noisy counts, one axis, at least one.
        sigma: standard deviation of their Gaussian noise.
        total: number of records, above 0.
        ordered: how many of the first codes stand in an order; each other is a code of its own.
        kinds: what columns may be like.

    Reference: Lavine 1992 (Polya trees); Ma 2017 (stretches left level); Pearl 1988, section 4
        (messages up and down a tree).
    """
    if values.size == 1:
        return np.full(1, total)
    levels = levels_of(values.size, ordered=ordered)
    stages = [_Stage.of(at, values, kinds, sigma=sigma, total=total) for at in levels]
    for stage, halves in reversed([*pairwise(stages)]):
        stage.gather(halves)
    found = np.zeros(values.size)
    chances = stages[0].likely_kinds()
    for stage, halves in zip(stages, [*stages[1:], None], strict=True):
        stage.spread(chances, found)
        chances = chances if halves is None else stage.scatter(chances, halves)
    return found * (total / found.sum())


@final
@dataclass(kw_only=True, eq=False)
class _Stage:
    """One level: for each stretch a grid of counts, and what each kind of columns says of them.

    Args:
        at: the stretches.
        kinds: what columns may be like.
        low: least count of each grid, in records.
        step: distance between its counts; 0 of the whole, whose count is known.
        deviation: of the noise of each stretch's sum.
        evidence: kinds x stretches x counts: log-likelihood of the values in the stretch.
        level: of the same shape: how probably the stretch is level.
        shares: for each chunk of the halved stretches, and each count (third axis), how probable
            each of the first half is (fourth), if they are not level.
    """

    at: Level
    kinds: Sequence[Kind]
    low: Array
    step: Array
    deviation: Array
    evidence: Array
    level: Array
    shares: list[NDArray[np.float32]] = field(default_factory=list)

    @classmethod
    def of(
        cls, at: Level, values: Array, kinds: Sequence[Kind], *, sigma: float, total: float
    ) -> Self:
        """Return the stage as if every stretch were level, which those of one code are."""
        sizes = at.high - at.low
        ends = np.stack([at.low, at.high], axis=1).ravel()
        rough = np.append(values, 0.0)  # an end may be the number of values
        sums = np.add.reduceat(rough, ends)[::2]
        for low, high, mean in zip(at.low, at.high, sums / sizes, strict=True):
            rough[low:high] -= mean
        squares = np.add.reduceat(rough**2, ends)[::2]
        deviation = sigma * np.sqrt(sizes)
        # A total that is not the sum of the values moves them all.
        moved = sums + (total - values.sum()) * sizes / values.size
        low, high = np.minimum(sums, moved), np.maximum(sums, moved)
        low = np.clip(low - _REACH * deviation, 0.0, np.maximum(total - deviation, 0.0))
        high = np.clip(high + _REACH * deviation, np.minimum(deviation, total), total)
        if len(sizes) == 1 and sizes[0] == len(values):
            low, high = np.full(1, total), np.full(1, total)
        step = (high - low) / (_POINTS - 1)
        counts = low[:, None] + step[:, None] * np.arange(_POINTS)
        misses = (counts - sums[:, None]) ** 2 / sizes[:, None] + squares[:, None]
        return cls(
            at=at,
            kinds=kinds,
            low=low,
            step=step,
            deviation=deviation,
            evidence=np.stack([-0.5 * misses / sigma**2] * len(kinds)),
            level=np.ones((len(kinds), *counts.shape)),
        )

    @property
    def counts(self) -> Array:
        """The counts of all grids."""
        return self.low[:, None] + self.step[:, None] * np.arange(_POINTS)

    def gather(self, halves: "_Stage") -> None:
        """Take in what the halves say, if the stretches are not level."""
        for part in self._chunks():
            rows = self.at.halved[part]
            shares = self._shared(rows, part, halves)
            highest = np.maximum(shares.max(axis=3, keepdims=True), _IMPOSSIBLE)
            shares = np.exp(np.subtract(shares, highest, out=shares), out=shares)
            sums = np.maximum(shares.sum(axis=3, keepdims=True), np.finfo(np.float64).tiny)
            self.shares.append((shares / sums).astype(np.float32))
            shared = (np.log(sums) + highest)[:, :, :, 0]
            split = np.array([kind.split for kind in self.kinds])[:, None, None]
            with np.errstate(divide="ignore"):
                level = np.log1p(-split) + self.evidence[:, rows]
            level[:, ~self.at.neighbours[rows]] = -np.inf
            both = np.logaddexp(level, np.log(split) + shared)
            self.level[:, rows] = np.exp(level - both)
            self.evidence[:, rows] = both

    def likely_kinds(self) -> Array:
        """Return how probable each kind is, the stretch being the whole: its grid has one count, as
        often as places."""
        logs = self.evidence[:, :, :1] + np.log([[[kind.weight]] for kind in self.kinds])
        chances = np.exp(logs - logs.max())
        return np.repeat(chances / (_POINTS * chances.sum()), _POINTS, axis=2)

    def scatter(self, chances: Array, halves: "_Stage") -> Array:
        """Return the chances of the halves' counts, from those of the stretches' counts."""
        found = np.zeros_like(halves.evidence)
        for part, shares in zip(self._chunks(), self.shares, strict=True):
            rows = self.at.halved[part]
            joint = shares * (chances[:, rows] * (1 - self.level[:, rows]))[:, :, :, None]
            first = _firsts(part)
            found[:, first] = joint.sum(axis=2)
            place, over = halves.place(first + 1, self._rest(rows, first, halves))
            over = np.clip(over, 0.0, 1.0)
            place += _POINTS * np.arange(len(rows))[:, None, None]
            size = len(rows) * _POINTS
            for kind, of in enumerate(joint):
                other = np.bincount(place.ravel(), (of * (1 - over)).ravel(), size)
                other += np.bincount(place.ravel() + 1, (of * over).ravel(), size)
                found[kind, first + 1] = other.reshape(len(rows), _POINTS)
        return found

    def spread(self, chances: Array, found: Array) -> None:
        """Add to `found` the expected counts of the codes of stretches that are level."""
        expected = (chances * self.level * self.counts).sum(axis=(0, 2))
        for low, high, count in zip(self.at.low, self.at.high, expected, strict=True):
            found[low:high] += count / (high - low)

    def place(self, rows: Indices, counts: Array) -> tuple[Indices, Array]:
        """Return the place of counts in the grids of `rows`, and how far on they are to the next:
        from 0 to 1, but beyond the grids."""
        step = np.maximum(self.step[rows], 1e-300)[:, None, None]
        where = (counts - self.low[rows][:, None, None]) / step
        place = np.clip(where, 0.0, _POINTS - 2.0).astype(np.intp)
        return place, where - place

    def _chunks(self) -> list[slice]:
        rows, size = len(self.at.halved), max(1, _CHUNK // (len(self.kinds) * _POINTS**2))
        return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]

    def _rest(self, rows: Indices, first: Indices, halves: "_Stage") -> Array:
        """Return the counts of second halves, for those of stretches and of their first halves."""
        return self.counts[rows][:, :, None] - halves.counts[first][:, None, :]

    def _shared(self, rows: Indices, part: slice, halves: "_Stage") -> Array:
        """Return the log-evidence of counts of stretches (third axis) and of their first halves."""
        first = _firsts(part)
        edges = halves.counts[first] + 0.5 * halves.step[first][:, None]
        totals = np.maximum(self.counts[rows], 1e-300)
        below = np.zeros((len(self.kinds), len(rows), _POINTS, _POINTS + 1))
        shares = edges[:, None, :-1] / totals[:, :, None]
        below[:, :, :, 1:-1] = shares_below(self.kinds, shares, self.at.halvings[part])
        below[:, :, :, -1] = 1.0  # what lies beyond a grid is at its ends
        with np.errstate(divide="ignore"):
            prior = np.log(np.maximum(np.diff(below, axis=3), 0.0))
        place, over = halves.place(first + 1, self._rest(rows, first, halves))
        known, index = halves.evidence[:, first + 1], np.arange(len(first))[:, None, None]
        here = known[:, index, place]
        slope = known[:, index, place + 1] - here
        inside = np.clip(over, 0.0, 1.0)
        steps = halves.step[first + 1] / halves.deviation[first + 1]
        curve = 0.5 * ((over - inside) * steps[:, None, None]) ** 2
        other = here + inside * slope + np.minimum((over - inside) * slope, 0.0) - curve
        return prior + halves.evidence[:, first][:, :, None, :] + other


def _firsts(part: slice) -> Indices:
    """Return where the next level has the first halves of a chunk of the halved stretches."""
    return 2 * np.arange(part.start, part.stop)
