"""Derivatives of a model of one clique, undone at once: by the covariance matrix of its effects."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.pgm.characters import Characters
from dpsynth.pgm.effects import subsets
from dpsynth.pgm.inference import Arrays, Oracle, split

Array = NDArray[np.float64]

# A matrix of so many effects' coefficients is 32 MiB, and its factor takes a second.
_MOST_COEFFICIENTS = 2048


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class EffectCovariances:
    """The covariances of all effects of some cliques, factored.

    Args:
        oracle: the cliques.
        hosts: each effect's attributes, and the index of a clique that holds them.
        basis: of the effects, in that order.
        factor: lower Cholesky factor of the covariances of the basis' functions.
    """

    oracle: Oracle
    hosts: Mapping[Clique, int]
    basis: Characters
    factor: Array

    @classmethod
    def of(cls, oracle: Oracle, marginals: Arrays) -> Self | None:
        """Return those of a calibrated model.

        None where its tree has several cliques, where there are too many effects, or where a
        combination of them is certain, so that no change of log-weights would move it.
        """
        from scipy.linalg import LinAlgError, cholesky

        domain = oracle.tree.domain
        cells = [domain.cells_of(clique) for clique in oracle.cliques]
        # All effects of a clique have one coefficient fewer than it has cells.
        if len(oracle.tree.cliques) > 1 or max(cells, default=0) > _MOST_COEFFICIENTS + 1:
            return None
        order = sorted(range(len(cells)), key=cells.__getitem__)
        hosts: dict[Clique, int] = {}
        for index in order:
            for of in subsets(oracle.cliques[index]):
                if of and prod(domain.sizes[a] - 1 for a in of):
                    hosts.setdefault(of, index)
        coefficients = sum(prod(domain.sizes[a] - 1 for a in of) for of in hosts)
        if not 0 < coefficients <= _MOST_COEFFICIENTS:
            return None
        basis = Characters(shape=domain.shape, sets=tuple(domain.axes(of) for of in hosts))
        try:
            factor = cholesky(basis.covariances(marginals[0]), lower=True, overwrite_a=True)
        except LinAlgError:
            return None
        return cls(oracle=oracle, hosts=hosts, basis=basis, factor=factor)

    def solve(self, change: Array) -> Array:
        """Return the change of log-weights that changes the probabilities of cells by `change`.

        Args:
            change: consistent over the cliques, clique after clique; each part sums to 0.
        """
        from scipy.linalg import cho_solve

        domain, cliques = self.oracle.tree.domain, self.oracle.cliques
        parts = split(domain, cliques, change)
        values: list[Array] = []
        for of, host in self.hosts.items():
            gone = tuple(i for i, a in enumerate(cliques[host]) if a not in of)
            values.append(parts[host].sum(axis=gone))
        found = cho_solve((self.factor, True), self.basis.coefficients(values))
        direction = np.zeros_like(change)
        parts = split(domain, cliques, direction)  # views
        for (of, host), table in zip(self.hosts.items(), self.basis.tables(found), strict=True):
            parts[host] += table.reshape([domain.sizes[a] if a in of else 1 for a in cliques[host]])
        return direction
