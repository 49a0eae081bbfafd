"""The questions that selections ask, from what a generator knows."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.queries import ChildWithParents, DependenceQuery, WorstFitQuery
from dpsynth.data.domain import Clique


def worst_fit(
    candidates: Sequence[Clique],
    predict: Callable[[Clique], NDArray[np.float64]],
    *,
    penalties: Sequence[float] | None,
    weights: Sequence[float] | None,
) -> WorstFitQuery:
    """Return the question which candidate's counts `predict` misses by most.

    Args:
        candidates: cliques, at least one.
        predict: expected counts of a candidate; called once each.
        penalties: what is taken off the errors; None: nothing.
        weights: importance of each; None: they are equal.
    """
    return WorstFitQuery(
        candidates=tuple(candidates),
        predictions=tuple(predict(c) for c in candidates),
        penalties=_penalties(penalties, len(candidates)),
        weights=None if weights is None else tuple(weights),
    )


def dependence(
    candidates: Sequence[ChildWithParents], *, penalties: Sequence[float] | None
) -> DependenceQuery:
    """Return the question which (child, parents) pair is farthest from independent.

    Args:
        candidates: at least one.
        penalties: what is taken off the scores; None: nothing.
    """
    return DependenceQuery(
        candidates=tuple(candidates), penalties=_penalties(penalties, len(candidates))
    )


def _penalties(given: Sequence[float] | None, candidates: int) -> tuple[float, ...]:
    return (0.0,) * candidates if given is None else tuple(given)
