"""Rounds that pick a marginal, measure it and fit; they become dearer when they teach little."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.generators.graphical import fitted
from dpsynth.generators.limits import hurried
from dpsynth.generators.marginal.noise_cost import noise_cost
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.generators.marginal.spanning_tree import spend_rest
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel

_STEPS = 60
_LAST_STEPS = 300
_FASTER = 4.0


@final
@dataclass(frozen=True, kw_only=True)
class Round:
    """What a round has to spend.

    Args:
        selecting: for picking, in the accountant's currency.
        sigma: noise of the marginal to be measured when all of that is spent, in records.
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

    The whole budget would last for `number` rounds an attribute; where a measurement moves the
    model by less than its own expected noise, rounds become 4 times as expensive; a rest below two
    rounds is one round. The tree may grow with the share of the budget spent.

    Args:
        private: the one door to the records, before anything is spent.
        budget: what it holds then, in the accountant's currency.
        number: rounds an attribute without annealing.
        selection_share: part of each round for picking.
        largest_tree: most cells of the model's junction tree, at the end.
        kappa: bound on the expected noise of a cell, as `noise_cost` says.

    Reference: McKenna et al. 2022, Algorithms 1 and 4 (rounds, budget annealing).
    """

    private: PrivateData
    budget: float
    number: int
    selection_share: float
    largest_tree: int
    kappa: float = inf

    @property
    def first_cost(self) -> float:
        """What a round costs before any annealing, in the accountant's currency."""
        return self.budget / (self.number * len(informative(self.private.domain)))

    def run(
        self, model: GraphicalModel, measured: Sequence[NoisyMarginal], *, pick: Picker
    ) -> tuple[GraphicalModel, list[NoisyMarginal]]:
        """Return the model after everything is spent, and all that it was fitted to.

        Args:
            model: fitted to what is measured.
            measured: what has been bought so far.
            pick: what chooses in each round.
        """
        private, cost, bought = self.private, self.first_cost, [*measured]
        while True:
            if hurried():
                return spend_rest(private, model, bought, largest_tree=self.largest_tree)
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
            bought.append(taken)
            before = model.marginal(chosen)
            model = fitted(private, bought, start=model, steps=_LAST_STEPS if last else _STEPS)
            if last:
                return model, bought
            moved = np.abs(model.marginal(chosen) - before).sum()
            if moved <= noise_cost(before, sigma=taken.sigma, kappa=self.kappa):
                cost *= _FASTER
