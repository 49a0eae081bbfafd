"""A mixture of products from a forest of pairs and from all pairs that were measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.effects import Effects, centred
from dpsynth.pgm.mixture_fitting import PairTargets, fit_components, near_equal, near_rows
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.one_hot import OneHot
from dpsynth.pgm.product_mixture import ProductMixture

Array = NDArray[np.float64]

# A fit starts from independence where the forest explains less than this part of the squares beyond
# noise that independent columns leave, in this many pairs an attribute, and where it then comes as
# near to the measurements as this many times their noise.
_ENOUGH_EXPLAINED, _SEEN, _REACHED = 0.7, 1, 1.4
# Weight of a pair that was not measured over that of one that was, in a fit from independence.
_HEARSAY = 0.1
# Least variance of what the forest says of a cell, over the mean variance of a measured one.
_LEAST_DOUBT = 0.05
_ROW_STEPS, _CLASS_STEPS = 60, 100
_ROW_SMOOTH, _CLASS_SPREAD = 0.05, 0.3


@final
@dataclass(frozen=True, kw_only=True)
class Misfit:
    """What a forest says of the measured pairs that are not in it.

    Args:
        pairs: how many they are.
        explained: part of the squares beyond noise that the forest takes away from independence;
            1 where there is nothing to explain.
        spread: mean square a cell of what the forest misses beyond noise, in records squared.
    """

    pairs: int
    explained: float
    spread: float


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class PairEvidence:
    """What is known of the pairs of some attributes: a forest's word, and measurements.

    Args:
        layout: of the attributes.
        forest: a model of these and perhaps other attributes, from the strongest pairs.
        believed: what the forest expects of all pairs, in records, in that layout.
        estimates: of the measured pairs.
    """

    layout: OneHot
    forest: GraphicalModel
    believed: Array
    estimates: Effects

    @classmethod
    def of(cls, domain: Domain, forest: GraphicalModel, estimates: Effects) -> "PairEvidence":
        """Return the evidence on the attributes of `domain`."""
        layout = OneHot(domain=domain)
        believed = np.zeros((layout.width, layout.width))
        expected = forest.pairs(combinations(domain.attributes, 2))
        for (a, b), counts in expected.items():
            believed[layout.columns[a], layout.columns[b]] = counts
        return cls(
            layout=layout, forest=forest, believed=believed + believed.T, estimates=estimates
        )

    @cached_property
    def singles(self) -> Array:
        """Probabilities of the codes of every attribute."""
        names = self.layout.domain.attributes
        return np.concatenate([self.forest.marginal((a,)) for a in names]) / self.forest.total

    def block(self, pair: Clique) -> tuple[slice, slice]:
        """Return where the cells of `pair` are."""
        return self.layout.columns[pair[0]], self.layout.columns[pair[1]]

    def as_measured(self, pairs: Sequence[Clique]) -> PairTargets:
        """Return targets that are the measurements of `pairs`; elsewhere what the forest says.

        Weights are reciprocal variances, and a small part of their mean elsewhere.
        """
        precisions = [1.0 / self.estimates.effects[pair].variance for pair in pairs]
        targets = self.believed.copy()
        weights = np.full_like(targets, _HEARSAY * float(np.mean(precisions)))
        for pair, precision in zip(pairs, precisions, strict=True):
            first, second = self.block(pair)
            expected = targets[first, second]
            counts = self.estimates.effects[pair].values + expected - centred(expected)
            targets[first, second], targets[second, first] = counts, counts.T
            weights[first, second] = weights[second, first] = precision
        return self._targets(targets, weights)

    def weighed(self, pairs: Sequence[Clique]) -> PairTargets:
        """Return targets between the forest and the measurements, as their variances have it.

        What the forest misses beyond noise, in the pairs that it was not fitted to, is its variance
        (empirical Bayes).
        """
        variances = [self.estimates.effects[pair].variance for pair in pairs]
        doubt = max(self.misfit(pairs).spread, _LEAST_DOUBT * float(np.mean(variances)))
        targets, weights = self.believed.copy(), np.full_like(self.believed, 1.0 / doubt)
        inside = set(self.forest.cliques)
        for pair, variance in zip(pairs, variances, strict=True):
            first, second = self.block(pair)
            precision = 1.0 / doubt + 1.0 / variance
            weights[first, second] = weights[second, first] = precision
            if pair not in inside:
                expected = targets[first, second]
                missed = self.estimates.effects[pair].values - centred(expected)
                counts = expected + missed / (variance * precision)
                targets[first, second], targets[second, first] = counts, counts.T
        return self._targets(targets, weights)

    def misfit(self, pairs: Sequence[Clique]) -> Misfit:
        """Return how far the forest is from the measured `pairs` that it was not fitted to."""
        inside, missed, alone, noise = set(self.forest.cliques), 0.0, 0.0, 0.0
        outside, freedom = 0, 0
        for pair in pairs:
            if pair not in inside:
                expected = self.believed[self.block(pair)]
                product = np.outer(expected.sum(axis=1), expected.sum(axis=0)) / expected.sum()
                cells = prod(n - 1 for n in expected.shape)
                missed += float(
                    ((self.estimates.effects[pair].values - centred(expected)) ** 2).sum()
                )
                alone += float(
                    ((self.estimates.effects[pair].values - centred(product)) ** 2).sum()
                )
                noise += cells * self.estimates.effects[pair].variance
                outside, freedom = outside + 1, freedom + cells
        if alone <= noise:
            return Misfit(pairs=outside, explained=1.0, spread=0.0)
        beyond = max(missed - noise, 0.0)
        explained = 1.0 - beyond / (alone - noise)
        return Misfit(pairs=outside, explained=explained, spread=beyond / freedom)

    def chi_square(self, pairs: Sequence[Clique], expected: Array) -> float:
        """Return the mean square of what expected counts miss of `pairs`, over that of noise.

        Args:
            pairs: measured, at least one.
            expected: counts of all pairs in the layout, in records.
        """
        missed, freedom = 0.0, 0
        for pair in pairs:
            counts = expected[self.block(pair)]
            gap = self.estimates.effects[pair].values - centred(counts)
            missed += float((gap**2).sum()) / self.estimates.effects[pair].variance
            freedom += prod(n - 1 for n in counts.shape)
        return missed / freedom

    def _targets(self, counts: Array, weights: Array) -> PairTargets:
        total = self.forest.total
        return PairTargets(
            domain=self.layout.domain,
            singles=self.singles,
            pairs=counts / total,
            weights=weights * total**2,
        )


@final
@dataclass(frozen=True, kw_only=True)
class PairMixture:
    """How to fit a mixture to evidence, from one of two starts.

    Args:
        rows: components of a fit that starts from rows of the forest.
        classes: components of one that starts from independence.
    """

    rows: int
    classes: int

    def fit(
        self, evidence: PairEvidence, pairs: Sequence[Clique], *, rng: np.random.Generator
    ) -> ProductMixture:
        """Return a mixture that is near the forest and near the measured `pairs`.

        Where the forest explains most of the pairs outside it, as it does of a chain, the fit
        starts from rows of the forest, and each measured pair is weighed against the forest's word.
        Where many pairs share a cause that no forest shows, it starts next to independence and
        ends when the misses are what noise explains. A few pairs show no such cause, and a fit that
        does not come near them has not found one.

        Args:
            evidence: on the attributes of the mixture.
            pairs: those measured, at least one, each once, in the domain's order.
            rng: source of the starts.
        """
        misfit = evidence.misfit(pairs)
        seen = _SEEN * len(evidence.layout.domain.attributes)
        if misfit.pairs >= seen and misfit.explained < _ENOUGH_EXPLAINED:
            found = self._from_independence(evidence, pairs, rng)
            if evidence.chi_square(pairs, found.pair_matrix()) < _REACHED:
                return found
        return self._from_rows(evidence, pairs, rng)

    def _from_rows(
        self, evidence: PairEvidence, pairs: Sequence[Clique], rng: np.random.Generator
    ) -> ProductMixture:
        domain, forest = evidence.layout.domain, evidence.forest
        codes = forest.sample(self.rows, rng=rng)[:, forest.domain.axes(domain.attributes)]
        start = near_rows(domain, codes, evidence.singles, smooth=_ROW_SMOOTH)
        found = fit_components(evidence.weighed(pairs), start, steps=_ROW_STEPS)
        return ProductMixture(domain=domain, total=forest.total, components=found)

    def _from_independence(
        self, evidence: PairEvidence, pairs: Sequence[Clique], rng: np.random.Generator
    ) -> ProductMixture:
        domain = evidence.layout.domain
        start = near_equal(domain, evidence.singles, self.classes, spread=_CLASS_SPREAD, rng=rng)
        noise = sum(prod(domain.sizes[a] - 1 for a in pair) for pair in pairs)
        found = fit_components(
            evidence.as_measured(pairs), start, steps=_CLASS_STEPS, enough=float(noise)
        )
        return ProductMixture(domain=domain, total=evidence.forest.total, components=found)
