"""Coordinates of multipliers in which the dual of a proximal step curves about alike everywhere."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.pgm.margins import Margins

if TYPE_CHECKING:
    from scipy.sparse.linalg import SuperLU

Array = NDArray[np.float64]

# Cells are taken to have at least a tenth of a record, or those that the model all but excludes
# would move without bound.
_LEAST = 0.1


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Coordinates:
    """A linear map S onto multipliers, S S^T about the inverse of the dual's second derivative.

    A cell of counts is divided by the root of its own second derivative, which leaves out its
    covariance with other cells. That will not do for centred measurements: a multiplier of what a
    marginal holds beyond its margins moves them too wherever codes are not equally frequent, and
    margins are what is measured best. Their coordinates are of changes that leave the margins of
    the model as they are, to first order: what they have of functions of single attributes is taken
    off by weighted least squares, and moved to the multipliers of the one-way marginals.

    Args:
        margins: of the centred measurements.
        scale: of each cell, one over the root of its second derivative.
        weighted: factors of the slots' Gram matrix by the second derivatives of their cells; None
            where nothing is centred.
    """

    margins: Margins
    scale: Array
    weighted: "SuperLU | None"

    @classmethod
    def at(cls, margins: Margins, counts: Array, *, penalty: Array) -> "Coordinates":
        """Return those at a model.

        Args:
            margins: of the centred measurements.
            counts: expected by the model, of all cells, not centred.
            penalty: second derivative of the proximal term, of each cell.
        """
        curvature = np.maximum(counts, _LEAST) + penalty
        of = curvature[margins.cells]
        weighted = margins.weighted(of) if len(of) else None
        return cls(margins=margins, scale=1.0 / np.sqrt(curvature), weighted=weighted)

    def multipliers(self, point: Array) -> Array:
        """Return the multipliers of a point of these coordinates."""
        found = point * self.scale
        cells, incidence = self.margins.cells, self.margins.incidence
        if self.weighted is None:
            return found
        moved = found[cells]
        moved -= incidence @ self.weighted.solve(incidence.T @ (moved / self.scale[cells] ** 2))
        ones = self.margins.gram.solve(incidence.T @ moved)
        found[cells] = moved - incidence @ ones
        return found + self.margins.ones @ ones

    def slope(self, gradient: Array) -> Array:
        """Return the gradient in these coordinates of one by the multipliers: S^T of it."""
        found = gradient * self.scale
        cells, incidence = self.margins.cells, self.margins.incidence
        if self.weighted is None:
            return found
        moved = gradient[cells]
        ones = self.margins.ones.T @ gradient - incidence.T @ moved
        moved += incidence @ self.margins.gram.solve(ones)
        solved = incidence @ self.weighted.solve(incidence.T @ moved)
        found[cells] = self.scale[cells] * (moved - solved / self.scale[cells] ** 2)
        return found
