"""AIM: adaptive and iterative; each round measures what the model misses most, for its price."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.candidates import fits_into, predictions, weighted_candidates
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.rounds import Round, Rounds
from dpsynth.pgm.measurement import MEAN_SIZE
from dpsynth.pgm.model import GraphicalModel


@final
@dataclass(frozen=True, kw_only=True)
class Aim(Generator):
    """One-way marginals, then rounds that select, measure and fit until the budget is spent.

    Candidates are all subsets of the workload (all sets of `degree` attributes) that keep the
    junction tree below its limit, which grows with the share of the budget spent. A score is the
    candidate's overlap with the workload, times its L1 error under the model less the L1 norm of
    the noise that measuring would add. Where a measurement moves the model by less than its own
    expected noise, rounds become `4` times as expensive; a rest below two rounds is one round.

    Departures: the limit counts cells of the tree (the paper: megabytes of its cliques); tables so
    wide that the workload would pass `most_sets` sets take pairs instead.

    Relation: both. Sensitivities and proofs: `WorstFitQuery` with weights for the picks (the scores
    are not monotone), `MarginalQuery` for the measurements. Each access is a charge of its own, and
    everything between them, annealing and stopping included, is post-processing.
    Cost: the whole budget, in rounds of adaptively chosen cost under the accountant's filter.

    Args:
        degree: attributes of each set of the workload.
        rounds: rounds an attribute that the budget would last for without annealing.
        selection_share: part of each round for picking.
        largest_tree: most cells of the model's junction tree.
        most_sets: most sets of the workload.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: McKenna, Mullins, Sheldon & Miklau 2022, Algorithms 1 to 4 and equation 1.
    """

    degree: int = 3
    rounds: int = 16
    selection_share: float = 0.1
    largest_tree: int = 2**18
    most_sets: int = 1000

    name: ClassVar[str] = "aim"
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "McKenna, Mullins, Sheldon & Miklau 2022, Algorithms 1 to 4"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def __post_init__(self) -> None:
        check_shares(self, "selection_share")
        check_counts(self, "degree", "rounds", "largest_tree", "most_sets")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        attributes = informative(private.domain)
        candidates = weighted_candidates(
            private.domain,
            attributes,
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
        )
        # The 1-way marginals get what a round of each would.
        first = rounds.budget * (1 - self.selection_share) / self.rounds
        measured = measure_one_ways(private, amount=first)

        def pick(model: GraphicalModel, this: Round) -> Clique:
            return _pick(private, model, candidates, this)

        model, measured = rounds.run(fitted(private, measured), measured, pick=pick)
        return GraphicalSyntheticModel.of(private, model, measured)


def _pick(
    private: PrivateData, model: GraphicalModel, candidates: dict[Clique, float], this: Round
) -> Clique:
    """Return the candidate that is worth measuring most, among those the tree has room for."""
    fits = fits_into(model, candidates, this.room)
    fitting = [clique for clique in candidates if fits(clique)]
    noise, sizes = MEAN_SIZE * this.sigma, private.domain.sizes
    return private.select_worst(
        fitting,
        predictions(model, fitting).__getitem__,
        epsilon=private.selection_epsilon_for(this.selecting),
        penalties=[noise * prod(sizes[a] for a in clique) for clique in fitting],
        weights=[candidates[clique] for clique in fitting],
        label="select marginal",
    )
