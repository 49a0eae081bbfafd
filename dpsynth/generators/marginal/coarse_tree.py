"""A tree of pairs known in a few groups: where the errors of all pairs at once would be noise."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import Column
from dpsynth.generators.marginal.purchase import bought
from dpsynth.generators.marginal.rare_codes import independent, neighbour_groups
from dpsynth.generators.marginal.spanning_tree import select_tree
from dpsynth.generators.marginal.tree_plan import TreePlan
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel

Array = NDArray[np.float64]

_SELECTION_SHARE = 0.5
_GROUP = 0.34
"""Least part of the records in a group: two or three groups an attribute."""
_DROWNED = 0.3
"""Largest scale of the noise of a pick's scores, in numbers of records."""


def coarse_tree(
    private: PrivateData,
    model: GraphicalModel,
    columns: Mapping[str, Column],
    *,
    room: int,
) -> list[NoisyMarginal]:
    """Return measurements of a tree of dependent pairs, in groups; none where picks are noise too.

    A few hundred records of thirty columns have 465 pairs, whose errors all at once are noise; a
    pick among them is not (`select_tree`), since it pays for one answer. Codes are in two or three
    groups of about as many records: that is where dependence of few records shows, and such pairs
    cost little. Columns that stayed alone would teach a classifier nothing.

    Args:
        private: the one door to the records.
        model: of independent attributes; its total is the number of records.
        columns: the public description of each attribute's codes.
        room: most cells of the junction tree.
    """
    plan = TreePlan.of(private.domain, cliques=model.cliques, room=room - model.tree.cells)
    if plan.picks == 0:
        return []
    amount = private.remaining * _SELECTION_SHARE
    epsilon = private.selection_epsilon_for(amount, rounds=plan.picks)
    scale = 2.0 * private.budget.l1_sensitivity / epsilon  # of the Gumbel noise in a pick's scores
    if scale > _DROWNED * model.total:
        return []
    counts = {a: model.marginal((a,)) for a in private.domain.attributes}
    groups = _groups(columns, counts, least=_GROUP * model.total)
    view = private.merged(groups)
    names = dict(zip(private.domain.attributes, view.domain.attributes, strict=True))
    sums = {names[a]: _summed(of, groups.get(a)) for a, of in counts.items()}
    tree = select_tree(view, independent(view, sums), _renamed(plan, names), epsilon=epsilon)
    back = {name: a for a, name in names.items()}
    pairs = [(back[a], back[b]) for a, b in tree]
    sigma = private.sigma_for(private.remaining, queries=len(pairs))
    return bought(private, pairs, [sigma] * len(pairs), groups=groups)


def _groups(
    columns: Mapping[str, Column], counts: Mapping[str, Array], *, least: float
) -> dict[str, tuple[int, ...]]:
    """Return the groups of each attribute whose codes have fewer records than that."""
    found: dict[str, tuple[int, ...]] = {}
    for attribute, of in counts.items():
        groups = neighbour_groups(columns[attribute], of, least=least)
        if groups.max() + 1 < len(of):
            found[attribute] = tuple(int(g) for g in groups)
    return found


def _summed(counts: Array, groups: tuple[int, ...] | None) -> Array:
    return counts if groups is None else np.bincount(groups, counts).astype(np.float64)


def _renamed(plan: TreePlan, names: Mapping[str, str]) -> TreePlan:
    return TreePlan(
        component={names[a]: names[b] for a, b in plan.component.items()},
        candidates=tuple((names[a], names[b]) for a, b in plan.candidates),
        certain=tuple((names[a], names[b]) for a, b in plan.certain),
        picks=plan.picks,
    )
