"""Counts of many k-way contingency tables, fast: one `bincount` a table, in record order."""

from collections.abc import Iterator
from itertools import combinations
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from dpsynth.evaluation.sample import Sample

KSet = tuple[int, ...]

DENSE_CELLS = 2**18
"""A table with more cells than this, and than records, is counted over its occupied cells only."""


def choose_sets(columns: int, k: int, *, limit: int, seed: int) -> list[KSet]:
    """Return the k-sets of columns to compare, in lexicographic order.

    Args:
        columns: number of columns; with fewer than `k`, the set of all of them is returned.
        k: columns a set.
        limit: most sets; when there are more, a uniform sample without replacement.
        seed: seed of that sample: two scores compare only over the same sets.
    """
    size = min(k, columns)
    total = comb(columns, size)
    if total <= limit:
        return list(combinations(range(columns), size))
    generator = np.random.Generator(np.random.PCG64(seed))
    chosen: set[KSet] = set()
    while len(chosen) < limit:
        chosen.add(tuple(sorted(generator.choice(columns, size, replace=False).tolist())))
    return sorted(chosen)


def frequencies(
    real: Sample, synthetic: Sample, sets: list[KSet]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]]:
    """Yield, for each set, the frequencies of its cells in both samples.

    Yields:
        Real frequencies, synthetic frequencies (both sum to one; cells empty in both may be left
        out), and the cell of each synthetic record.
    """
    for chosen in sets:
        cells = prod(real.sizes[i] for i in chosen)
        first, second = _cells(real, chosen), _cells(synthetic, chosen)
        if cells > max(DENSE_CELLS, len(real) + len(synthetic)):
            occupied, inverse = np.unique(np.concatenate([first, second]), return_inverse=True)
            cells, first, second = occupied.size, inverse[: len(real)], inverse[len(real) :]
        yield (
            np.bincount(first, minlength=cells) / len(real),
            np.bincount(second, minlength=cells) / len(synthetic),
            second,
        )


def _cells(sample: Sample, chosen: KSet) -> NDArray[np.intp]:
    index = sample.columns[chosen[0]]
    for i in chosen[1:]:
        index = index * sample.sizes[i] + sample.columns[i]
    return index
