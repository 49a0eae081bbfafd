"""Pairs that join all attributes into one tree, picked privately, and what they are good for."""

from collections.abc import Sequence

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Clique
from dpsynth.generators.graphical import fitted
from dpsynth.generators.marginal.one_ways import measure_one_ways
from dpsynth.generators.marginal.tree_plan import TreePlan, merged
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel

PICK = "select edge"
_SELECTION_SHARE = 0.1


def select_tree(
    private: PrivateData, model: GraphicalModel, plan: TreePlan, *, epsilon: float
) -> list[Clique]:
    """Return pairs that join the components of `plan`, far from independence by choice.

    Each round the exponential mechanism picks, among the pairs that join two components, one whose
    counts are far in L1 from the model's, which are independent or what constraints alone make of
    that, as Kruskal's algorithm grows a tree. Such a pair adds its own cells to a junction tree, or
    none where it is inside a clique of it.

    Args:
        private: the one door to the records.
        model: what is known.
        plan: the candidates, and how many to pick.
        epsilon: range of the privacy loss of each pick; no matter where there is none.

    Reference: McKenna, Miklau & Sheldon 2021, Algorithm 2.
    """
    predictions = model.pairs(plan.candidates)
    tree = list(plan.certain)
    component = merged(plan.component, tree)
    for _ in range(plan.picks):
        candidates = [(a, b) for a, b in plan.candidates if component[a] != component[b]]
        chosen = private.select_worst(
            candidates, predictions.__getitem__, epsilon=epsilon, label=PICK
        )
        tree.append(chosen)
        component = merged(component, [chosen])
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
    room = largest_tree - model.tree.cells
    plan = TreePlan.of(private.domain, cliques=model.cliques, room=room)
    epsilon = 1.0  # of no pick
    if plan.picks:
        amount = private.remaining * _SELECTION_SHARE
        epsilon = private.selection_epsilon_for(amount, rounds=plan.picks)
    tree = select_tree(private, model, plan, epsilon=epsilon)
    cliques = [*tree, *(c for c in model.cliques if len(c) > 1)]
    if cliques:
        sigma = private.sigma_for(private.remaining, queries=len(cliques))
        bought = private.marginals(cliques, sigmas=[sigma] * len(cliques))
    else:
        bought = measure_one_ways(private, amount=private.remaining)
    everything = [*measured, *bought]
    return fitted(private, everything, start=model, last=True), everything
