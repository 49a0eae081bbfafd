"""MST: a spanning tree of two-way marginals, chosen privately, fitted by a graphical model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator, SyntheticModel, check_shares
from dpsynth.generators.graphical import GraphicalSyntheticModel, fitted
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.workload import all_k_ways
from dpsynth.pgm.model import GraphicalModel


@final
@dataclass(frozen=True, kw_only=True)
class Mst(Generator):
    """One-way marginals, d - 1 two-way marginals along a private spanning tree, one fit.

    The tree is grown as Kruskal's algorithm does: each round the exponential mechanism picks, among
    the pairs that join two components, one whose counts are far in L1 from what independent
    columns predict.

    Relation: both. Sensitivities and proofs: `MarginalQuery` for the measurements, `WorstFitQuery`
    for the picks; these scores are not monotone. Each measurement and pick is a charge of its own.
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
        budget = private.remaining
        attributes = informative(private.domain)
        if len(attributes) == 1:
            measured = measure_one_ways(private, amount=budget)
            return GraphicalSyntheticModel.of(private, fitted(private, measured), measured)
        measured = measure_one_ways(private, amount=budget * self.one_way_share)
        columns = fitted(private, measured)
        tree = _select_tree(private, columns, attributes, amount=budget * self.selection_share)
        sigma = private.sigma_for(private.remaining, queries=len(tree))
        measured += private.marginals(tree, sigmas=[sigma] * len(tree))
        model = fitted(private, measured, start=columns)
        return GraphicalSyntheticModel.of(private, model, measured)


def _select_tree(
    private: PrivateData, columns: GraphicalModel, attributes: Sequence[str], *, amount: float
) -> list[Clique]:
    """Return the pairs of a spanning tree over `attributes`, far from independence by choice."""
    pairs = all_k_ways(attributes, 2)
    shares = {a: columns.marginal((a,)) / columns.total for a in attributes}
    predictions: dict[Clique, NDArray[np.float64]] = {
        (a, b): columns.total * np.outer(shares[a], shares[b]) for a, b in pairs
    }
    component = {a: a for a in attributes}
    rounds = len(attributes) - 1
    epsilon = private.selection_epsilon_for(amount, rounds=rounds)
    tree: list[Clique] = []
    for _ in range(rounds):
        candidates = [(a, b) for a, b in pairs if component[a] != component[b]]
        chosen = private.select_worst(
            candidates, predictions.__getitem__, epsilon=epsilon, label="select edge"
        )
        tree.append(chosen)
        kept, merged = (component[a] for a in chosen)
        component = {a: kept if c == merged else c for a, c in component.items()}
    return tree
