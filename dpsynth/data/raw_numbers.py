"""The distinct numbers of a column in order, and how often each occurs: in memory or in a file."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Counted: TypeAlias = tuple[Array, NDArray[np.int64]]
"""Distinct numbers in order, and how often each occurs."""

CHUNK = 2**18
"""Distinct numbers that are worked on at a time: what is made of them on the way stays small."""
# Of so many numbers in a file one is kept in memory, so that a search reads a page.
STRIDE = 512


class Vector(ABC):
    """Numbers that are elsewhere, of which parts are read."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, rows: slice) -> NDArray[Any]: ...


@final
class RawNumbers:
    """The numbers of a column, sorted and each once, with their counts: secret.

    Histograms, frequent values and trees ask for no more; the order of the records is not in it.

    Args:
        values: distinct finite numbers, rising.
        ends: for each the number of records up to it, its own included.
        index: every `STRIDE`th of the values.
        missing: records without a number.
    """

    def __init__(
        self,
        values: NDArray[Any] | Vector,
        ends: NDArray[Any] | Vector,
        index: Array,
        missing: int,
    ) -> None:
        self._values, self._ends, self._index = values, ends, index
        self.missing = missing

    @classmethod
    def counted(cls, counted: Counted, missing: int) -> "RawNumbers":
        """Return numbers that are in memory, with their counts."""
        values, counts = counted
        return cls(values, np.cumsum(counts), values[::STRIDE], missing)

    @classmethod
    def of(cls, numbers: Array) -> "RawNumbers":
        """Return the numbers of records, NaN where one is missing."""
        present = numbers[~np.isnan(numbers)]
        values, counts = np.unique(present, return_counts=True)
        return cls.counted((values, counts.astype(np.int64)), len(numbers) - len(present))

    def __repr__(self) -> str:
        return "RawNumbers()"

    def __len__(self) -> int:
        return len(self._values)

    @property
    def index(self) -> Array:
        """Every `STRIDE`th distinct number."""
        return self._index

    @property
    def present(self) -> int:
        """How many records have a number."""
        return self._up_to(len(self))

    def below(self, number: float) -> int:
        """Return how many records have a number less than `number`."""
        return self._up_to(self.position(number))

    def position(self, number: float) -> int:
        """Return how many distinct numbers are less than `number`."""
        block = int(np.searchsorted(self._index, number, side="left"))
        start = max(block - 1, 0) * STRIDE
        held = self._values[start : start + STRIDE]
        return start + int(np.searchsorted(held, number, side="left"))

    def part(self, start: int, stop: int) -> Counted:
        """Return the distinct numbers at positions from `start` to `stop`, and their counts."""
        ends = self._ends[start:stop]
        counts = np.diff(ends, prepend=self._up_to(start)) if start < stop else ends
        return self._values[start:stop], counts

    def distinct(self) -> Iterator[Counted]:
        """Yield distinct numbers and their counts in order, some at a time; once at least."""
        for start in range(0, max(len(self), 1), CHUNK):
            yield self.part(start, min(start + CHUNK, len(self)))

    def tallied(self, codes: Callable[[Array], NDArray[np.int64]], size: int) -> NDArray[np.int64]:
        """Return the number of records in each of `size` cells.

        Args:
            codes: numbers -> their cells; NaN, too, has one.
            size: number of cells.
        """
        total = np.zeros(size, dtype=np.int64)
        for values, counts in self.distinct():
            # Sums of whole numbers below 2**53 are exact.
            found = np.bincount(codes(values), weights=counts, minlength=size)
            total += found.astype(np.int64)
        if self.missing:
            total[codes(np.array([np.nan]))[0]] += self.missing
        return total

    def _up_to(self, position: int) -> int:
        return int(self._ends[position - 1 : position][0]) if position else 0


def together(parts: Iterable[Counted]) -> Counted:
    """Return distinct numbers, and counts of several parts added up."""
    several = list(parts)
    values = np.concatenate([part[0] for part in several])
    counts = np.concatenate([part[1] for part in several])
    if len(values) == 0:
        return values, counts
    order = np.argsort(values, kind="stable")  # which knows sorted parts, and joins them
    values = values[order]
    first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return values[first], np.add.reduceat(counts[order], first)


def merged(runs: Sequence[RawNumbers]) -> Iterator[Counted]:
    """Yield the distinct numbers of several sequences in order, some `CHUNK` at a time.

    Memory holds the indices of all, and a part of each.
    """
    samples = np.sort(np.concatenate([run.index for run in runs]))
    bounds = np.unique(samples[:: CHUNK // STRIDE])[1:]
    starts = [0] * len(runs)
    for bound in [*bounds.tolist(), inf]:
        stops = [run.position(bound) for run in runs]
        parts = zip(runs, starts, stops, strict=True)
        yield together(run.part(start, stop) for run, start, stop in parts)
        starts = stops
