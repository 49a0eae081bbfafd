"""MWEM: measure, round after round, the pair that the model fits worst; fit a graphical model."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.schedule import Measurements, Selections, Step
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.limits import hurried
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.generators.marginal.spanning_tree import spend_rest
from dpsynth.generators.marginal.tree_size import growth
from dpsynth.generators.marginal.workload import affordable, all_k_ways
from dpsynth.pgm.cliques import covering
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.measurement import MEAN_SIZE
from dpsynth.pgm.model import GraphicalModel

_ROUND_STEPS = 60
_ONE_WAYS, _PICK, _MEASURE = "1-way marginals", "select pair", "marginal of the pair"


@final
@dataclass(frozen=True, kw_only=True)
class Mwem(Generator):
    """One-way marginals, then rounds of select, measure and fit over the workload of all pairs.

    Where MWEM keeps a weight for every cell of the domain, a graphical model is fitted to what has
    been measured, so the width of the table does not matter; only pairs that keep its junction
    tree small compete. Three more departures: one-way marginals come first, since they give the
    number of records and a start; each round's noise is counted against a pair, in part; and a
    pair may be picked again.

    Relation: both. Sensitivities and proofs: `WorstFitQuery` for the picks (the L1 error is not
    monotone), `MarginalQuery` for the measurements. Each access is a charge of its own, and the
    model between them is post-processing.
    Cost: the whole budget: `one_way_share`, then equal rounds, of each of which
    `selection_share` picks and the rest measures. The schedule is fixed beforehand, so it also
    runs under accountants of plans, with less noise under `bounded_range`; but a plan cannot be cut
    short, and a ceiling on time then shortens the fits alone.

    Args:
        rounds: number of pairs to measure; None: as many as attributes, or fewer where the tree has
            room for fewer of the smallest pairs.
        one_way_share: part of the budget for one-way marginals.
        selection_share: part of each round for picking.
        noise_weight: part of the expected noise, sum over cells E|noise|, taken off a score.
        largest_tree: most cells of the model's junction tree.

    Raises:
        InvalidValueError: a hyperparameter out of its range.

    Reference: Hardt, Ligett & McSherry 2012, Figure 1; McKenna, Sheldon & Miklau 2019, section 5
        (MWEM with graphical models).
    """

    rounds: int | None = None
    one_way_share: float = 0.2
    selection_share: float = 0.1
    noise_weight: float = 0.5
    largest_tree: int = 2**18

    name: ClassVar[str] = "mwem"
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "Hardt, Ligett & McSherry 2012, Figure 1; McKenna et al. 2019"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "selection_share")
        if not 0 <= self.noise_weight < inf:
            raise InvalidValueError("noise_weight", self.noise_weight, "a finite number from 0")
        if self.rounds is not None and self.rounds < 1:
            raise InvalidValueError("rounds", self.rounds, "at least 1, or left out")
        check_counts(self, "largest_tree")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        domain, attributes = private.domain, informative(private.domain)
        # Next to the single attributes, and what constraints tie together, every pair alone must
        # fit, so that no round is without one.
        bare = JunctionTree.build(domain, private.impossible)
        room = self.largest_tree - bare.cells
        all_pairs = all_k_ways(attributes, 2) if len(attributes) > 1 else []
        fitting = affordable(domain, all_pairs, most_cells=room)
        grown = growth(bare, fitting)
        pairs = [pair for pair in fitting if grown[pair] <= room]
        rounds = self._rounds(domain, attributes, pairs, room)
        steps = self._schedule(len(attributes), rounds, picked=len(pairs) > 1)
        sigma, *later = private.schedule(steps)
        ones = [(a,) for a in attributes]
        measured = private.marginals(ones, sigmas=[sigma] * len(ones), label=_ONE_WAYS)
        model = fitted(private, measured)
        for left in range(rounds, 0, -1):
            # Nothing remains of a reserved plan: it is followed to its end, with shorter fits.
            if hurried() and private.remaining > 0:
                model, measured = spend_rest(
                    private, model, measured, largest_tree=self.largest_tree
                )
                break
            epsilon, sigma = later[0], later[-1]  # all rounds are alike
            pair = self._pick(private, model, pairs, epsilon=epsilon, sigma=sigma)
            measured.append(private.marginal(pair, sigma=sigma, label=_MEASURE))
            most = 5 * _ROUND_STEPS if left == 1 else _ROUND_STEPS
            model = fitted(private, measured, start=model, steps=most)
        return GraphicalSyntheticModel.of(private, model, measured)

    def _rounds(
        self, domain: Domain, attributes: Clique, pairs: Sequence[Clique], room: int
    ) -> int:
        if self.rounds is not None:
            return self.rounds if pairs else 0
        # A round without room could only measure a pair again.
        ends = accumulate(sorted(map(domain.cells_of, pairs)))
        return min(len(attributes), sum(end <= room for end in ends))

    def _schedule(self, attributes: int, rounds: int, *, picked: bool) -> list[Step]:
        """Return the steps, whose shares are the whole: a single pair need not be picked."""
        share = self.one_way_share if rounds else 1.0
        ones = Measurements(share=share, queries=attributes, label=_ONE_WAYS)
        each = (1.0 - share) / max(1, rounds)
        pick = Selections(share=each * self.selection_share, rounds=1, label=_PICK)
        measured = each * (1.0 - self.selection_share if picked else 1.0)
        measure = Measurements(share=measured, queries=1, label=_MEASURE)
        return [ones, *([pick, measure] if picked else [measure]) * rounds]

    def _pick(
        self,
        private: PrivateData,
        model: GraphicalModel,
        pairs: Sequence[Clique],
        *,
        epsilon: float,
        sigma: float,
    ) -> Clique:
        """Return the pair that the model fits worst, among those that its tree has room for."""
        room = self.largest_tree - model.tree.cells
        grown = growth(model.tree, pairs)
        candidates = [pair for pair in pairs if grown[pair] <= room]
        if not candidates:
            held = [p for p in pairs if covering(model.domain, model.cliques, p) is not None]
            candidates = held or list(pairs[:1])
        if len(candidates) == 1 < len(pairs):
            candidates *= 2  # a choice that is none, but scheduled: it has been paid for
        noise = self.noise_weight * sigma * MEAN_SIZE
        return private.select_worst(
            candidates,
            model.pairs(candidates).__getitem__,
            epsilon=epsilon,
            penalties=[noise * private.domain.cells_of(pair) for pair in candidates],
            label=_PICK,
        )
