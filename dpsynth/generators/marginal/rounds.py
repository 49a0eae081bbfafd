"""Rounds that pick a marginal, measure it and fit; they become dearer when they teach little."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.generators.graphical import fitted
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.pgm.measurement import MEAN_SIZE, NoisyMarginal
from dpsynth.pgm.model import GraphicalModel

_STEPS = 60
_LAST_STEPS = 300
_FASTER = 4.0


@final
@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round has to spend.

    Args:
        selecting: for picking a candidate, in the accountant's currency.
        sigma: noise that measuring a marginal would have, in records, if picking costs all of that.
        room: most cells of the model's tree after this round.
    """

    selecting: float
    sigma: float
    room: float


Picker: TypeAlias = Callable[[GraphicalModel, Round], Clique]
"""Spends what a round has for selecting, and returns what to measure under the current model."""


@final
@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The schedule of an adaptive mechanism.

    The budget would last for `number` rounds an attribute, the 1-way marginals included; where a
    measurement moves the model by less than its own expected noise, rounds become 4 times as
    expensive; a rest below two rounds is one round. The tree may grow with the budget spent.

    Args:
        private: the one door to the records, before anything is spent.
        budget: what it holds, in the accountant's currency.
        number: rounds an attribute without annealing.
        selection_share: part of each round for picking.
        largest_tree: most cells of the model's junction tree, at the end.

    Reference: McKenna et al. 2022, Algorithms 2 (initialisation) and 3 (budget annealing).
    """

    private: PrivateData
    budget: float
    number: int
    selection_share: float
    largest_tree: int

    @property
    def first_cost(self) -> float:
        """What a round costs before any annealing, in the accountant's currency."""
        return self.budget / (self.number * len(informative(self.private.domain)))

    def start(self) -> list[NoisyMarginal]:
        """Return the 1-way marginals, each with a round's noise."""
        measuring = self.first_cost * (1 - self.selection_share)
        attributes = informative(self.private.domain)
        return measure_one_ways(self.private, amount=measuring * len(attributes))

    def run(
        self, measured: list[NoisyMarginal], model: GraphicalModel, *, pick: Picker
    ) -> GraphicalModel:
        """Return the model after the budget is spent.

        Args:
            measured: what has been bought so far.
            model: fitted to it.
            pick: what chooses in each round.
        """
        private, cost, measured = self.private, self.first_cost, [*measured]
        while True:
            last = private.remaining < 2 * cost
            amount = private.remaining if last else cost
            measuring = amount * (1 - self.selection_share)
            used = 1 - (private.remaining - amount) / self.budget
            this = Round(
                selecting=amount * self.selection_share,
                sigma=private.sigma_for(measuring),
                room=self.largest_tree * used,
            )
            chosen = pick(model, this)
            rest = private.remaining if last else measuring
            taken = private.marginal(chosen, sigma=private.sigma_for(rest))
            measured.append(taken)
            steps = _LAST_STEPS if last else _STEPS
            before, model = model, fitted(private, measured, start=model, steps=steps)
            if last:
                return model
            moved = np.abs(model.marginal(chosen) - before.marginal(chosen)).sum()
            if moved <= MEAN_SIZE * taken.sigma * taken.values.size:
                cost *= _FASTER
