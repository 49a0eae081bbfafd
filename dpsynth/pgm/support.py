"""What structural zeros leave possible, before any model is fitted."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import ContradictionError, InvalidValueError
from dpsynth.pgm.evidence import Impossible, combine, zero_weights
from dpsynth.pgm.inference import Oracle
from dpsynth.pgm.junction_tree import CELL_CEILING, JunctionTree
from dpsynth.pgm.triangulation import count_cells, triangulated

Supports = list[NDArray[np.bool_]]


def possible_cells(
    domain: Domain, impossible: Impossible, *, ceiling: int = CELL_CEILING
) -> tuple[JunctionTree, Supports]:
    """Return a junction tree of structural zeros, and which cells of its cliques a record can be
    in: exactly those of some record that no zero forbids.

    Args:
        domain: all attributes.
        impossible: clique -> True for each cell that is ruled out.
        ceiling: largest number of cells of the tree.

    Raises:
        ContradictionError: no record is possible.
        InvalidValueError: a tree above the ceiling.

    Reference: Koller & Friedman 2009, section 10.2 (here with "or" for sums).
    """
    check_size(domain, impossible, ceiling)
    cliques, weights = combine(domain, zero_weights(domain, impossible))
    tree = JunctionTree.build(domain, cliques, ceiling=ceiling)
    base = Oracle(tree=tree, cliques=cliques).spread(weights)
    try:
        return tree, Oracle(tree=tree, cliques=tree.cliques).support(base)
    except ContradictionError:
        named = sorted({a for clique in impossible for a in clique}, key=domain.attributes.index)
        what = f"constraints on {', '.join(map(repr, named))}"
        raise ContradictionError(what, "together they leave no possible record") from None


def essential(
    domain: Domain, impossible: Impossible, *, ceiling: int = CELL_CEILING
) -> dict[Clique, NDArray[np.bool_]]:
    """Return zeros that rule out the same records, without those cliques that others imply.

    A junction tree of fewer cliques has fewer cells, and so a faster fit. The largest are asked
    first: one is left out where, by all others that are still there, no record is in a cell that it
    forbids.

    Args:
        domain, impossible, ceiling: as of `possible_cells`; errors too.
    """
    check_size(domain, impossible, ceiling)
    kept: dict[Clique, NDArray[np.float64]] = {}
    for clique, weights in zip(*zero_weights(domain, impossible), strict=True):
        kept[clique] = kept.get(clique, 0.0) + weights
    tree = JunctionTree.build(domain, kept, ceiling=ceiling)
    for clique in sorted(kept, key=lambda c: -domain.cells_of(c)):
        others = tuple(c for c in kept if c != clique)
        base = Oracle(tree=tree, cliques=others).spread([kept[c] for c in others])
        (found,) = Oracle(tree=tree, cliques=(clique,)).support(base)
        if not (found & np.isneginf(kept[clique])).any():
            del kept[clique]
    return {clique: np.isneginf(weights) for clique, weights in kept.items()}


def check_size(domain: Domain, impossible: Iterable[Clique], ceiling: int = CELL_CEILING) -> None:
    """Refuse structural zeros of cliques whose junction tree has more cells than `ceiling`.

    Raises:
        InvalidValueError: it has.
    """
    cells = count_cells(domain, triangulated(domain, impossible))
    if cells > ceiling:
        rule = f"at most {ceiling}: constraints must share fewer columns, or these have fewer codes"
        raise InvalidValueError("cells of the constraints' junction tree", cells, rule)
