"""Junction trees: triangulate the graph of the cliques, then join what remains into one tree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import final

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.cliques import maximal_cliques

# 2**24 cells are 128 MiB for one array of doubles; estimation holds about six such arrays.
CELL_CEILING = 2**24


@final
@dataclass(frozen=True, kw_only=True)
class JunctionTree:
    """Cliques in an order in which every parent comes before its children (the root first).

    Attributes of the domain that no clique names are cliques of their own. Components that share
    no attribute hang together by empty separators, so there is always exactly one tree.

    Args:
        domain: all attributes of the model.
        cliques: maximal cliques of a triangulated graph, in the domain's attribute order.
        parents: index of the parent of each clique, always smaller than its own; -1 for the root.
        separators: attributes that a clique shares with its parent; empty for the root.
    """

    domain: Domain
    cliques: tuple[Clique, ...]
    parents: tuple[int, ...]
    separators: tuple[Clique, ...]

    @classmethod
    def build(
        cls, domain: Domain, cliques: Iterable[Iterable[str]], *, ceiling: int = CELL_CEILING
    ) -> "JunctionTree":
        """Return a junction tree in which every one of `cliques` lies inside a clique.

        Both greedy orders are tried, fewest fill-in edges and fewest cells, and the smaller tree
        is kept. Nothing of the size of a clique is allocated.

        Args:
            domain: all attributes of the model.
            cliques: sets of attributes that must be kept together.
            ceiling: largest number of cells that the tree may have.

        Raises:
            InvalidValueError: the tree would have more cells than `ceiling`.
            UnknownNameError: an attribute that the domain lacks.

        Reference: Koller & Friedman 2009, sections 9.4.3 and 10.4 (greedy triangulation, maximum
        spanning tree on the sizes of separators).
        """
        return _built(domain, maximal_cliques(domain, cliques), ceiling)

    @property
    def cells(self) -> int:
        """Number of cells of all cliques together (an exact int)."""
        return count_cells(self.domain, self.cliques)


# A fit and the model that it returns, and fits of one schema in a row, ask for the same trees.
@lru_cache(64)
def _built(domain: Domain, maximal: tuple[Clique, ...], ceiling: int) -> JunctionTree:
    candidates = [triangulate(domain, maximal, by_fill=by_fill) for by_fill in (True, False)]
    best = min(candidates, key=lambda found: count_cells(domain, found))
    cells = count_cells(domain, best)
    if cells > ceiling:
        raise InvalidValueError(
            "cells of the junction tree", cells, f"at most {ceiling}: measure smaller cliques"
        )
    order, parents = _spanning_tree(domain, best)
    placed = tuple(best[i] for i in order)
    separators = tuple(
        tuple(a for a in clique if parent >= 0 and a in placed[parent])
        for clique, parent in zip(placed, parents, strict=True)
    )
    return JunctionTree(domain=domain, cliques=placed, parents=parents, separators=separators)


def count_cells(domain: Domain, cliques: Iterable[Clique]) -> int:
    """Return the number of cells of `cliques` together, as an exact int."""
    return sum(prod(domain.sizes[a] for a in clique) for clique in cliques)


def triangulate(
    domain: Domain, cliques: Iterable[Iterable[str]], *, by_fill: bool
) -> tuple[Clique, ...]:
    """Return the maximal cliques of a triangulated graph that holds all of `cliques`.

    Args:
        domain: all attributes; one without a neighbour becomes a clique of its own.
        cliques: the sets of attributes that must be adjacent.
        by_fill: eliminate the attribute that adds the fewest edges first, ties by the cells of
            the clique it makes; otherwise the other way round.
    """
    sizes = list(domain.sizes.values())
    neighbours = [0] * len(sizes)  # bit masks: unions and subset tests are single operations
    for clique in cliques:
        axes = domain.axes(domain.canonical(clique))
        mask = sum(1 << i for i in axes)
        for i in axes:
            neighbours[i] |= mask & ~(1 << i)
    left = set(range(len(sizes)))
    price = {i: _price(neighbours, sizes, i, by_fill=by_fill) for i in left}
    found: list[int] = []
    while left:
        chosen = min(left, key=lambda i: (price[i], i))
        around = neighbours[chosen]
        found.append(around | (1 << chosen))
        left.remove(chosen)
        stale = around
        for i in _bits(around):
            neighbours[i] = (neighbours[i] | around) & ~((1 << i) | (1 << chosen))
            stale |= neighbours[i]
        for i in _bits(stale):
            price[i] = _price(neighbours, sizes, i, by_fill=by_fill)
    names = domain.attributes
    return maximal_cliques(domain, [[names[i] for i in _bits(mask)] for mask in found])


def _price(
    neighbours: Sequence[int], sizes: Sequence[int], chosen: int, *, by_fill: bool
) -> tuple[int, int]:
    around = neighbours[chosen]
    cells, missing = sizes[chosen], 0
    for i in _bits(around):
        cells *= sizes[i]
        missing += (around & ~neighbours[i]).bit_count() - 1
    return (missing, cells) if by_fill else (cells, missing)


def _bits(mask: int) -> list[int]:
    found: list[int] = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def _spanning_tree(
    domain: Domain, cliques: Sequence[Clique]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return Prim's order of `cliques` and each one's parent as a position in that order.

    A maximum spanning tree on the numbers of shared attributes has the running intersection
    property when the cliques are those of a triangulated graph.
    """
    masks = [sum(1 << i for i in domain.axes(clique)) for clique in cliques]
    root = max(range(len(cliques)), key=lambda i: count_cells(domain, [cliques[i]]))
    order, parents = [root], [-1]
    others = [i for i in range(len(cliques)) if i != root]
    shared = {i: ((masks[i] & masks[root]).bit_count(), 0) for i in others}
    while shared:
        chosen = max(shared, key=lambda i: (shared[i][0], -i))
        parents.append(shared.pop(chosen)[1])
        place = len(order)
        order.append(chosen)
        for i, (width, _) in shared.items():
            width_here = (masks[i] & masks[chosen]).bit_count()
            if width_here > width:
                shared[i] = (width_here, place)
    return tuple(order), tuple(parents)
