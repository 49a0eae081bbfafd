"""Least squares on noisy marginals without non-negativity: exact, unbiased, effect by effect."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.measurement import NoisyMarginal

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Effect:
    """What attributes say together, beyond each smaller set of them.

    Args:
        values: one axis an attribute, each summing to 0 along every axis.
        variance: of each cell's noise before the values were centred, in records squared.
    """

    values: Array
    variance: float


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Effects:
    """The noisy marginals taken apart into effects (interactions), each estimated from all of them.

    A marginal is the sum of the effects of its subsets, spread evenly over the other attributes,
    and effects are orthogonal. Noise of equal size in all cells of a marginal is therefore
    independent between its effects, so least squares over all marginals at once is a weighted
    mean for each effect: no system of equations, and variances in closed form.

    Args:
        domain: sizes of the attributes.
        effects: by attributes in the domain's order; every subset of a measured clique.

    Reference: Scheffe 1959, chapter 4 (effects of complete layouts); Xiao et al. 2023, section 4
        (independent residuals of marginals); Mullins et al. 2024 (GReM-MLE: their weighted means).
    """

    domain: Domain
    effects: Mapping[Clique, Effect]

    @classmethod
    def of(
        cls,
        domain: Domain,
        measurements: Sequence[NoisyMarginal],
        *,
        total: float | None,
    ) -> "Effects":
        """Return the least-squares effects of `measurements`.

        Args:
            domain: sizes of the attributes.
            measurements: noisy counts, in any order of axes.
            total: the number of records where it is public, else None.
        """
        sums: dict[Clique, Array] = {}
        precisions: dict[Clique, float] = {}
        for measurement in measurements:
            clique = domain.canonical(measurement.clique)
            values = measurement.values.transpose([measurement.clique.index(a) for a in clique])
            for subset in subsets(clique):
                if len(subset) < measurement.least_told:
                    continue  # nothing is known of them
                gone = tuple(i for i, a in enumerate(clique) if a not in subset)
                cells = prod(values.shape[i] for i in gone)
                precision = 1.0 / (cells * measurement.sigma**2)
                sums[subset] = sums.get(subset, 0.0) + precision * values.sum(axis=gone)
                precisions[subset] = precisions.get(subset, 0.0) + precision
        effects = {
            subset: Effect(
                values=centred(weighted / precisions[subset]), variance=1.0 / precisions[subset]
            )
            for subset, weighted in sums.items()
        }
        if total is not None:
            effects[()] = Effect(values=np.array(total), variance=0.0)
        return cls(domain=domain, effects=effects)

    def with_groups(self, links: Mapping[str, tuple[str, NDArray[np.intp]]]) -> "Effects":
        """Return these and the effects of attributes whose codes are groups of others' codes.

        The noise of a group is that of the sum over its codes, taken to be as many as in others.

        Args:
            links: attribute -> the one that it groups, and the group of each of its codes.
        """
        found = dict(self.effects)
        for name, (attribute, groups) in links.items():
            sums = np.bincount(groups, self.marginal((attribute,))).astype(np.float64)
            variance = self.effects[(attribute,)].variance * len(groups) / len(sums)
            found[(name,)] = Effect(values=centred(sums), variance=variance)
        return Effects(domain=self.domain, effects=found)

    def covers(self, attributes: Sequence[str]) -> bool:
        """Return whether measured cliques show `attributes` and every subset of them."""
        return all(s in self.effects for s in subsets(self.domain.canonical(attributes)))

    def marginal(self, attributes: Sequence[str]) -> Array:
        """Return the least-squares counts of covered attributes, axes in the order given.

        They are unbiased, consistent between marginals, and may be negative.
        """
        found = np.zeros([self.domain.sizes[a] for a in attributes])
        for subset, effect, rest in self._inside(attributes):
            order = [subset.index(a) for a in attributes if a in subset]
            shape = [self.domain.sizes[a] if a in subset else 1 for a in attributes]
            found += effect.values.transpose(order).reshape(shape) / rest
        return found

    def variance(self, attributes: Sequence[str]) -> float:
        """Return the variance of each count that `marginal` returns, the same in every cell."""
        return sum(
            effect.variance * prod(1 - 1 / self.domain.sizes[a] for a in subset) / rest**2
            for subset, effect, rest in self._inside(attributes)
        )

    def query_variance(self, attributes: Sequence[str], weights: Array) -> float:
        """Return the variance of the sum of `weights` times the counts of covered attributes.

        Args:
            attributes: covered, each once.
            weights: one a cell, axes in the order of `attributes`.
        """
        found = 0.0
        for subset, effect, rest in self._inside(attributes):
            gone = tuple(i for i, a in enumerate(attributes) if a not in subset)
            part = centred(weights.sum(axis=gone))
            found += effect.variance * float((part**2).sum()) / rest**2
        return found

    def joint_query(
        self,
        weights: Mapping[Clique, Array],
        *,
        links: Mapping[str, tuple[str, NDArray[np.intp]]],
    ) -> tuple[float, float]:
        """Return the sum of weights times the counts of several cliques, and its variance.

        Cliques that share attributes share the errors of their common effects. The effect of an
        attribute that groups another's codes is no error of its own: it is taken from that other.

        Args:
            weights: covered attributes -> one weight a cell, axes in the order given. The empty
                clique weighs the total.
            links: as of `with_groups`, where these effects come from it.
        """
        parts: dict[Clique, Array] = {}
        for clique, of in weights.items():
            for subset, _, rest in self._inside(clique):
                gone = tuple(i for i, a in enumerate(clique) if a not in subset)
                left = [a for a in clique if a in subset]
                part = of.sum(axis=gone).transpose([left.index(a) for a in subset]) / rest
                if len(subset) == 1 and subset[0] in links:
                    attribute, groups = links[subset[0]]
                    single = centred(part)[groups]
                    _add(parts, (), single.sum() / len(groups))
                    _add(parts, (attribute,), single)
                else:
                    _add(parts, subset, part)
        value = sum(float((self.effects[s].values * part).sum()) for s, part in parts.items())
        variance = sum(
            self.effects[s].variance * float((centred(part) ** 2).sum())
            for s, part in parts.items()
        )
        return value, variance

    def noise(self, *, rng: np.random.Generator) -> "Effects":
        """Return a draw of the errors of all effects."""
        drawn = {
            subset: Effect(
                values=np.sqrt(effect.variance) * centred(rng.normal(size=effect.values.shape)),
                variance=effect.variance,
            )
            for subset, effect in self.effects.items()
        }
        return Effects(domain=self.domain, effects=drawn)

    def _inside(self, attributes: Sequence[str]) -> Iterator[tuple[Clique, Effect, int]]:
        """Yield each subset of `attributes`, its effect, and the number of cells of the others."""
        cells = prod(self.domain.sizes[a] for a in attributes)
        for subset in subsets(self.domain.canonical(attributes)):
            rest = cells // prod(self.domain.sizes[a] for a in subset)
            yield subset, self.effects[subset], rest


def subsets(clique: Clique) -> Iterator[Clique]:
    """Yield all subsets of `clique`, smallest first, in its order."""
    for size in range(len(clique) + 1):
        yield from combinations(clique, size)


def _add(parts: dict[Clique, Array], subset: Clique, part: Array) -> None:
    parts[subset] = parts.get(subset, 0.0) + np.asarray(part)


def centred(values: Array) -> Array:
    """Return `values` less their means along every axis, so that each axis sums to 0."""
    values = np.asarray(values, dtype=np.float64)
    for axis in range(values.ndim):
        values = values - values.mean(axis=axis, keepdims=True)
    return values
