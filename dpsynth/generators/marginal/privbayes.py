"""PrivBayes: a Bayesian network grown privately, its tables filled by noisy marginals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, inf, prod
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_positive
from dpsynth.generators.graphical import TOTAL_CEILING, total_of, without_zeros
from dpsynth.generators.marginal.bayesian_network import BayesianNetworkModel, conditional
from dpsynth.pgm.measurement import MEAN_SIZE

# Part of the budget for a first count of the records, which only decides how large tables may be.
_COUNT_SHARE = 0.01


@final
@dataclass(frozen=True, kw_only=True)
class PrivBayes(Generator):
    """A greedy network whose tables stay above their noise, then one noisy marginal a family.

    An attribute drawn at random (publicly) comes first. Each round adds one attribute with its
    parents, picked by the exponential mechanism for dependence. Parents compete only if they are
    theta-useful: the mean count in their table is at least `usefulness` times the mean size of
    the noise in a cell. Noise is added to counts and never divided by the number of records,
    which stays unknown.

    The paper prefers large tables up to a high theta (4). Many of their cells are empty, though,
    and non-negative fitting takes most noise off empty cells, so that a hard limit loses strongly
    dependent wide pairs. Here the limit is low, all sets of parents below it compete (not only
    maximal ones), and a part of the noise that a table would bring, in the score's own unit, is
    taken off its score: public, so free.

    Attributes that a constraint of the schema ties to a child are preferred as its parents, where
    they are useful: its table then holds the constraint, with 0 in the cells that are impossible.

    Relation: both. Sensitivities and proofs: `DependenceQuery` for the picks (2 under ADD_REMOVE,
    3 under REPLACE for one row a unit), `MarginalQuery` for the d tables, `CountQuery` for the
    size. Each access is a charge of its own.
    Cost: the whole budget: 1% for the size unless it is public, `structure_share` for the picks,
    the rest for the tables in equal parts. Conditional tables, fallbacks and samples are
    post-processing.

    Args:
        structure_share: part of the budget for picking the network (beta in the paper, 0.3).
        usefulness: theta, the least ratio of mean count to mean noise in a table.
        noise_weight: part of a table's expected noise, 1/2 sum over cells E|noise|, that is taken
            off its score.
        degree: largest number of parents.
        candidates: most (child, parents) pairs of the largest degree over the whole run; the
            degree is lowered until that holds, so that wide tables stay fast.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Zhang, Cormode, Procopiuc, Srivastava & Xiao 2017, Algorithm 2 (GreedyBayes),
        section 4.3 (score R), Definition 4.6 (usefulness).
    """

    structure_share: float = 0.1
    usefulness: float = 0.5
    noise_weight: float = 0.5
    degree: int = 3
    candidates: int = 20_000

    name: ClassVar[str] = "privbayes"
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "Zhang et al. 2017, Algorithm 2 and section 4.3"
    model: ClassVar[type[SyntheticModel]] = BayesianNetworkModel

    def __post_init__(self) -> None:
        if not 0 < self.structure_share < 1 - _COUNT_SHARE:
            rule = f"above 0 and below {1 - _COUNT_SHARE}"
            raise InvalidValueError("structure_share", self.structure_share, rule)
        check_positive(self, "usefulness")
        if not 0 <= self.noise_weight < inf:
            raise InvalidValueError("noise_weight", self.noise_weight, "a finite number from 0")
        check_counts(self, "degree", "candidates")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> BayesianNetworkModel:
        domain, budget = private.domain, private.remaining
        size = _rough_size(private, amount=budget * _COUNT_SHARE)
        for_tables = budget * (1 - _COUNT_SHARE - self.structure_share)
        sigma = private.sigma_for(for_tables, queries=len(domain.attributes))
        families = self._network(
            private, size=size, sigma=sigma, amount=budget * self.structure_share, rng=rng
        )
        cliques = [(*parents, child) for child, parents in families]
        sigma = private.sigma_for(private.remaining, queries=len(cliques))
        measured = private.marginals(cliques, sigmas=[sigma] * len(cliques))
        total = total_of(private, measured)
        tables = [conditional(m.values, total) for m in without_zeros(private, measured)]
        return BayesianNetworkModel(
            schema=private.schema, total=total, families=tuple(families), tables=tuple(tables)
        )

    def _network(
        self,
        private: PrivateData,
        *,
        size: float,
        sigma: float,
        amount: float,
        rng: np.random.Generator,
    ) -> list[tuple[str, Clique]]:
        """Return (child, parents) for each attribute, parents before children."""
        domain = private.domain
        noise = MEAN_SIZE * sigma
        largest = size / (self.usefulness * noise)
        left = list(domain.attributes)
        families: list[tuple[str, Clique]] = [(left.pop(int(rng.integers(len(left)))), ())]
        degree = self._affordable_degree(len(domain.attributes))
        epsilon = private.selection_epsilon_for(amount, rounds=max(1, len(left)))
        while left:
            placed = domain.canonical(child for child, _ in families)
            choices = [
                (child, parents)
                for child in left
                for parents in with_partners(
                    useful_parents(
                        domain, placed, degree=degree, largest=largest / domain.sizes[child]
                    ),
                    [set(clique) for clique in private.impossible if child in clique],
                )
            ]
            # Without parents a child is measured all the same: only what a table adds counts.
            penalties = [
                self.noise_weight * noise * domain.cells_of((*parents, child)) / 2
                if parents
                else 0.0
                for child, parents in choices
            ]
            chosen = private.select_dependent(
                choices, epsilon=epsilon, penalties=penalties, label="select parents"
            )
            families.append(chosen)
            left.remove(chosen[0])
        return families

    def _affordable_degree(self, attributes: int) -> int:
        """Return the largest degree of which all (child, parents) pairs are few enough."""
        degree = 1
        while (
            degree < self.degree and comb(attributes, degree + 2) * (degree + 2) <= self.candidates
        ):
            degree += 1
        return degree


def useful_parents(
    domain: Domain, placed: Sequence[str], *, degree: int, largest: float
) -> Iterator[Clique]:
    """Yield the sets of at most `degree` of the `placed` attributes that have few enough cells.

    Args:
        domain: sizes of the attributes.
        placed: attributes that may be parents.
        degree: most parents.
        largest: most combinations of their codes; the empty set is always yielded.
    """
    for count in range(min(degree, len(placed)) + 1):
        for parents in combinations(placed, count):
            if not parents or prod(domain.sizes[a] for a in parents) <= largest:
                yield parents


def with_partners(parents: Iterator[Clique], constraints: Sequence[set[str]]) -> list[Clique]:
    """Return the sets of parents that join a child with most of what constraints tie it to.

    A table that holds a constraint has no noise in its impossible cells, and a network that holds
    it draws no row that breaks it.

    Args:
        parents: the sets to choose from.
        constraints: the attributes of each that speaks of the child, the child among them.
    """
    found = list(parents)
    held = [sum(len(set(p) & tied) for tied in constraints) for p in found]
    return [p for p, count in zip(found, held, strict=True) if count == max(held)]


def _rough_size(private: PrivateData, *, amount: float) -> float:
    """Return the public number of records, or a noisy count for `amount`, at least 1."""
    if private.public_rows is not None:
        return float(private.public_rows)
    return min(max(1.0, private.count(sigma=private.sigma_for(amount))), TOTAL_CEILING)
