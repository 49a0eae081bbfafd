"""Pairs that are known to matter, bought first; a private tree of coarse pairs for the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import (
    Generator,
    SyntheticModel,
    check_counts,
    check_positive,
    check_shares,
)
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted, total_of
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways_by_size
from dpsynth.generators.marginal.purchase import bought
from dpsynth.generators.marginal.rare_codes import independent, likely_counts, neighbour_groups
from dpsynth.generators.marginal.spanning_tree import select_tree
from dpsynth.generators.marginal.tree_plan import beside
from dpsynth.pgm.measurement import NoisyMarginal


@final
@dataclass(frozen=True, kw_only=True)
class PairsFirst(Generator):
    """One-way marginals; the pairs that the caller names; a spanning tree that joins what is left.

    Who fits what follows what knows which pairs matter most, each column with what it was before,
    and need not pay for finding them. They and the tree's pairs are counted in groups of
    neighbouring codes, of about as many records each, so few that the records of a cell outweigh
    its noise. The tree is picked as MST does.

    Relation: both. Sensitivities and proofs: `MarginalQuery` and `InteractionQuery` for the
    measurements, `MergedQuery` for their groups, `WorstFitQuery` for the picks. Each purchase is a
    charge of its own; groups and models are post-processing.
    Cost: the whole budget: `one_way_share`, then `pair_share` and `selection_share` of all, then
    the rest for the tree. What nothing is bought with goes to what follows, in the end to one-way
    marginals.

    Args:
        pairs: two different attributes each; a pair of which one has a single code is left out.
        given: attributes that will be known whenever rows are drawn (`pgm.completion`); the tree
            has no pair of two of these, since nothing depends on what they have in common.
        one_way_share: part of the budget for one-way marginals.
        pair_share: part of the budget for `pairs`.
        selection_share: part of the budget for picking the tree.
        least_ratio: records of a cell of a pair in standard deviations of its noise, above 0.
        largest_tree: most cells of what the tree adds; `pairs` have what they have.

    Raises:
        InvalidValueError: a pair that is none, or shares that leave nothing for the tree; on
            fitting, before anything is spent, pairs whose junction tree has too many cells.
        UnknownNameError: on fitting, before anything is spent, an attribute that the domain lacks.

    Reference: McKenna, Miklau & Sheldon 2021, Algorithms 1 and 2.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    given: tuple[str, ...] = ()
    one_way_share: float = 0.25
    pair_share: float = 0.4
    selection_share: float = 0.1
    least_ratio: float = 2.0
    largest_tree: int = 2**20

    name: ClassVar[str] = "pairs_first"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "McKenna, Miklau & Sheldon 2021, Algorithms 1 and 2"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "pair_share", "selection_share")
        spent = self.one_way_share + self.pair_share + self.selection_share
        if spent >= 1:
            rule = "below 1"
            raise InvalidValueError("one_way_share + pair_share + selection_share", spent, rule)
        check_positive(self, "least_ratio")
        check_counts(self, "largest_tree")
        for pair in self.pairs:
            if len(set(pair)) != 2:
                raise InvalidValueError("pairs", pair, "two different attributes each")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        budget, pairs = private.remaining, self.known_pairs(private.domain)
        plans = beside(
            private.domain,
            private.impossible,
            pairs=pairs,
            largest_tree=self.largest_tree,
            apart=self.given,
        )
        ones = measure_one_ways_by_size(private, amount=budget * self.one_way_share)
        total = total_of(private, ones)
        likely = likely_counts(ones, private.schema, total=total)
        found: list[NoisyMarginal] = []
        if pairs:
            amount = budget * self.pair_share
            found += self._bought(private, pairs, likely, amount=amount)
        if any(plan.edges for plan in plans):
            epsilon = 1.0  # of no pick
            if picks := sum(plan.picks for plan in plans):
                amount = budget * self.selection_share
                epsilon = private.selection_epsilon_for(amount, rounds=picks)
            model = independent(private, likely)
            tree = [c for p in plans for c in select_tree(private, model, p, epsilon=epsilon)]
            found += self._bought(private, tree, likely, amount=private.remaining)
        if private.remaining > 1e-6 * private.ledger.capacity:
            ones += measure_one_ways_by_size(
                private, amount=private.remaining, before=ones, total=total
            )
        measured = [*ones, *found]
        return GraphicalSyntheticModel.of(private, fitted(private, measured, last=True), measured)

    def known_pairs(self, domain: Domain) -> list[Clique]:
        """Return the pairs whose attributes both have two codes or more.

        Raises:
            UnknownNameError: an attribute that the domain lacks.
        """
        domain.canonical((*self.given, *(a for pair in self.pairs for a in pair)))
        attributes = set(informative(domain))
        return [pair for pair in self.pairs if attributes.issuperset(pair)]

    def _bought(
        self,
        private: PrivateData,
        pairs: list[Clique],
        likely: Mapping[str, NDArray[np.float64]],
        *,
        amount: float,
    ) -> list[NoisyMarginal]:
        """Return measurements of pairs in groups of codes, for `amount` together."""
        sigma = private.sigma_for(amount, queries=len(pairs))
        groups = self._groups(private, {a for pair in pairs for a in pair}, likely, sigma=sigma)
        return bought(private, pairs, [sigma] * len(pairs), groups=groups)

    def _groups(
        self,
        private: PrivateData,
        attributes: set[str],
        likely: Mapping[str, NDArray[np.float64]],
        *,
        sigma: float,
    ) -> dict[str, tuple[int, ...]]:
        """Return the groups of attributes of which a pair's cells outweigh their noise.

        Of n records in g x g cells each has n / g^2 on average, which is `least_ratio` sigma.
        """
        found: dict[str, tuple[int, ...]] = {}
        for name in attributes:
            counts = likely[name]
            most = max(2.0, sqrt(counts.sum() / (self.least_ratio * sigma)))
            of = neighbour_groups(private.schema.column(name), counts, least=counts.sum() / most)
            if 0 < of.max() < len(of) - 1:
                found[name] = tuple(int(g) for g in of)
        return found
