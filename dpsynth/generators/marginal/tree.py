"""One-shot tree: a junction tree grown from noisy pair errors, then all its marginals at once."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.grown_tree import hosted_shortlist
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.workload import affordable, all_k_ways


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
        rest = private.remaining
        chosen = hosted_shortlist(
            private.domain,
            gains,
            expected,
            inherited=model.cliques,
            sigma_of=lambda share: private.sigma_for(rest * share),
            kappa=self.kappa,
            largest_tree=self.largest_tree,
            largest_clique=self.largest_clique,
        )
        if chosen is None:
            measured += measure_one_ways(private, amount=private.remaining)
        else:
            sigmas = [private.sigma_for(rest * share) for share in chosen.shares]
            measured += private.marginals(chosen.cliques, sigmas=sigmas)
        model = fitted(private, measured, start=model)
        return GraphicalSyntheticModel.of(private, model, measured)

    def _pairs(self, domain: Domain) -> list[Clique]:
        """Return the pairs that a tree can hold at all."""
        attributes = informative(domain)
        most = min(self.largest_clique, self.largest_tree)
        pairs = all_k_ways(attributes, 2) if len(attributes) > 1 else []
        return affordable(domain, pairs, most_cells=most)
