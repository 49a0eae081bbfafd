"""AIM: adaptive and iterative; each round measures what the model misses most, for its price."""

from dataclasses import dataclass
from math import comb, prod
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.tree_size import growth, tree_fits
from dpsynth.generators.marginal.workload import all_k_ways, downward_closure, overlap_weights
from dpsynth.pgm.cliques import covering
from dpsynth.pgm.measurement import MEAN_SIZE
from dpsynth.pgm.model import GraphicalModel

_ROUND_STEPS = 60
_LAST_STEPS = 300
_FASTER = 4.0


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
        candidates = self.candidates(private.domain, attributes)
        budget = private.remaining
        round_cost = budget / (self.rounds * len(attributes))
        measuring = 1 - self.selection_share
        first = round_cost * measuring * len(attributes)
        measured = measure_one_ways(private, amount=first)
        model = fitted(private, measured)
        while True:
            last = private.remaining < 2 * round_cost
            amount = private.remaining if last else round_cost
            room = self.largest_tree * (1 - (private.remaining - amount) / budget)
            chosen = self._pick(private, model, candidates, amount=amount, room=room)
            rest = private.remaining if last else amount * measuring
            taken = private.marginal(chosen, sigma=private.sigma_for(rest))
            measured.append(taken)
            steps = _LAST_STEPS if last else _ROUND_STEPS
            before, model = model, fitted(private, measured, start=model, steps=steps)
            if last:
                return GraphicalSyntheticModel(schema=private.schema, model=model)
            moved = np.abs(model.marginal(chosen) - before.marginal(chosen)).sum()
            if moved <= MEAN_SIZE * taken.sigma * taken.values.size:
                round_cost *= _FASTER

    def candidates(self, domain: Domain, attributes: Clique) -> dict[Clique, float]:
        """Return every candidate that can fit at all, with its weight, at most 1."""
        degree = min(self.degree, len(attributes))
        while degree > 2 and comb(len(attributes), degree) > self.most_sets:
            degree -= 1
        workload = all_k_ways(attributes, degree)
        weights = overlap_weights(downward_closure(workload), workload)
        largest = max(weights.values())
        return {
            clique: weight / largest
            for clique, weight in weights.items()
            if len(clique) == 1 or domain.project(clique).cells <= self.largest_tree
        }

    def _pick(
        self,
        private: PrivateData,
        model: GraphicalModel,
        candidates: dict[Clique, float],
        *,
        amount: float,
        room: float,
    ) -> Clique:
        """Return the candidate that is worth measuring most, among those the tree has room for."""
        fitting = _fitting(model, list(candidates), room)
        noise = MEAN_SIZE * private.sigma_for(amount * (1 - self.selection_share))
        sizes = private.domain.sizes
        return private.select_worst(
            fitting,
            _predictions(model, fitting).__getitem__,
            epsilon=private.selection_epsilon_for(amount * self.selection_share),
            penalties=[noise * prod(sizes[a] for a in clique) for clique in fitting],
            weights=[candidates[clique] for clique in fitting],
            label="select marginal",
        )


def _predictions(model: GraphicalModel, cliques: list[Clique]) -> dict[Clique, NDArray[np.float64]]:
    found = model.pairs([clique for clique in cliques if len(clique) == 2])
    return {c: found[c] if c in found else model.marginal(c) for c in cliques}


def _fitting(model: GraphicalModel, candidates: list[Clique], room: float) -> list[Clique]:
    """Return the candidates inside the model's cliques, or in a tree of at most `room` cells.

    For pairs an upper bound on the tree decides, which is cheap; there is always a single
    attribute among the answers, since all of them are measured.
    """
    grown = growth(model.tree, [clique for clique in candidates if len(clique) == 2])
    free = room - model.tree.cells

    def fits(clique: Clique) -> bool:
        if covering(model.domain, model.cliques, clique) is not None:
            return True
        if clique in grown:
            return grown[clique] <= free
        return tree_fits(model.domain, [*model.cliques, clique], room)

    return [clique for clique in candidates if fits(clique)]
