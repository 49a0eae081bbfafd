"""What structural zeros leave possible, before any model is fitted."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Domain
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
    cells = count_cells(domain, triangulated(domain, impossible))
    if cells > ceiling:
        rule = f"at most {ceiling}: constraints must share fewer columns, or these have fewer codes"
        raise InvalidValueError("cells of the constraints' junction tree", cells, rule)
    cliques, weights = combine(domain, zero_weights(domain, impossible))
    tree = JunctionTree.build(domain, cliques, ceiling=ceiling)
    base = Oracle(tree=tree, cliques=cliques).spread(weights)
    try:
        return tree, Oracle(tree=tree, cliques=tree.cliques).support(base)
    except ContradictionError:
        named = sorted({a for clique in impossible for a in clique}, key=domain.attributes.index)
        what = f"constraints on {', '.join(map(repr, named))}"
        raise ContradictionError(what, "together they leave no possible record") from None
