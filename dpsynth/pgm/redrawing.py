"""Rows whose pairs of attributes are as frequent as the model has them, to within rounding."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Domain
from dpsynth.pgm.gibbs import Gibbs
from dpsynth.pgm.independent_rows import cell_of
from dpsynth.pgm.model import GraphicalModel

Codes = NDArray[np.integer[Any]]
Places = NDArray[np.intp]

# Cells of fewer expected rows count together, as one: each by itself would be rounded to nothing.
_FEWEST = 1.0
# Rows that are decided on at a time.
_BLOCK = 256


def redrawn(
    model: GraphicalModel, rows: Codes, *, attributes: int, rng: np.random.Generator
) -> Codes:
    """Return the rows with some codes drawn anew, so that pairs have about their expected numbers.

    Rows that are drawn one attribute after the other are rounded group by group, and a group is
    what all that were drawn before make of a clique: where cliques are large and rows are few, most
    pairs have the error of a random sample, though the model knows them. Here each attribute of
    each row is drawn once more, given the rest of its row, and the new code is taken where the sum
    of squares of what pairs have too much falls. A row stays one that the model allows.

    Args:
        model: what the rows were drawn from.
        rows: codes of all its attributes; they stay as they are.
        attributes: number of those whose pairs count, the first of the model's.
        rng: source of the codes, and of the order.

    Reference: Geman & Geman 1984, section VI (one attribute given the others); Zhang et al. 2021
        (PrivSyn: rows that are changed gradually until marginals fit).
    """
    rows = rows.copy(order="F")
    gibbs = Gibbs.of(model, attributes=attributes)
    excess = _Excess.of(model, rows, attributes=attributes)
    for axis in rng.permutation(attributes):
        codes = gibbs.drawn(rows, axis, rng=rng)
        changing = rng.permutation(np.flatnonzero(codes != rows[:, axis]))
        for start in range(0, len(changing), _BLOCK):
            at = changing[start : start + _BLOCK]
            taken = at[excess.take(rows[at, :attributes], axis, codes[at])]
            gibbs.write(rows, taken, axis, codes[taken])
    return rows


def pair_cells(domain: Domain, *, attributes: int) -> int:
    """Return the number of cells of all pairs of the first attributes."""
    sizes = domain.shape[:attributes]
    return (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Excess:
    """By how much rows have more of each cell of each pair than expected.

    Args:
        cells: the excess, pair after pair; it is kept up to date.
        place: for each cell where its excess is kept: with that of another one if it is rare.
        starts: attributes x attributes: where a pair begins.
        strides: attributes x attributes: how far codes of the first are apart in the pair of both.
    """

    cells: NDArray[np.float64]
    place: Places
    starts: Places
    strides: Places

    @classmethod
    def of(cls, model: GraphicalModel, rows: Codes, *, attributes: int) -> "_Excess":
        names, sizes = model.domain.attributes[:attributes], model.domain.shape
        pairs = model.pairs(combinations(names, 2))
        starts = np.zeros((attributes, attributes), dtype=np.intp)
        strides = np.ones_like(starts)
        cells: list[NDArray[np.float64]] = [np.empty(0)]
        place: list[Places] = [np.empty(0, dtype=np.intp)]
        before = 0
        for i, j in combinations(range(attributes), 2):
            starts[i, j] = starts[j, i] = before
            strides[i, j] = sizes[j]
            expected = pairs[names[i], names[j]].ravel() * (len(rows) / model.total)
            rare = expected < _FEWEST
            of = np.where(rare, rare.argmax(), np.arange(len(expected)))
            key = cell_of(model.domain, rows, (names[i], names[j]))
            found = np.bincount(of[key], minlength=len(expected)).astype(np.float64)
            cells.append(found - np.bincount(of, expected, minlength=len(expected)))
            place.append(before + of)
            before += len(expected)
        return cls(
            cells=np.concatenate(cells),
            place=np.concatenate(place),
            starts=starts,
            strides=strides,
        )

    def take(self, rows: Codes, axis: int, codes: Codes) -> Places:
        """Return which rows should have the new codes, and count them as if they had.

        One after the other, always that which lowers the sum of squares most.

        Args:
            rows: some rows, before.
            axis: the attribute that changes.
            codes: a new one for each of them.
        """
        left, reached = self._places(rows, axis, rows[:, axis]), self._places(rows, axis, codes)
        change = ((1.0 + self.cells[reached] - self.cells[left]) * (left != reached)).sum(axis=1)
        better = np.flatnonzero(change < 0)
        left, reached = left[better], reached[better]
        first = _steepest(change[better], _products(left, reached))
        np.subtract.at(self.cells, left[first], 1.0)
        np.add.at(self.cells, reached[first], 1.0)
        return better[first]

    def _places(self, rows: Codes, axis: int, codes: Codes) -> Places:
        """Return where the pairs of an attribute with all others are counted: rows x others."""
        others = np.flatnonzero(np.arange(rows.shape[1]) != axis)
        cell = rows[:, others] * self.strides[others, axis]
        cell += self.starts[axis, others]
        cell += codes[:, None] * self.strides[axis, others]
        return self.place[cell]


def _products(left: Places, reached: Places) -> NDArray[np.intp]:
    """Return the scalar products of all changes, each -1 where it left and 1 where it reached."""
    found = np.zeros((len(left), len(left)), dtype=np.intp)
    for own, new in zip(left.T, reached.T, strict=True):
        found += new[:, None] == new
        found += own[:, None] == own
        found -= new[:, None] == own
        found -= own[:, None] == new
    return found


def _steepest(change: NDArray[np.float64], products: NDArray[np.intp]) -> list[int]:
    """Return what to change, one after the other, while half the sum of squares falls.

    Args:
        change: by how much it does for each change alone.
        products: of the changes.
    """
    taken: list[int] = []
    change = change.copy()
    while len(change) and change.min() < 0:
        best = int(change.argmin())
        taken.append(best)
        change += products[best]
        change[best] = np.inf
    return taken
