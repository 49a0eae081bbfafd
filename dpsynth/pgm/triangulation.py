"""Triangulated graphs: what a junction tree is made of, and how large it will be."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod

from dpsynth.data.domain import Clique, Domain

Graph = tuple[int, ...]
"""For each attribute a bit mask of those that it is adjacent to."""


def triangulated(domain: Domain, cliques: Iterable[Iterable[str]]) -> tuple[Clique, ...]:
    """Return the maximal cliques of a triangulated graph that holds all of `cliques`.

    Both greedy orders are tried, fewest fill-in edges and fewest cells, and that of fewer cells is
    kept. Cliques that make the same graph have the same answer, which is remembered.

    Args:
        domain: all attributes; one without a neighbour becomes a clique of its own.
        cliques: the sets of attributes that must be adjacent.

    Raises:
        UnknownNameError: an attribute that the domain lacks.

    Reference: Koller & Friedman 2009, section 9.4.3 (greedy triangulation).
    """
    return _smaller(domain, adjacency(domain, cliques))


def count_cells(domain: Domain, cliques: Iterable[Clique]) -> int:
    """Return the number of cells of `cliques` together, as an exact int."""
    return sum(prod([domain.sizes[a] for a in clique]) for clique in cliques)


def adjacency(domain: Domain, cliques: Iterable[Iterable[str]]) -> Graph:
    """Return the graph in which the attributes of each of `cliques` are adjacent.

    Raises:
        UnknownNameError: an attribute that the domain lacks.
    """
    axis = {a: i for i, a in enumerate(domain.attributes)}
    neighbours = [0] * len(axis)
    for clique in cliques:
        axes = [axis[a] for a in domain.canonical(clique)]
        mask = sum(1 << i for i in axes)
        for i in axes:
            neighbours[i] |= mask & ~(1 << i)
    return tuple(neighbours)


# A search for what else has room in a tree asks for thousands, and for most of them again. Of 100
# attributes one takes about 15 kB.
@lru_cache(2**11)
def _smaller(domain: Domain, graph: Graph) -> tuple[Clique, ...]:
    found = [triangulate(domain, graph, by_fill=by_fill) for by_fill in (True, False)]
    return min(found, key=lambda cliques: count_cells(domain, cliques))


def triangulate(domain: Domain, graph: Graph, *, by_fill: bool) -> tuple[Clique, ...]:
    """Return the maximal cliques of `graph` after it is triangulated in one greedy order.

    Args:
        domain: all attributes.
        graph: which of them are adjacent.
        by_fill: eliminate the attribute that adds the fewest edges first, ties by the cells of
            the clique it makes; otherwise the other way round.
    """
    sizes, neighbours = domain.shape, list(graph)
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
    # An attribute's clique lies in no other one, or in that of one eliminated before it.
    maximal = [m for k, m in enumerate(found) if all(m & ~other for other in found[:k])]
    return tuple(tuple(names[i] for i in axes) for axes in sorted(map(_bits, maximal)))


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
