"""One-way marginals of centred measurements, as sparse matrices over all cells at once."""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.pgm.objective import Objective

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import SuperLU

Array = NDArray[np.float64]
Places = list[NDArray[np.intp]]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Margins:
    """Where the cells of centred measurements are counted in one-way marginals.

    A slot is a code of one attribute in one measurement. Of all attributes of a measurement but the
    first one code has none, since its sum follows from the others; a measurement of one attribute
    has one slot, the sum of all.

    Args:
        cells: of centred measurements, as places among the cells of all measurements.
        incidence: those cells x slots.
        ones: cells of all measurements x slots: what is measured of a slot's code by itself.
    """

    cells: NDArray[np.intp]
    incidence: "csr_array"
    ones: "csr_array"

    @classmethod
    def of(cls, objective: Objective) -> "Margins":
        """Return those of `objective`'s measurements."""
        starts = [0, *accumulate(objective.sizes)]
        single = _single(objective, starts)
        cells: Places = [np.empty(0, dtype=np.intp)]
        rows: Places = []
        columns: Places = []
        alone: Places = []
        codes: Places = []
        before = slots = 0
        for index, shape in enumerate(objective.shapes):
            if shape is None:
                continue
            cells.append(np.arange(starts[index], starts[index + 1]))
            clique = objective.oracle.cliques[objective.hosts[index]]
            for axis, along in enumerate(_along(shape)):
                kept = np.flatnonzero(along >= 0)
                rows.append(before + kept)
                columns.append(slots + along[kept])
                if clique[axis] in single and len(shape) > 1:
                    slot = _groups(objective, index, axis) - (axis > 0)
                    of = np.flatnonzero(slot >= 0)
                    alone.append(single[clique[axis]] + of)
                    codes.append(slots + slot[of])
                slots += int(along.max()) + 1
            before += objective.sizes[index]
        return cls(
            cells=np.concatenate(cells),
            incidence=_ones(rows, columns, shape=(before, slots)),
            ones=_ones(alone, codes, shape=(starts[-1], slots)),
        )

    @cached_property
    def gram(self) -> "SuperLU":
        """Factors of the slots' Gram matrix where all cells count alike."""
        return self.weighted(np.ones(len(self.cells)))

    def weighted(self, weights: Array) -> "SuperLU":
        """Return factors of the slots' Gram matrix.

        Args:
            weights: of the cells, above 0.
        """
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import splu

        gram = self.incidence.T @ diags_array(weights) @ self.incidence
        return splu(gram.tocsc(), permc_spec="MMD_AT_PLUS_A")


def _single(objective: Objective, starts: list[int]) -> dict[str, int]:
    """Return where the counts of each attribute begin that is measured by itself, code by code."""
    measured = zip(objective.hosts, starts[:-1], objective.cells, objective.shapes, strict=True)
    return {
        objective.oracle.cliques[host][0]: start
        for host, start, cells, shape in measured
        if len(objective.oracle.cliques[host]) == 1 and cells is None and shape is None
    }


def _along(shape: tuple[int, ...]) -> list[NDArray[np.intp]]:
    """Return for each attribute the slot of each cell of a measurement; -1: none."""
    if len(shape) == 1:
        return [np.zeros(shape[0], dtype=np.intp)]
    grid = np.indices(shape).reshape(len(shape), -1)
    return [along - (axis > 0) for axis, along in enumerate(grid)]


def _groups(objective: Objective, index: int, axis: int) -> NDArray[np.intp]:
    """Return in which code of a measurement's axis each code of its attribute is counted."""
    clique = objective.oracle.cliques[objective.hosts[index]]
    full = objective.oracle.tree.domain.project(clique).shape
    codes = np.arange(full[axis])
    cells, shape = objective.cells[index], objective.shapes[index]
    if cells is None or shape is None:
        return codes
    line = cells.reshape(full)[tuple(codes if i == axis else 0 for i in range(len(full)))]
    return np.unravel_index(line, shape)[axis]


def _ones(rows: Places, columns: Places, *, shape: tuple[int, int]) -> "csr_array":
    from scipy.sparse import csr_array

    if not rows:
        return csr_array(shape)
    places = np.concatenate(rows), np.concatenate(columns)
    return csr_array((np.ones(len(places[0])), places), shape=shape)
