"""The objective of estimation: half the chi-square of what a model says of the measured cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.pgm.inference import Arrays, Oracle
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.measurement import NoisyMarginal

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Objective:
    """Models with one log-weight ("multiplier") a measured cell, and how far they are from it.

    At the true distribution the expectation of `value` is half the number of cells, with a
    standard deviation of sqrt(cells / 2): differences far below that are noise.

    Args:
        oracle: its cliques are the measured ones, each once.
        base: log-weights of the tree's cliques to which the multipliers are added.
        total: number of records that the model stands for.
        targets: measured counts, clique after clique, in records.
        variances: of the noise of each, in records squared.
    """

    oracle: Oracle
    base: Arrays
    total: float
    targets: Array
    variances: Array

    @classmethod
    def of(
        cls,
        tree: JunctionTree,
        measurements: Sequence[NoisyMarginal],
        *,
        base: Arrays,
        total: float,
    ) -> "Objective":
        """Return the objective of `measurements`.

        Repeated measurements of the same attributes are merged by inverse-variance weights first:
        up to a constant, their sum of squares is that of their weighted mean.

        Args:
            tree: covers every measured clique.
            measurements: noisy counts, at least one.
            base: log-weights of the tree's cliques.
            total: number of records.
        """
        merged: dict[Clique, tuple[Array, float]] = {}
        for measurement in measurements:
            key = tree.domain.canonical(measurement.clique)
            values = measurement.values.transpose([measurement.clique.index(a) for a in key])
            precision = measurement.sigma**-2
            mean, before = merged.get(key, (np.zeros(values.shape), 0.0))
            after = before + precision
            merged[key] = (mean + (values - mean) * (precision / after), after)
        return cls(
            oracle=Oracle(tree=tree, cliques=tuple(merged)),
            base=base,
            total=total,
            targets=np.concatenate([mean.ravel() for mean, _ in merged.values()]),
            variances=np.concatenate([np.full(mean.size, 1 / p) for mean, p in merged.values()]),
        )

    def parts(self, flat: Array) -> list[Array]:
        """Return views of `flat`, one a measured clique, in its shape."""
        return [flat[part].reshape(shape) for part, shape in self._layout]

    @cached_property
    def _layout(self) -> list[tuple[slice, tuple[int, ...]]]:
        """For each measured clique where its cells are, and their shape."""
        shapes = [self.oracle.tree.domain.project(c).shape for c in self.oracle.cliques]
        edges = [0, *accumulate(prod(shape) for shape in shapes)]
        return [(slice(*ends), shape) for ends, shape in zip(pairwise(edges), shapes, strict=True)]

    def expected(self, multipliers: Array) -> tuple[float, Array]:
        """Return the log-partition function and the expected counts of all measured cells."""
        beliefs = self.oracle.spread(self.parts(multipliers))
        for i, base in enumerate(self.base):
            beliefs[i] += base
        calibration = self.oracle.propagator.calibrate_in_place(beliefs)
        shares = [marginal.ravel() for marginal in self.oracle.project(calibration)]
        return calibration.log_partition, self.total * np.concatenate(shares)

    @cached_property
    def smoothness(self) -> float:
        """The smoothness constant relative to the entropy, in multipliers per record of error."""
        variances = np.array([part.flat[0] for part in self.parts(self.variances)])
        return self.total * float((1.0 / variances).sum())

    def value(self, expected: Array) -> float:
        """Return half the chi-square of expected counts."""
        return 0.5 * float(((expected - self.targets) ** 2 / self.variances).sum())
