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
from dpsynth.pgm.joint import Joint
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.margins import Margins
from dpsynth.pgm.measurement import NoisyMarginal, beyond_margins

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
        hosts: for each measurement the clique of the oracle that it is of.
        sizes: number of cells of each measurement.
        cells: for each measurement the own cell that each cell of its clique is counted in, where
            codes were measured in groups; None where they are the same.
        shapes: of each measurement whose margins are taken off (`beyond_margins`); None
            of the others.
    """

    oracle: Oracle
    base: Arrays
    total: float
    targets: Array
    variances: Array
    hosts: tuple[int, ...]
    sizes: tuple[int, ...]
    cells: tuple[NDArray[np.intp] | None, ...]
    shapes: tuple[tuple[int, ...] | None, ...]

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

        Repeated measurements of the same attributes in the same groups are merged first, by
        inverse-variance weights: up to a constant, their sum of squares is that of their mean.

        Args:
            tree: covers every measured clique.
            measurements: noisy counts, at least one.
            base: log-weights of the tree's cliques.
            total: number of records.
        """
        merged: dict[tuple[Clique, object], tuple[Array, float]] = {}
        cells: list[NDArray[np.intp] | None] = []
        shapes: list[tuple[int, ...] | None] = []
        for measurement in measurements:
            key = tree.domain.canonical(measurement.clique)
            order = [measurement.clique.index(a) for a in key]
            values = measurement.values.transpose(order)
            if measurement.centred:
                values = beyond_margins(values)
            groups = tuple(measurement.groups[i] for i in order) if measurement.groups else ()
            grouped = any(g is not None for g in groups)
            view = key, (groups if grouped else (), measurement.centred)
            precision = measurement.sigma**-2
            if view not in merged:
                cells.append(measurement.cells(tree.domain))
                shapes.append(values.shape if measurement.centred else None)
            mean, before = merged.get(view, (np.zeros(values.shape), 0.0))
            after = before + precision
            merged[view] = (mean + (values - mean) * (precision / after), after)
        cliques = tuple(dict.fromkeys(clique for clique, _ in merged))
        where = {clique: i for i, clique in enumerate(cliques)}
        return cls(
            oracle=Oracle(tree=tree, cliques=cliques),
            base=base,
            total=total,
            targets=np.concatenate([mean.ravel() for mean, _ in merged.values()]),
            variances=np.concatenate([np.full(mean.size, 1 / p) for mean, p in merged.values()]),
            hosts=tuple(where[clique] for clique, _ in merged),
            sizes=tuple(mean.size for mean, _ in merged.values()),
            cells=tuple(cells),
            shapes=tuple(shapes),
        )

    def parts(self, flat: Array) -> list[Array]:
        """Return the log-weights of each measured clique, in its shape."""
        if self._plain:
            pairs = zip(self._slices, self._shapes, strict=True)
            return [flat[part].reshape(shape) for part, shape in pairs]
        found, beyond = [np.zeros(prod(shape)) for shape in self._shapes], self.margins.beyond(flat)
        for part, host, cells in zip(self._slices, self.hosts, self.cells, strict=True):
            own = beyond[part]
            found[host] += own if cells is None else own[cells]
        return [f.reshape(shape) for f, shape in zip(found, self._shapes, strict=True)]

    @cached_property
    def _plain(self) -> bool:
        """Whether there is one measurement a clique, in its own cells, of counts."""
        return all(of is None for of in (*self.cells, *self.shapes)) and len(
            set(self.hosts)
        ) == len(self.hosts)

    @cached_property
    def _shapes(self) -> list[tuple[int, ...]]:
        """The shape of each measured clique."""
        return [self.oracle.tree.domain.project(c).shape for c in self.oracle.cliques]

    @cached_property
    def _cliques(self) -> list[Clique]:
        """The clique of each measurement."""
        return [self.oracle.cliques[host] for host in self.hosts]

    @cached_property
    def _slices(self) -> list[slice]:
        """For each measurement where its cells are."""
        return [slice(*ends) for ends in pairwise([0, *accumulate(self.sizes)])]

    def counts(self, multipliers: Array) -> tuple[float, Array]:
        """Return the log-partition function and the expected counts of all measured cells.

        Those of centred measurements are not centred: `margins` does that.
        """
        if self._joint is not None:
            partition, found = self._joint.counts(self.margins.beyond(multipliers))
            return partition, self.total * found
        beliefs = self.oracle.spread(self.parts(multipliers))
        for i, base in enumerate(self.base):
            beliefs[i] += base
        calibration = self.oracle.propagator.calibrate_in_place(beliefs)
        marginals: list[Array] = [marginal.ravel() for marginal in self.oracle.project(calibration)]
        if not self._plain:
            pieces = zip(self.hosts, self.cells, self.sizes, strict=True)
            marginals = [_counted(marginals[host], cells, size) for host, cells, size in pieces]
        return calibration.log_partition, self.total * np.concatenate(marginals)

    @cached_property
    def _joint(self) -> Joint | None:
        """All cells of the domain where they are few: the same by another way."""
        return Joint.of(
            self.oracle.tree, self.base, self._cliques, cells=self.cells, sizes=self.sizes
        )

    @cached_property
    def margins(self) -> Margins:
        """What centred measurements have to do with one-way marginals."""
        return Margins.of(
            self.oracle.tree.domain,
            self._cliques,
            cells=self.cells,
            shapes=self.shapes,
            sizes=self.sizes,
        )

    @cached_property
    def smoothness(self) -> float:
        """The smoothness constant relative to the entropy, in multipliers per record of error."""
        variances = np.array([self.variances[part.start] for part in self._slices])
        return self.total * float((1.0 / variances).sum())

    def value(self, expected: Array) -> float:
        """Return half the chi-square of expected counts."""
        return 0.5 * float(((expected - self.targets) ** 2 / self.variances).sum())


def _counted(marginal: Array, cells: NDArray[np.intp] | None, size: int) -> Array:
    """Return the sums of a marginal over groups of codes, itself where there are none."""
    return marginal if cells is None else np.bincount(cells, marginal, size).astype(np.float64)
