"""Expected counts by way of all cells of the domain at once, where these are few."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, prod
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.pgm.independent_rows import cell_of
from dpsynth.pgm.inference import Arrays, fold
from dpsynth.pgm.junction_tree import JunctionTree

Array = NDArray[np.float64]

# Joint cells times measured cells up to which one matrix is faster than a tree, which takes a
# hundred calls on tiny arrays.
_MOST = 2**16


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """The joint table of a few attributes of few codes.

    Args:
        base: a log-weight of each joint cell.
        incidence: joint cells x measured cells: 1 where the one is counted in the other.
    """

    base: Array
    incidence: Array

    @classmethod
    def of(
        cls,
        tree: JunctionTree,
        base: Arrays,
        cliques: Sequence[Clique],
        *,
        cells: Sequence[NDArray[np.intp] | None],
        sizes: Sequence[int],
    ) -> Self | None:
        """Return that of a tree's attributes; None where it is too large.

        Args:
            tree: whose domain counts.
            base: log-weights of the tree's cliques.
            cliques: of each measurement.
            cells: for each of them the own cell of each cell of its clique; None: they are the
                same.
            sizes: number of measured cells of each.
        """
        domain = tree.domain
        if prod(domain.shape) * sum(sizes) > _MOST:
            return None
        every = np.indices(domain.shape).reshape(len(domain.shape), -1).T
        (weights,) = fold(domain, (domain.attributes,), tree.cliques, base)
        columns: list[Array] = []
        for clique, of, size in zip(cliques, cells, sizes, strict=True):
            at = cell_of(domain, every, clique)
            at = at if of is None else of[at]
            columns.append((at[:, None] == np.arange(size)).astype(np.float64))
        return cls(base=weights.ravel(), incidence=np.concatenate(columns, axis=1))

    def counts(self, multipliers: Array) -> tuple[float, Array]:
        """Return the log-partition function, and the probability of each measured cell.

        Args:
            multipliers: one a measured cell.
        """
        weights = self.incidence @ multipliers
        weights += self.base
        # The ufuncs themselves, since on small arrays `max` and `sum` cost more than they compute.
        peak = np.maximum.reduce(weights)
        weights -= peak
        np.exp(weights, out=weights)
        mass = np.add.reduce(weights)
        return log(mass) + float(peak), (weights @ self.incidence) / mass
