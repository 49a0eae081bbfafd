"""Marginals split into residuals, orthogonal parts that many noisy marginals can share.

The residual of a set of attributes is what its marginal holds beyond all smaller ones: the marginal
with the mean along each axis taken off, the projection (I - 11'/n) on every axis. A marginal is the
sum of the residuals of its subsets, each spread evenly over the axes that it lacks. White noise on
a marginal splits into independent parts, so least squares over any set of noisy marginals is a
weighted mean for each residual: no junction tree, no matrix larger than a marginal.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.effects import centred
from dpsynth.pgm.measurement import NoisyMarginal

Array = NDArray[np.float64]


def decompose(clique: Clique, values: Array) -> dict[Clique, Array]:
    """Return the residual of every subset of `clique`, of the empty one too (the total).

    Args:
        clique: the attributes of the axes.
        values: a marginal on them.

    Reference: Xiao et al. 2023 (ResidualPlanner: the residual basis of marginals).
    """
    found: dict[Clique, Array] = {}
    for subset in _subsets(clique):
        gone = tuple(i for i, a in enumerate(clique) if a not in subset)
        found[subset] = centred(values.sum(axis=gone))
    return found


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Residuals:
    """Best estimates of residuals from noisy marginals, and of any marginal made of them.

    Args:
        domain: of all attributes; attributes of a set are in its order.
        values: the estimate of each residual.
        variances: of the noise that each would have if it were not centred, in records squared:
            the estimate's covariance is this times the projection on the centred arrays.
    """

    domain: Domain
    values: Mapping[Clique, Array]
    variances: Mapping[Clique, float]

    @classmethod
    def estimate(cls, domain: Domain, measurements: Iterable[NoisyMarginal]) -> "Residuals":
        """Return the maximum-likelihood estimate from `measurements`, in closed form.

        A marginal of noise sigma gives the residual of a subset the noise sigma^2 times the number
        of cells that were summed for it, and parts of one marginal are independent of each other:
        the estimate is the mean weighted by the reciprocals.

        Args:
            domain: of all attributes.
            measurements: noisy counts, axes in any order; repetitions count as what they are.

        Raises:
            UnknownNameError: an attribute that the domain lacks.

        Reference: Mullins et al. 2024 (GReM-MLE).
        """
        values: dict[Clique, Array] = {}
        precisions: dict[Clique, float] = {}
        for measurement in measurements:
            clique = domain.canonical(measurement.clique)
            counts = measurement.values.transpose([measurement.clique.index(a) for a in clique])
            for subset, residual in decompose(clique, counts).items():
                if len(subset) < measurement.least_told:
                    continue  # nothing is known of them
                summed = counts.size // residual.size
                precision = 1.0 / (measurement.sigma**2 * summed)
                before = precisions.get(subset, 0.0)
                after = precisions[subset] = before + precision
                mean = values.get(subset, np.zeros(residual.shape))
                values[subset] = mean + (residual - mean) * (precision / after)
        variances = {subset: 1.0 / precision for subset, precision in precisions.items()}
        return cls(domain=domain, values=values, variances=variances)

    def marginal(self, attributes: Sequence[str]) -> Array:
        """Return the estimated counts of `attributes`, axes in the order given.

        Marginals of overlapping sets agree on what they share. A residual that no measurement
        shows counts as zero, as the least-squares solution of least norm has it. Cells may be
        negative.

        Raises:
            UnknownNameError: an attribute that the domain lacks.

        Reference: Mullins et al. 2024 (ReM: from residuals to marginals).
        """
        clique = self.domain.canonical(attributes)
        sizes = self.domain.sizes
        found = np.zeros([sizes[a] for a in clique])
        for subset in _subsets(clique):
            if subset in self.values:
                spread = prod(sizes[a] for a in clique if a not in subset)
                shape = [sizes[a] if a in subset else 1 for a in clique]
                found += self.values[subset].reshape(shape) / spread
        return found.transpose([clique.index(a) for a in attributes])

    def variance(self, attributes: Sequence[str]) -> float:
        """Return the variance of the noise in each cell of `marginal`, the same in all.

        Residuals that no measurement shows are taken to be zero and add nothing.

        Raises:
            UnknownNameError: an attribute that the domain lacks.

        The projection on an axis of n codes has 1 - 1/n on its diagonal, and parts are independent.

        Reference: Xiao et al. 2023 (variances of reconstructed marginals, in closed form).
        """
        clique = self.domain.canonical(attributes)
        sizes, found = self.domain.sizes, 0.0
        for subset in _subsets(clique):
            if subset in self.variances:
                spread = prod(sizes[a] for a in clique if a not in subset)
                kept = prod(1 - 1 / sizes[a] for a in subset)
                found += self.variances[subset] * kept / spread**2
        return found


def _subsets(clique: Clique) -> Iterator[Clique]:
    for size in range(len(clique) + 1):
        yield from combinations(clique, size)
