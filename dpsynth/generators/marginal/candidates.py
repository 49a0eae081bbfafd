"""What an adaptive mechanism may measure next: weighted candidates, and those the tree can hold."""

from collections.abc import Callable, Iterable, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.tree_size import growth, tree_fits
from dpsynth.generators.marginal.workload import (
    affordable,
    all_k_ways,
    downward_closure,
    overlap_weights,
)
from dpsynth.pgm.cliques import covering
from dpsynth.pgm.model import GraphicalModel

# Cells of all candidates, whose predictions are held at once: 2**24 doubles are 128 MiB.
_CELLS = 2**24


def weighted_candidates(
    domain: Domain, attributes: Clique, *, degree: int, most_sets: int, largest_tree: int
) -> dict[Clique, float]:
    """Return every subset of the workload that can fit at all, with its weight, at most 1.

    The workload is all sets of `degree` attributes, or of fewer where those are too many; a
    candidate's weight is its overlap with the workload, over the largest.

    Args:
        domain: of all attributes.
        attributes: those that are worth measuring.
        degree: attributes of each set of the workload.
        most_sets: most sets of the workload; beyond, the degree is lowered, but not below 2.
        largest_tree: most cells of a candidate; single attributes are kept whatever their size.

    Reference: McKenna et al. 2022, section 4 and equation 1.
    """
    degree = min(degree, len(attributes))
    while degree > 2 and comb(len(attributes), degree) > most_sets:
        degree -= 1
    workload = all_k_ways(attributes, degree)
    weights = overlap_weights(downward_closure(workload), workload)
    largest = max(weights.values())
    kept = affordable(domain, list(weights), most_cells=largest_tree, together=_CELLS)
    return {clique: weights[clique] / largest for clique in kept}


def fits_into(
    model: GraphicalModel, candidates: Iterable[Clique], room: float
) -> Callable[[Clique], bool]:
    """Return whether one of `candidates` lies inside the model, or in a tree of `room` cells.

    For pairs an upper bound on the tree decides, which is cheap. A single attribute that has been
    measured always fits.

    Args:
        model: what is measured so far.
        candidates: those that will be asked about.
        room: most cells of the tree.
    """
    grown = growth(model.tree, [clique for clique in candidates if len(clique) == 2])
    free = room - model.tree.cells

    def fits(clique: Clique) -> bool:
        if covering(model.domain, model.cliques, clique) is not None:
            return True
        if clique in grown:
            return grown[clique] <= free
        return tree_fits(model.domain, [*model.cliques, clique], room)

    return fits


def predictions(
    model: GraphicalModel, cliques: Sequence[Clique]
) -> dict[Clique, NDArray[np.float64]]:
    """Return the model's expected counts of each clique."""
    found = model.pairs([clique for clique in cliques if len(clique) == 2])
    return {c: found[c] if c in found else model.marginal(c) for c in cliques}
