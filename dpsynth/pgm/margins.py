"""One-way marginals of centred measurements, as sparse matrices over all cells at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain

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
    def of(
        cls,
        domain: Domain,
        cliques: Sequence[Clique],
        *,
        cells: Sequence[NDArray[np.intp] | None],
        shapes: Sequence[tuple[int, ...] | None],
        sizes: Sequence[int],
    ) -> "Margins":
        """Return those of measurements.

        Args:
            domain: all attributes.
            cliques: what is measured.
            cells: for each measurement the own cell that each cell of its clique is counted in,
                where codes were measured in groups; None where they are the same.
            shapes: of centred measurements; None of the others.
            sizes: number of cells of each measurement.
        """
        starts = [0, *accumulate(sizes)]
        plain = zip(cliques, starts[:-1], cells, shapes, strict=True)
        single = {q[0]: at for q, at, of, s in plain if len(q) == 1 and of is None and s is None}
        centred: Places = [np.empty(0, dtype=np.intp)]
        rows: Places = []
        columns: Places = []
        alone: Places = []
        codes: Places = []
        before = slots = 0
        for index, shape in enumerate(shapes):
            if shape is None:
                continue
            centred.append(np.arange(starts[index], starts[index + 1]))
            full = domain.project(cliques[index]).shape
            for axis, along in enumerate(_along(shape)):
                kept = np.flatnonzero(along >= 0)
                rows.append(before + kept)
                columns.append(slots + along[kept])
                attribute = cliques[index][axis]
                if attribute in single and len(shape) > 1:
                    slot = _groups(full, cells[index], shape, axis=axis) - (axis > 0)
                    of = np.flatnonzero(slot >= 0)
                    alone.append(single[attribute] + of)
                    codes.append(slots + slot[of])
                slots += int(along.max()) + 1
            before += sizes[index]
        return cls(
            cells=np.concatenate(centred),
            incidence=_ones(rows, columns, shape=(before, slots)),
            ones=_ones(alone, codes, shape=(starts[-1], slots)),
        )

    def beyond(self, flat: Array) -> Array:
        """Return cells of all measurements, those of centred ones less what margins say of them.

        It is `beyond_margins` of every measurement at once.
        """
        if not len(self.cells):
            return flat
        found, centred = flat.copy(), flat[self.cells]
        margins = self.gram.solve(self.incidence.T @ centred)
        found[self.cells] = centred - self.incidence @ margins
        return found

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


def _along(shape: tuple[int, ...]) -> list[NDArray[np.intp]]:
    """Return for each attribute the slot of each cell of a measurement; -1: none."""
    if len(shape) == 1:
        return [np.zeros(shape[0], dtype=np.intp)]
    grid = np.indices(shape).reshape(len(shape), -1)
    return [along - (axis > 0) for axis, along in enumerate(grid)]


def _groups(
    full: tuple[int, ...], cells: NDArray[np.intp] | None, shape: tuple[int, ...], *, axis: int
) -> NDArray[np.intp]:
    """Return in which code of a measurement's axis each code of its attribute is counted."""
    codes = np.arange(full[axis])
    if cells is None:
        return codes
    line = cells.reshape(full)[tuple(codes if i == axis else 0 for i in range(len(full)))]
    return np.unravel_index(line, shape)[axis]


def _ones(rows: Places, columns: Places, *, shape: tuple[int, int]) -> "csr_array":
    from scipy.sparse import csr_array

    if not rows:
        return csr_array(shape)
    places = np.concatenate(rows), np.concatenate(columns)
    return csr_array((np.ones(len(places[0])), places), shape=shape)
