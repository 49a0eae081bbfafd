"""MST: a spanning tree of two-way marginals, chosen privately, fitted by a graphical model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.schedule import Measurements, Selections, Step
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_counts, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.generators.marginal.spanning_tree import PICK, select_tree
from dpsynth.generators.marginal.tree_plan import TreePlan, beside

_ONE_WAYS, _TWO_WAYS = "1-way marginals", "2-way marginals"


@final
@dataclass(frozen=True, kw_only=True)
class Mst(Generator):
    """One-way marginals, d - 1 two-way marginals along a private spanning tree, one fit.

    The tree is grown as Kruskal's algorithm does: each round the exponential mechanism picks, among
    the pairs that join two components, one whose counts are far in L1 from what independent
    columns predict.

    Relation: both. Sensitivities and proofs: `MarginalQuery` for the measurements, `WorstFitQuery`
    for the picks; these scores are not monotone. Each measurement and pick is a charge of its own.
    The schedule is fixed beforehand (`TreePlan` settles how many pairs there will be), so the
    default accountant is one of plans, which sells the same guarantee with 5% less noise.
    Cost: the whole budget. The paper splits it in thirds (1-ways, picks, 2-ways); the default here
    gives the picks a tenth, since on the tables tried they rarely went wrong.

    Args:
        one_way_share: part of the budget for one-way marginals.
        selection_share: part of the budget for picking the tree.
        largest_tree: most cells of the model's junction tree; only pairs of which any choice fits
            compete.

    Raises:
        InvalidValueError: shares that leave nothing for the two-way marginals.

    Reference: McKenna, Miklau & Sheldon 2021, Algorithms 1 and 2.
    """

    one_way_share: float = 0.3
    selection_share: float = 0.1
    largest_tree: int = 2**20

    name: ClassVar[str] = "mst"
    accountant: ClassVar[str] = "bounded_range"
    reference: ClassVar[str] = "McKenna, Miklau & Sheldon 2021, Algorithms 1 and 2"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "selection_share")
        if self.one_way_share + self.selection_share >= 1:
            both = self.one_way_share + self.selection_share
            raise InvalidValueError("one_way_share + selection_share", both, "below 1")
        check_counts(self, "largest_tree")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        attributes, domain = informative(private.domain), private.domain
        # Pairs join one tree with the single attributes, whose cells are in it whatever it is, and
        # with what the constraints tie together.
        plans = beside(domain, private.impossible, largest_tree=self.largest_tree)
        sigma, *rest = private.schedule(self._schedule(len(attributes), plans))
        ones = [(a,) for a in attributes]
        measured = private.marginals(ones, sigmas=[sigma] * len(ones), label=_ONE_WAYS)
        model = fitted(private, measured, last=not rest)
        if rest:
            *picks, sigma = rest
            epsilon = picks[0] if picks else 1.0
            cliques = [
                c for plan in plans for c in select_tree(private, model, plan, epsilon=epsilon)
            ]
            measured += private.marginals(cliques, sigmas=[sigma] * len(cliques), label=_TWO_WAYS)
            model = fitted(private, measured, start=model, last=True)
        return GraphicalSyntheticModel.of(private, model, measured)

    def _schedule(self, attributes: int, plans: Sequence[TreePlan]) -> list[Step]:
        """Return the steps, whose shares are the whole also where there is nothing to pick, or no
        pair at all."""
        edges, rounds = (sum(getattr(p, field) for p in plans) for field in ("edges", "picks"))
        if edges == 0:
            return [Measurements(share=1.0, queries=attributes, label=_ONE_WAYS)]
        ones = Measurements(share=self.one_way_share, queries=attributes, label=_ONE_WAYS)
        rest = 1.0 - self.one_way_share
        if rounds == 0:
            return [ones, Measurements(share=rest, queries=edges, label=_TWO_WAYS)]
        picks = Selections(share=self.selection_share, rounds=rounds, label=PICK)
        rest -= self.selection_share
        return [ones, picks, Measurements(share=rest, queries=edges, label=_TWO_WAYS)]
