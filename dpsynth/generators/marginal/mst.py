"""MST: a spanning tree of two-way marginals, chosen privately, fitted by a graphical model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.schedule import Measurements, Selections, Step
from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.one_ways import informative
from dpsynth.generators.marginal.workload import all_k_ways
from dpsynth.pgm.model import GraphicalModel

_ONE_WAYS, _PICK, _TWO_WAYS = "1-way marginals", "select edge", "2-way marginals"


@final
@dataclass(frozen=True, kw_only=True)
class Mst(Generator):
    """One-way marginals, d - 1 two-way marginals along a private spanning tree, one fit.

    The tree is grown as Kruskal's algorithm does: each round the exponential mechanism picks, among
    the pairs that join two components, one whose counts are far in L1 from what independent
    columns predict.

    Relation: both. Sensitivities and proofs: `MarginalQuery` for the measurements, `WorstFitQuery`
    for the picks; these scores are not monotone. Each measurement and pick is a charge of its own.
    The schedule is fixed beforehand, so it also runs under accountants of plans.
    Cost: the whole budget. The paper splits it in thirds (1-ways, picks, 2-ways); the default here
    gives the picks a tenth, since on the tables tried they rarely went wrong.

    Args:
        one_way_share: part of the budget for one-way marginals.
        selection_share: part of the budget for picking the tree.

    Raises:
        InvalidValueError: shares that leave nothing for the two-way marginals.

    Reference: McKenna, Miklau & Sheldon 2021, Algorithms 1 and 2.
    """

    one_way_share: float = 0.3
    selection_share: float = 0.1

    name: ClassVar[str] = "mst"
    accountant: ClassVar[str] = "zcdp"
    reference: ClassVar[str] = "McKenna, Miklau & Sheldon 2021, Algorithms 1 and 2"
    model: ClassVar[type[SyntheticModel]] = GraphicalSyntheticModel

    def __post_init__(self) -> None:
        check_shares(self, "one_way_share", "selection_share")
        if self.one_way_share + self.selection_share >= 1:
            both = self.one_way_share + self.selection_share
            raise InvalidValueError("one_way_share + selection_share", both, "below 1")

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> GraphicalSyntheticModel:
        del rng
        attributes = informative(private.domain)
        sigma, *rest = private.schedule(self._schedule(len(attributes)))
        ones = [(a,) for a in attributes]
        measured = private.marginals(ones, sigmas=[sigma] * len(ones), label=_ONE_WAYS)
        model = fitted(private, measured)
        if rest:
            pairs = all_k_ways(attributes, 2)
            *picks, sigma = rest
            tree = _select_tree(private, model, attributes, epsilon=picks[0]) if picks else pairs
            measured += private.marginals(tree, sigmas=[sigma] * len(tree), label=_TWO_WAYS)
            model = fitted(private, measured, start=model)
        return GraphicalSyntheticModel.of(private, model, measured)

    def _schedule(self, attributes: int) -> list[Step]:
        """Return the steps, whose shares are the whole: a single pair need not be picked, and a
        single attribute has none."""
        edges = attributes - 1
        if edges == 0:
            return [Measurements(share=1.0, queries=1, label=_ONE_WAYS)]
        ones = Measurements(share=self.one_way_share, queries=attributes, label=_ONE_WAYS)
        rest = 1.0 - self.one_way_share
        if edges == 1:
            return [ones, Measurements(share=rest, queries=1, label=_TWO_WAYS)]
        picks = Selections(share=self.selection_share, rounds=edges, label=_PICK)
        rest -= self.selection_share
        return [ones, picks, Measurements(share=rest, queries=edges, label=_TWO_WAYS)]


def _select_tree(
    private: PrivateData, columns: GraphicalModel, attributes: Sequence[str], *, epsilon: float
) -> list[Clique]:
    """Return the pairs of a spanning tree over `attributes`, far from independence by choice."""
    pairs = all_k_ways(attributes, 2)
    shares = {a: columns.marginal((a,)) / columns.total for a in attributes}
    predictions: dict[Clique, NDArray[np.float64]] = {
        (a, b): columns.total * np.outer(shares[a], shares[b]) for a, b in pairs
    }
    component = {a: a for a in attributes}
    tree: list[Clique] = []
    for _ in range(len(attributes) - 1):
        candidates = [(a, b) for a, b in pairs if component[a] != component[b]]
        chosen = private.select_worst(
            candidates, predictions.__getitem__, epsilon=epsilon, label=_PICK
        )
        tree.append(chosen)
        kept, merged = (component[a] for a in chosen)
        component = {a: kept if c == merged else c for a, c in component.items()}
    return tree
