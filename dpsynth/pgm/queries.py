"""Marginals that no clique of a junction tree contains: variable elimination along the tree."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.pgm.cliques import covering
from dpsynth.pgm.factor import Factor, sum_product
from dpsynth.pgm.junction_tree import JunctionTree


def marginal_of(
    tree: JunctionTree,
    marginals: Sequence[NDArray[np.float64]],
    attributes: Clique,
    *,
    ceiling: int,
) -> NDArray[np.float64]:
    """Return the probabilities of `attributes`, axes in the order given.

    Only the smallest part of the tree that connects the attributes is visited. Below its topmost
    clique every clique contributes its distribution given its separator, so what hangs outside
    that part sums to 1 and never has to be looked at.

    Args:
        tree: the junction tree.
        marginals: probabilities of each clique's cells, calibrated.
        attributes: the attributes asked for, at least one, each once.
        ceiling: largest number of cells of the answer and of any intermediate result.

    Raises:
        InvalidValueError: elimination would need a larger array.

    Reference: Koller & Friedman 2009, section 10.3.3.2 (out-of-clique inference).
    """
    domain, wanted = tree.domain, set(attributes)
    host = covering(domain, tree.cliques, attributes)
    if host is not None:
        known = Factor(domain=domain.project(tree.cliques[host]), values=marginals[host])
        return known.sum(attributes).values
    top, *below = _smallest_subtree(tree, wanted)
    inbox: dict[int, list[Factor]] = {i: [] for i in (top, *below)}
    for i in reversed(below):
        given = _conditional(tree, i, marginals[i])
        named = {a for factor in (given, *inbox[i]) for a in factor.domain.attributes}
        keep = domain.canonical((named & wanted) | set(tree.separators[i]))
        if keep:
            message = sum_product([given, *inbox[i]], keep, ceiling=ceiling)
            inbox[tree.parents[i]].append(message)
    root = Factor(domain=domain.project(tree.cliques[top]), values=marginals[top])
    return sum_product([root, *inbox[top]], attributes, ceiling=ceiling).values


def _smallest_subtree(tree: JunctionTree, wanted: set[str]) -> list[int]:
    """Return the cliques of the smallest connected part that holds `wanted`, parents first."""
    homes = {next(i for i, c in enumerate(tree.cliques) if a in c) for a in wanted}
    inside, frontier = set(homes), set(homes)
    while len(frontier) > 1:  # climb from the deepest until all have met
        deepest = max(frontier)
        frontier.remove(deepest)
        frontier.add(tree.parents[deepest])
        inside.add(tree.parents[deepest])
    members = sorted(inside)
    # An attribute's home is its highest clique; one further down may hold it too.
    while sum(tree.parents[i] == members[0] for i in members) == 1:
        below = next(i for i in members if tree.parents[i] == members[0])
        if not wanted & set(tree.cliques[members[0]]) <= set(tree.cliques[below]):
            break
        members.remove(members[0])
    return members


def _conditional(tree: JunctionTree, index: int, marginal: NDArray[np.float64]) -> Factor:
    """Return the distribution of a clique given its separator."""
    clique, separator = tree.cliques[index], tree.separators[index]
    own = tuple(i for i, a in enumerate(clique) if a not in separator)
    mass = marginal.sum(axis=own, keepdims=True)
    # Where the separator has no mass the clique above multiplies by 0: any finite value will do.
    values = marginal / np.where(mass > 0, mass, 1.0)
    return Factor(domain=tree.domain.project(clique), values=values)
