"""Derivatives of a model's marginals with respect to its log-weights, on the junction tree."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.pgm.effect_covariances import EffectCovariances
from dpsynth.pgm.inference import Arrays, Calibration, Oracle, split
from dpsynth.threads import one_thread

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Tangent:
    """Small changes of a calibrated model: log-weights of some cliques in, probabilities out.

    Args:
        oracle: the tree, and the cliques whose log-weights change.
        marginals: probabilities of each clique of the tree, calibrated.
    """

    oracle: Oracle
    marginals: Arrays

    @cached_property
    def expected(self) -> Array:
        """The probabilities of all cells of the oracle's cliques, clique after clique."""
        return self.project(self.marginals)

    @cached_property
    def _own_axes(self) -> list[tuple[int, ...]]:
        """Axes of each clique that its parent lacks."""
        tree = self.oracle.tree
        pairs = zip(tree.cliques, tree.separators, strict=True)
        return [tuple(i for i, a in enumerate(c) if a not in s) for c, s in pairs]

    @cached_property
    def _conditionals(self) -> Arrays:
        """The distribution of each clique given its separator."""
        found: Arrays = []
        for marginal, own in zip(self.marginals, self._own_axes, strict=True):
            mass = marginal.sum(axis=own, keepdims=True)
            found.append(marginal / np.where(mass > 0, mass, 1.0))
        return found

    def project(self, arrays: Arrays) -> Array:
        """Return the sums of the tree's arrays over all cells of the oracle's cliques."""
        parts = self.oracle.project(Calibration(marginals=arrays, log_partition=0.0))
        return np.concatenate([part.ravel() for part in parts])

    def changes(self, direction: Array) -> Arrays:
        """Return the derivatives of the probabilities of each clique of the tree.

        An expectation given the separator goes to the root as a message; what is left in each
        clique, times its probabilities, and what the parent says of the separator, is its change.

        Args:
            direction: change of the log-weights of the oracle's cells, clique after clique.
        """
        tree = self.oracle.tree
        found = self.oracle.spread(split(tree.domain, self.oracle.cliques, direction))
        for i in range(len(found) - 1, -1, -1):
            message = (self._conditionals[i] * found[i]).sum(axis=self._own_axes[i], keepdims=True)
            if i > 0:
                found[tree.parents[i]] += self._in_parent(i, message)
            found[i] -= message
        found[0] *= self.marginals[0]
        for i in range(1, len(found)):
            parent, separator = tree.parents[i], tree.separators[i]
            gone = tuple(k for k, a in enumerate(tree.cliques[parent]) if a not in separator)
            found[i] *= self.marginals[i]
            found[i] += self._conditionals[i] * self._in_own(i, found[parent].sum(axis=gone))
        return found

    def covariance(self, direction: Array) -> Array:
        """Return the covariance matrix of the cells' indicators, times `direction`."""
        return self.project(self.changes(direction))

    @cached_property
    def _covariances(self) -> EffectCovariances | None:
        return EffectCovariances.of(self.oracle, self.marginals)

    @one_thread()
    def solve(self, change: Array, *, tolerance: float, steps: int) -> Array:
        """Return the direction whose `covariance` is `change`.

        Exactly where the tree is one clique and `EffectCovariances` are few, otherwise by conjugate
        gradients.

        Args:
            change: consistent over the cliques; each clique's part sums to 0.
            tolerance: stop where the scaled residual has fallen to this share.
            steps: largest number of steps.
        """
        if self._covariances is not None:
            return self._covariances.solve(change)
        return self.descended(change, tolerance=tolerance, steps=steps)

    def descended(self, change: Array, *, tolerance: float, steps: int) -> Array:
        """Return what `solve` does, by conjugate gradients on any tree.

        Cells are scaled by their probabilities, which those that the fit all but excludes need.

        Args:
            change: consistent over the cliques; each clique's part sums to 0.
            tolerance: stop where the scaled residual has fallen to this share.
            steps: largest number of steps.
        """
        scale = 1.0 / np.maximum(self.expected, 1e-12)
        found, residual = np.zeros_like(change), change.copy()
        towards = scaled = scale * residual
        size = first = float(residual @ scaled)
        for _ in range(steps):
            if size <= tolerance**2 * first:
                break
            image = self.covariance(towards)
            curvature = float(towards @ image)
            if curvature <= 0:
                break
            found += size / curvature * towards
            residual -= size / curvature * image
            scaled = scale * residual
            size, before = float(residual @ scaled), size
            towards = scaled + size / before * towards
        return found

    def _in_parent(self, index: int, message: Array) -> Array:
        tree = self.oracle.tree
        parent, separator = tree.cliques[tree.parents[index]], tree.separators[index]
        return message.reshape([tree.domain.sizes[a] if a in separator else 1 for a in parent])

    def _in_own(self, index: int, message: Array) -> Array:
        tree = self.oracle.tree
        clique, separator = tree.cliques[index], tree.separators[index]
        return message.reshape([tree.domain.sizes[a] if a in separator else 1 for a in clique])
