"""AIM with Gaussian noise alone: noisy scores are kept, and only the best are asked for again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.candidates import fits_into, predictions, weighted_candidates
from dpsynth.generators.marginal.noise_cost import noise_cost
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.rounds import Round, Rounds
from dpsynth.pgm.model import GraphicalModel


@final
@dataclass(frozen=True, kw_only=True)
class AimGdp(Generator):
    """AIM whose picks are noisy scores too, so that everything is one budget of Gaussian DP.

    The errors of all candidates are bought once, against independent columns, for half a round.
    Each round ranks the candidates by the last error known of them, buys the errors of the
    `rescored` best under the current model, and measures the best of those. The score is AIM's,
    weight times error less expected noise; what a round has found stays known, so one that fell
    back is not asked for again before others have. An error just measured away is known to be the
    noise that it was measured with, which puts it at a score of 0.

    Departures from AIM: expected noise is bounded by `kappa` times the expected count of a cell,
    in scores and in annealing alike (`noise_cost`; an infinite `kappa` is the paper's), and
    `one_way_share` of the budget, as MST has it, goes to the 1-way marginals. Rounds, annealing,
    the growing limit of the tree and the workload are AIM's.

    Relation: both. Sensitivities and proofs: `FitErrorsQuery` for the errors (a vector of m moves
    by at most sqrt(m) times one of them), `MarginalQuery` for the measurements. Each access is a
    charge of its own; ranks, picks, annealing and stopping are post-processing.
    Cost: the whole budget, in rounds of adaptively chosen cost under the accountant's filter.

    Args:
        degree: attributes of each set of the workload.
        rounds: rounds an attribute that the budget would last for without annealing.
        one_way_share: part of the budget for 1-way marginals.
        selection_share: part of each round for the errors.
        rescored: candidates whose errors a round buys.
        kappa: most that a cell of few records costs when measured, in expected counts.
        largest_tree: most cells of the model's junction tree.
        most_sets: most sets of the workload.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: McKenna, Mullins, Sheldon & Miklau 2022, Algorithms 1 and 4 and equation 1; Dong,
        Roth & Su 2022, corollary 2 (composition of Gaussian mechanisms); Smith & Thakurta 2022
        (its filter for adaptively chosen noise); Minoux 1978 (greedy choice with stale scores).
    """

    degree: int = 3
    rounds: int = 16
    one_way_share: float = 0.3
    selection_share: float = 0.1
    rescored: int = 16
    kappa: float = 2.0
    largest_tree: int = 2**18
    most_sets: int = 1000

    name: ClassVar[str] = "aim_gdp"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "McKenna et al. 2022; Dong, Roth & Su 2022; Smith & Thakurta 2022"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "selection_share")
        check_counts(self, "degree", "rounds", "rescored", "largest_tree", "most_sets")
        if not self.kappa > 0:
            raise InvalidValueError("kappa", self.kappa, "above 0")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        candidates = weighted_candidates(
            private.domain,
            informative(private.domain),
            degree=self.degree,
            most_sets=self.most_sets,
            largest_tree=self.largest_tree,
        )
        rounds = Rounds(
            private=private,
            budget=private.remaining,
            number=self.rounds,
            selection_share=self.selection_share,
            largest_tree=self.largest_tree,
            kappa=self.kappa,
        )
        measured = measure_one_ways(private, amount=rounds.budget * self.one_way_share)
        columns = fitted(private, measured)
        standing = _Standing(
            private=private,
            weights=candidates,
            independent=predictions(columns, list(candidates)),
            rescored=self.rescored,
            kappa=self.kappa,
        )
        standing.begin(rounds.first_cost / 2)
        model, measured = rounds.run(columns, measured, pick=standing.pick)
        return GraphicalSyntheticModel.of(private, model, measured)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Standing:
    """What is known of each candidate: the last error bought, and what noise would cost it.

    Args:
        private: where errors are bought.
        weights: of the candidates.
        independent: expected counts of each under independent columns; for ranks only, since
            those under the current model would take longest.
        rescored: candidates whose errors a pick buys.
        kappa: as `noise_cost` has it.
    """

    private: PrivateData
    weights: Mapping[Clique, float]
    independent: Mapping[Clique, NDArray[np.float64]]
    rescored: int
    kappa: float
    errors: dict[Clique, float] = field(default_factory=dict)
    _costs: dict[float, dict[Clique, float]] = field(default_factory=dict)

    def begin(self, amount: float) -> None:
        """Buy the errors of all candidates under independent columns."""
        self._buy(list(self.weights), self.independent, amount=amount)

    def pick(self, model: GraphicalModel, this: Round) -> Clique:
        """Buy the errors of the best candidates that fit, and return the best of those."""
        costs = self._ranking_costs(this.sigma)
        ranked = sorted(self.weights, key=lambda c: -self.weights[c] * (self.errors[c] - costs[c]))
        fitting = filter(fits_into(model, ranked, this.room), ranked)
        best = list(islice(fitting, self.rescored))
        expected = predictions(model, best)
        self._buy(best, expected, amount=this.selecting)
        noise = {c: noise_cost(expected[c], sigma=this.sigma, kappa=self.kappa) for c in best}
        chosen = max(best, key=lambda c: self.weights[c] * (self.errors[c] - noise[c]))
        self.errors[chosen] = noise[chosen]
        return chosen

    def _buy(
        self,
        cliques: list[Clique],
        expected: Mapping[Clique, NDArray[np.float64]],
        *,
        amount: float,
    ) -> None:
        label = f"errors of {len(cliques)} marginals"
        found, _ = self.private.fit_errors(
            cliques, expected.__getitem__, amount=amount, label=label
        )
        self.errors.update(zip(cliques, map(float, found), strict=True))

    def _ranking_costs(self, sigma: float) -> dict[Clique, float]:
        """Return what noise of `sigma` costs each candidate; worked out when rounds grow dearer."""
        if sigma not in self._costs:
            self._costs.clear()
            self._costs[sigma] = {
                c: noise_cost(e, sigma=sigma, kappa=self.kappa) for c, e in self.independent.items()
            }
        return self._costs[sigma]
