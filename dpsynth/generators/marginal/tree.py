"""One-shot tree: a junction tree grown from noisy pair errors, then all its marginals at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from sys import maxsize
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.hosts import Hosting
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.shortlist import Shortlist
from dpsynth.generators.marginal.workload import all_k_ways
from dpsynth.pgm.junction_tree import JunctionTree

_PRICES = (0, 1, 2, 4, 8, 16, 32)
_MISFITS = 40


@final
@dataclass(frozen=True, kw_only=True)
class Tree(Generator):
    """One-way marginals, the error of every pair, then one junction tree measured all at once.

    The errors of all pairs against independent columns are bought as one noisy vector. A junction
    tree is grown from pairs in the order of error less a price a cell, for several prices, and the
    tree whose cliques hold most noisy error is kept. Of the pairs and triples inside it those are
    measured that lower the expected error of its pairs most (`Hosting`), with shares of the
    budget in closed form; one fit ends it. There are three rounds of access and two fits, whatever
    the budget.

    What it cannot see: a triple whose pairs show nothing, and which of three pairs is explained by
    the other two.

    Relation: both. Sensitivities and proofs: `FitErrorsQuery` for the errors, `MarginalQuery` for
    the measurements. Each purchase is a charge of its own; tree, list and shares are
    post-processing.
    Cost: the whole budget: `one_way_share`, `error_share`, and the rest for the tree; a rest that
    nothing in the tree is worth goes to the one-way marginals.

    Args:
        one_way_share: part of the budget for one-way marginals.
        error_share: part of the budget for the errors of the pairs.
        kappa: most that a cell of few records costs when measured, in expected counts.
        largest_tree: most cells of the junction tree.
        largest_clique: most cells of one of its cliques.

    Raises:
        InvalidValueError: a hyperparameter out of its range, or shares that leave nothing.

    Reference: McKenna, Miklau & Sheldon 2021, section 4 (select, measure, generate; errors against
        independence); McKenna et al. 2022, equation 1 (error less expected noise); Dong, Roth & Su
        2022, corollary 2 (composition of Gaussian mechanisms).
    """

    one_way_share: float = 0.15
    error_share: float = 0.1
    kappa: float = 2.0
    largest_tree: int = 2**18
    largest_clique: int = 2**16

    name: ClassVar[str] = "tree"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "McKenna, Miklau & Sheldon 2021; Dong, Roth & Su 2022, corollary 2"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "error_share")
        if self.one_way_share + self.error_share >= 1:
            both = self.one_way_share + self.error_share
            raise InvalidValueError("one_way_share + error_share", both, "below 1")
        if not self.kappa > 0:
            raise InvalidValueError("kappa", self.kappa, "above 0")
        check_counts(self, "largest_tree", "largest_clique")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        budget = private.remaining
        pairs = self._pairs(private.domain)
        if not pairs:
            measured = measure_one_ways(private, amount=budget)
            return GraphicalSyntheticModel.of(private, fitted(private, measured), measured)
        measured = measure_one_ways(private, amount=budget * self.one_way_share)
        model = fitted(private, measured)
        expected = model.pairs(pairs)
        errors, _ = private.fit_errors(
            pairs,
            expected.__getitem__,
            amount=budget * self.error_share,
            label=f"errors of {len(pairs)} marginals",
        )
        gains = dict(zip(pairs, map(float, errors), strict=True))
        chosen = self._worthwhile(private, gains, expected)
        if chosen is None:
            measured += measure_one_ways(private, amount=private.remaining)
        else:
            rest = private.remaining
            sigmas = [private.sigma_for(rest * share) for share in chosen.shares]
            measured += private.marginals(chosen.cliques, sigmas=sigmas)
        model = fitted(private, measured, start=model)
        return GraphicalSyntheticModel.of(private, model, measured)

    def _pairs(self, domain: Domain) -> list[Clique]:
        """Return the pairs that a tree can hold at all."""
        attributes = informative(domain)
        most = min(self.largest_clique, self.largest_tree)
        pairs = all_k_ways(attributes, 2) if len(attributes) > 1 else []
        return [pair for pair in pairs if domain.project(pair).cells <= most]

    def _worthwhile(
        self,
        private: PrivateData,
        gains: Mapping[Clique, float],
        expected: Mapping[Clique, NDArray[np.float64]],
    ) -> Shortlist | None:
        """Return the marginals inside the best tree that are worth what is left of the budget."""
        tree = best_tree(
            private.domain,
            gains,
            largest_tree=self.largest_tree,
            largest_clique=self.largest_clique,
        )
        rest = private.remaining
        held = {pair: gains[pair] for pair in _inside(tree, 2) if pair in gains}
        hosting = Hosting(
            domain=private.domain,
            gains=held,
            expected=expected,
            cliques=[*held, *(t for t in _inside(tree, 3) if _all_known(t, held))],
            sigma_of=lambda share: private.sigma_for(rest * share),
            kappa=self.kappa,
        )
        return hosting.shortlist()


def best_tree(
    domain: Domain, gains: Mapping[Clique, float], *, largest_tree: int, largest_clique: int
) -> JunctionTree:
    """Return, of the trees grown for several prices, the one whose cliques hold most error.

    Args:
        domain: of all attributes.
        gains: noisy error of each pair, in records; those below 0 hold nothing.
        largest_tree: most cells of the tree.
        largest_clique: most cells of one of its cliques.
    """
    tried: list[list[Clique]] = []
    best, most = JunctionTree.build(domain, ()), 0.0
    for price in _PRICES:
        net = {pair: gain - price * domain.project(pair).cells for pair, gain in gains.items()}
        ranked = sorted((pair for pair in net if net[pair] > 0), key=lambda pair: -net[pair])
        if any(before[: len(ranked)] == ranked for before in tried):
            continue  # would be the beginning of a tree that was grown already
        tried.append(ranked)
        tree = _grown(domain, ranked, largest_tree=largest_tree, largest_clique=largest_clique)
        held = sum(max(0.0, gains.get(pair, 0.0)) for pair in _inside(tree, 2))
        if held > most:
            best, most = tree, held
    return best


def _grown(
    domain: Domain, ranked: Sequence[Clique], *, largest_tree: int, largest_clique: int
) -> JunctionTree:
    """Return the tree of the pairs in `ranked` that fit, one after the other.

    It gives up where none of a run of pairs fits: such a tree is full, and asking takes time.
    """
    tree, chosen, misfits = JunctionTree.build(domain, ()), list[Clique](), 0
    for pair in ranked:
        if any(set(pair) <= set(clique) for clique in tree.cliques):
            continue
        larger = JunctionTree.build(domain, [*chosen, pair], ceiling=maxsize)
        widest = max(domain.project(clique).cells for clique in larger.cliques)
        if larger.cells <= largest_tree and widest <= largest_clique:
            tree, misfits = larger, 0
            chosen.append(pair)
        elif (misfits := misfits + 1) == _MISFITS:
            break
    return tree


def _inside(tree: JunctionTree, size: int) -> list[Clique]:
    """Return every set of `size` attributes inside a clique of the tree, each once."""
    return list(dict.fromkeys(c for clique in tree.cliques for c in combinations(clique, size)))


def _all_known(triple: Clique, pairs: Mapping[Clique, float]) -> bool:
    return all(pair in pairs for pair in combinations(triple, 2))
