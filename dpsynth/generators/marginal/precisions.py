"""How precisely each effect of a small table should be known: least expected error of triples."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.pgm.effects import subsets
from dpsynth.pgm.measurement import MEAN_SIZE

Array = NDArray[np.float64]

_SCALE = 0.4
"""Deviation of the coefficients of pairs and triples that is reckoned with."""
_CELLS_OF_TOTAL = 2
_ROUNDS = 10
_SAME = 1e-9
_HALVINGS = 60


@final
@dataclass(frozen=True, kw_only=True)
class Precisions:
    """What precision of each effect leaves triples the least expected error for a cost.

    The effect of n_1 x n_2 x ... = M cells has, where attributes are nearly uniform and
    log-probabilities have effects with coefficients of deviation tau, a variance of
    1 / (q + (M / tau)^2) in each of its (n_1 - 1) (n_2 - 1) ... = k coefficients, once its cells
    were measured with precision q, in parts of all records. Its L1 norm in a triple is in
    proportion to the root of M k times that; a triple's error is the root of the sum of the
    squares, u = 1 / error. Interactions cost q k / M, so the sum over the triples is least for
        q = max(0, level M sqrt(worth) - (M / tau)^2),   worth = sum of u over the triples,
    found by turns: the worths follow from the errors, the precisions from the worths (each turn is
    least squares with weights u, which bounds the sum of roots from above and meets it at the
    errors before). So triples of many cells are given up where the budget is small, and what is in
    triples that err much, whatever is bought, takes less from the rest than by a sum of squares.
    Attributes and pairs lack the second term of q: a pair that is never measured may be the one
    that matters. The number of records counts as an effect of two cells: an error of it moves each
    table by as large a part of its distance from a uniform one, below 2 in L1 norm.

    Args:
        domain: of the records.
        cliques: the effects that may be measured; the empty one is the number of records.
        label: effects that hold it count more.
        label_weight: how much more.

    Reference: Hunter & Lange 2004, section 3.2 (concave functions bounded by their tangents).
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    label: str | None = None
    label_weight: float = 1.0

    @cached_property
    def _places(self) -> dict[Clique, int]:
        return {clique: i for i, clique in enumerate(self.cliques)}

    @cached_property
    def _cells(self) -> Array:
        cells = [self.domain.cells_of(c) if c else _CELLS_OF_TOTAL for c in self.cliques]
        return np.array(cells, dtype=np.float64)

    @cached_property
    def _norms(self) -> Array:
        """The squared L1 norm of each effect whose coefficients have variance 1, but a constant."""
        sizes = self.domain.sizes
        parts = [prod(1 - 1 / sizes[a] for a in c) for c in self.cliques]
        return np.asarray(self._cells**2 * np.array(parts), dtype=np.float64)

    @cached_property
    def _orders(self) -> NDArray[np.intp]:
        return np.array([len(c) for c in self.cliques])

    @cached_property
    def _known(self) -> Array:
        """What the law of an effect's coefficients says of it before: a precision, too."""
        return np.where(self._orders > 1, (self._cells / _SCALE) ** 2, 0.0)

    @cached_property
    def _inside(self) -> Array:
        """For each triple (or all attributes of fewer) which of the effects are in it."""
        attributes = informative(self.domain)
        places = self._places
        triples = list(combinations(attributes, min(3, len(attributes))))
        found = np.zeros((len(triples), len(places)))
        for row, triple in zip(found, triples, strict=True):
            row[[places[s] for s in subsets(triple) if s in places]] = 1.0
        return found

    @cached_property
    def _pairs_of_triples(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Each triple that may be measured, three times, and one of its pairs beside it."""
        found = [
            (i, self._places[pair])
            for clique, i in self._places.items()
            for pair in (combinations(clique, 2) if len(clique) == 3 else ())
        ]
        triples, pairs = np.array(found, dtype=np.intp).reshape(-1, 2).T
        return triples, pairs

    @cached_property
    def even(self) -> Array:
        """The worths of effects whose triples all err alike: how many these are."""
        return self._worths(np.ones(len(self._inside)))

    def _worths(self, weights: Array) -> Array:
        held = [self.label_weight if self.label in c else 1.0 for c in self.cliques]
        return (weights @ self._inside) * held

    def wanted(self, level: float, worths: Array) -> Array:
        """Return the precision of each effect's cells, as parts of all records.

        Args:
            level: the larger, the more is bought of all; a unit of cost then gains in proportion to
                1 / level squared.
            worths: of the effects.
        """
        given_up = np.where(self._orders > 2, self._known, 0.0)
        return np.maximum(0.0, level * self._cells * np.sqrt(worths) - given_up)

    def shown(self, wanted: Array) -> Array:
        """Return what the interactions of triples show of their pairs."""
        triples, pairs = self._pairs_of_triples
        parts = wanted[triples] * self._cells[pairs] / self._cells[triples]
        return np.bincount(pairs, parts, len(wanted)).astype(np.float64)

    def beyond(self, level: float, worths: Array, *, had: Array) -> Array:
        """Return what of it is left to buy.

        Args:
            level, worths: as of `wanted`.
            had: precision that was bought before.
        """
        wanted = self.wanted(level, worths)
        return np.maximum(wanted - self.shown(wanted) - had, 0.0)

    def least_error(self, *, had: Array, costs: Array) -> tuple[float, Array]:
        """Return the level and the worths of the best that can be had for a cost of 1.

        Args:
            had: precision of each effect that was bought before; infinite where it is known.
            costs: of a precision of 1.
        """
        worths = self.even
        level = self._level(worths, had=had, costs=costs)
        for _ in range(_ROUNDS):
            wanted = self.wanted(level, worths)
            known = np.maximum(np.maximum(wanted, self.shown(wanted)), had) + self._known
            errors = np.sqrt(self._inside @ (self._norms / known))
            found = self._worths(errors.mean() / errors)
            if np.allclose(found, worths, rtol=_SAME, atol=0.0):
                break  # at once where columns are alike, as in small tables that are fitted often
            worths, level = found, self._level(found, had=had, costs=costs)
        return level, worths

    def _level(self, worths: Array, *, had: Array, costs: Array) -> float:
        def spent(level: float) -> float:
            return float(self.beyond(level, worths, had=had) @ costs)

        low, high = 0.0, 1.0
        while spent(high) < 1:
            low, high = high, 2 * high
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if spent(middle) < 1 else (low, middle)
        return low

    def noise_of_pairs(self, wanted: Array) -> float:
        """Return the mean total variation of pairs that the noise of their effects is."""
        pairs = self._orders == 2
        return float(0.5 * MEAN_SIZE * np.sqrt(self._norms[pairs] / wanted[pairs]).mean())
