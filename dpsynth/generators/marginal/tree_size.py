"""Whether a junction tree stays small: exactly, and by a bound that is cheap to compute."""

from collections import deque
from collections.abc import Iterable, Sequence
from math import prod

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.triangulation import count_cells, triangulated


def tree_fits(domain: Domain, cliques: Sequence[Clique], most_cells: float) -> bool:
    """Return whether a junction tree of `cliques` has at most `most_cells` cells.

    Args:
        domain: of all attributes.
        cliques: those that the tree must cover.
        most_cells: below 1 nothing fits.
    """
    # A clique above the limit is cheaper to see than a tree.
    if most_cells < 1 or any(domain.cells_of(c) > most_cells for c in cliques):
        return False
    return count_cells(domain, triangulated(domain, cliques)) <= most_cells


def growth(tree: JunctionTree, pairs: Iterable[Clique]) -> dict[Clique, int]:
    """Return an upper bound on the cells that covering each pair would add to `tree`.

    Inside a component, an attribute is put into every clique on the way to the other one, from
    the cheaper side; between components the pair becomes a clique of its own. A tree built anew
    for all cliques can be smaller, never has to be larger.

    Args:
        tree: the tree of what is measured so far.
        pairs: two attributes each.
    """
    sizes = tree.domain.sizes
    reach: dict[str, dict[str, int]] = {}
    found: dict[Clique, int] = {}
    for first, second in pairs:
        for attribute in (first, second):
            if attribute not in reach:
                reach[attribute] = _reach(tree, attribute)
        if second in reach[first]:
            found[first, second] = min(reach[first][second], reach[second][first])
        else:
            found[first, second] = sizes[first] * sizes[second]
    return found


def _reach(tree: JunctionTree, attribute: str) -> dict[str, int]:
    """Return, for each attribute of the component, the cells that reaching it adds."""
    neighbours: dict[int, list[int]] = {i: [] for i in range(len(tree.cliques))}
    for i, (parent, separator) in enumerate(zip(tree.parents, tree.separators, strict=True)):
        if separator:
            neighbours[i].append(parent)
            neighbours[parent].append(i)
    sizes = tree.domain.sizes
    cost = {i: 0 for i, clique in enumerate(tree.cliques) if attribute in clique}
    pending = deque(cost)
    while pending:
        here = pending.popleft()
        for there in neighbours[here]:
            if there not in cost:
                cells = prod(sizes[a] for a in tree.cliques[there])
                cost[there] = cost[here] + cells * (sizes[attribute] - 1)
                pending.append(there)
    found: dict[str, int] = {}
    for i, price in cost.items():
        for other in tree.cliques[i]:
            found[other] = min(price, found.get(other, price))
    return found
