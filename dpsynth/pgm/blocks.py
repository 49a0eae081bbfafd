"""Rows in blocks of bounded size that add up as one large sample does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.grouping import mixed_radix
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.sampling import assigned, conditional, ordered, sample_codes, systematic_counts

BLOCK_ROWS = 2**18
"""Rows that are drawn at a time."""

# Products of two row counts must stay below 2**63.
_MOST_ROWS = 2**44

Codes = NDArray[np.integer[Any]]
Counts = NDArray[np.int64]


def sample_blocks(
    tree: JunctionTree,
    marginals: Sequence[NDArray[np.float64]],
    n: int,
    *,
    rng: np.random.Generator,
    block: int = BLOCK_ROWS,
) -> Iterator[Codes]:
    """Yield `n` rows of codes, `block` at a time; a single block is what `sample_codes` returns.

    Several blocks share out the counts of the whole: first every cell of every clique gets its
    number of the `n` rows, rounded as `sample_codes` rounds it; then each block takes its part of
    what is left, by systematic sampling in whole numbers, and the last block takes the rest. So
    the boundaries between blocks add no error to a marginal inside a clique, and each block is
    itself close to the model. What blocks do not share is which rows of a group get which value:
    across cliques they are as independent as rows of different samples.

    Memory is that of one block and of two whole numbers a cell of the tree, whatever `n` is.

    Args:
        tree: where the marginals live.
        marginals: probabilities of each clique's cells, consistent with one another.
        n: number of rows, at least 1.
        rng: source of the rounding and of the order within a group.
        block: largest number of rows of a block.

    Raises:
        InvalidValueError: more than 2**44 rows.

    Reference: Madow 1949 (systematic sampling).
    """
    if n > _MOST_ROWS:
        raise InvalidValueError("n", n, "at most 2**44")
    if n <= block:
        yield sample_codes(tree, marginals, n, rng=rng)
        return
    steps = _allocate(tree, marginals, n, rng=rng)
    dtype = np.min_scalar_type(max(tree.domain.shape) - 1)
    for start in range(0, n, block):
        shape = min(block, n - start), len(tree.domain.attributes)
        rows = np.zeros(shape, dtype=dtype, order="F")
        for step in steps:
            step.fill(rows, rng=rng)
        yield rows


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Step:
    """How many rows are still to come of each value of one attribute, in each group.

    Args:
        axis: column of the attribute.
        known: columns that make up the group.
        sizes: numbers of codes of these.
        left: rows to come: one row a group, one column a value; it is counted down.
    """

    axis: int
    known: tuple[int, ...]
    sizes: tuple[int, ...]
    left: Counts

    def fill(self, rows: Codes, *, rng: np.random.Generator) -> None:
        """Write the attribute's column of a block whose known columns are there."""
        key = mixed_radix(rows, self.known, self.sizes)
        members = np.bincount(key, minlength=len(self.left))
        groups = np.flatnonzero(members)
        counts = part_of(self.left[groups], members[groups], rng=rng)
        self.left[groups] -= counts
        rows[:, self.axis] = assigned(key, counts, groups=len(self.left), rng=rng)


def part_of(left: Counts, members: Counts, *, rng: np.random.Generator) -> Counts:
    """Return how many of each group's rows get each value, none more often than it is left.

    Each entry is its share of `members` rounded down or up, and equals it on average: whole
    numbers all the way, so that sums are exact and what is not left is never taken.

    Args:
        left: rows to come: one row a group, one column a value; no group is empty.
        members: rows of each group in this block, at most as many as are left of it.
        rng: one whole offset a group.
    """
    cumulative = np.cumsum(left, axis=1)
    total = cumulative[:, -1:]
    offset = rng.integers(0, total)
    return np.diff((cumulative * members[:, None] + offset) // total, axis=1, prepend=0)


def _allocate(
    tree: JunctionTree,
    marginals: Sequence[NDArray[np.float64]],
    n: int,
    *,
    rng: np.random.Generator,
) -> list[_Step]:
    """Return the steps of the whole sample, attribute after attribute from the root outwards."""
    domain = tree.domain
    steps: list[_Step] = []
    cells: list[Counts] = []  # of each clique, axes in the order of the next list
    orders: list[Clique] = []
    cliques = zip(tree.cliques, tree.parents, tree.separators, marginals, strict=True)
    for clique, parent, separator, marginal in cliques:
        known = _several(domain, separator)
        members = np.array([n])
        if parent >= 0:
            gone = tuple(i for i, a in enumerate(orders[parent]) if a not in known)
            kept = [a for a in orders[parent] if a in known]
            members = cells[parent].sum(axis=gone).transpose([kept.index(a) for a in known])
        for attribute in (a for a in _several(domain, clique) if a not in separator):
            joint = ordered(clique, marginal, (*known, attribute))
            members = _counts(joint, members.ravel(), rng=rng)
            axes = domain.axes((*known, attribute))
            sizes = joint.shape[:-1]
            steps.append(_Step(axis=axes[-1], known=axes[:-1], sizes=sizes, left=members))
            known = (*known, attribute)
        cells.append(members.reshape([domain.sizes[a] for a in known]))
        orders.append(known)
    return steps


def _several(domain: Domain, attributes: Clique) -> Clique:
    """Return those that have a choice; the code of any other is 0."""
    return tuple(a for a in attributes if domain.sizes[a] > 1)


def _counts(joint: NDArray[np.float64], members: Counts, *, rng: np.random.Generator) -> Counts:
    """Return the rows of each value in each group of the whole sample."""
    flat = joint.reshape(-1, joint.shape[-1])
    counts = np.zeros(flat.shape, dtype=np.int64)
    groups = np.flatnonzero(members)
    counts[groups] = systematic_counts(conditional(flat[groups]), members[groups], rng=rng)
    return counts
