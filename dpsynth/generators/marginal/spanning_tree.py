"""Pairs that join all attributes into one tree, picked privately, and what they are good for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.generators.graphical import fitted
from dpsynth.generators.marginal.one_ways import informative, measure_one_ways
from dpsynth.generators.marginal.workload import affordable, all_k_ways
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel

PICK = "select edge"
_SELECTION_SHARE = 0.1


def select_tree(
    private: PrivateData,
    model: GraphicalModel,
    *,
    epsilon: float,
    largest_tree: int,
) -> list[Clique]:
    """Return pairs that join the components of `model`, far from independence by choice.

    Each round the exponential mechanism picks, among the pairs that join two components, one whose
    counts are far in L1 from independent ones, as Kruskal's algorithm grows a tree. Such a pair
    adds its own cells to a junction tree, and no others.

    Args:
        private: the one door to the records.
        model: what is known; attributes that one of its cliques holds are joined already.
        epsilon: range of the privacy loss of each pick.
        largest_tree: most cells of the junction tree with all pairs; where none is left that fits,
            the components stay apart.

    Reference: McKenna, Miklau & Sheldon 2021, Algorithm 2.
    """
    attributes, domain = informative(private.domain), private.domain
    component = _components(model, attributes)
    rounds = _joins(component)
    room = largest_tree - model.tree.cells
    if rounds == 0:
        return []
    pairs = affordable(domain, all_k_ways(attributes, 2), most_cells=room)
    cells = {pair: domain.cells_of(pair) for pair in pairs}
    shares = {a: model.marginal((a,)) / model.total for a in attributes}
    predictions: dict[Clique, NDArray[np.float64]] = {
        (a, b): model.total * np.outer(shares[a], shares[b])
        for a, b in pairs
        if component[a] != component[b]
    }
    tree: list[Clique] = []
    for _ in range(rounds):
        candidates = [
            (a, b) for a, b in pairs if component[a] != component[b] and cells[a, b] <= room
        ]
        if not candidates:
            break
        chosen = private.select_worst(
            candidates, predictions.__getitem__, epsilon=epsilon, label=PICK
        )
        tree.append(chosen)
        room -= cells[chosen]
        kept, merged = (component[a] for a in chosen)
        component = {a: kept if c == merged else c for a, c in component.items()}
    return tree


def spend_rest(
    private: PrivateData,
    model: GraphicalModel,
    measured: Sequence[NoisyMarginal],
    *,
    largest_tree: int,
) -> tuple[GraphicalModel, list[NoisyMarginal]]:
    """Return the model after the rest of the budget is spent at once, and all it was fitted to.

    What joins the components of `model` is picked and measured, and so is, anew, what joins
    attributes in it. This is how an adaptive mechanism ends that has no time for its rounds.

    Args:
        private: the one door to the records.
        model: fitted to what is measured.
        measured: what has been bought so far.
        largest_tree: most cells of the junction tree.
    """
    joins = _joins(_components(model, informative(private.domain)))
    amount = private.remaining * _SELECTION_SHARE
    epsilon = private.selection_epsilon_for(amount, rounds=max(1, joins))
    tree = select_tree(private, model, epsilon=epsilon, largest_tree=largest_tree)
    cliques = [*tree, *(c for c in model.cliques if len(c) > 1)]
    if cliques:
        sigma = private.sigma_for(private.remaining, queries=len(cliques))
        bought = private.marginals(cliques, sigmas=[sigma] * len(cliques))
    else:
        bought = measure_one_ways(private, amount=private.remaining)
    everything = [*measured, *bought]
    return fitted(private, everything, start=model, last=True), everything


def _joins(component: dict[str, str]) -> int:
    """Return how many pairs it takes to join all components."""
    return len(set(component.values())) - 1


def _components(model: GraphicalModel, attributes: Clique) -> dict[str, str]:
    """Return for each attribute the name of those that the model's cliques join it with."""
    component = {a: a for a in attributes}
    for clique in model.cliques:
        joined = {component[a] for a in clique if a in component}
        if len(joined) > 1:
            kept = component[next(a for a in clique if a in component)]
            component = {a: kept if c in joined else c for a, c in component.items()}
    return component
