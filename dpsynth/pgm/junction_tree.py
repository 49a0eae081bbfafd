"""Junction trees: triangulate the graph of the cliques, then join what remains into one tree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.triangulation import count_cells, triangulated

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

        Nothing of the size of a clique is allocated.

        Args:
            domain: all attributes of the model.
            cliques: sets of attributes that must be kept together.
            ceiling: largest number of cells that the tree may have.

        Raises:
            InvalidValueError: the tree would have more cells than `ceiling`.
            UnknownNameError: an attribute that the domain lacks.

        Reference: Koller & Friedman 2009, section 10.4 (maximum spanning tree on the sizes of
        separators).
        """
        found = triangulated(domain, cliques)
        cells = count_cells(domain, found)
        if cells > ceiling:
            rule = f"at most {ceiling}: measure smaller cliques"
            raise InvalidValueError("cells of the junction tree", cells, rule)
        return _joined(domain, found)

    @property
    def cells(self) -> int:
        """Number of cells of all cliques together (an exact int)."""
        return count_cells(self.domain, self.cliques)


# A fit and the model that it returns, and fits of one schema in a row, ask for the same trees.
@lru_cache(64)
def _joined(domain: Domain, cliques: tuple[Clique, ...]) -> JunctionTree:
    order, parents = _spanning_tree(domain, cliques)
    placed = tuple(cliques[i] for i in order)
    separators = tuple(
        tuple(a for a in clique if parent >= 0 and a in placed[parent])
        for clique, parent in zip(placed, parents, strict=True)
    )
    return JunctionTree(domain=domain, cliques=placed, parents=parents, separators=separators)


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
