"""Raking: the nearest joint law that has given shares along some of its axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ContradictionError

Array = NDArray[np.float64]

_ROUNDS = 10_000
_CLOSE = 1e-12


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Margin:
    """The shares that groups of an axis' entries shall have.

    Args:
        groups: for each entry of the axis its group; entries of a group keep their proportions.
        shares: for each group its share; together 1.
        what: the axis as a user knows it, for errors.
    """

    groups: NDArray[np.intp]
    shares: Array
    what: str


def rake(joint: Array, margins: Mapping[int, Margin]) -> Array:
    """Return the law nearest to `joint` whose groups have the shares of `margins`.

    Nearest in Kullback-Leibler divergence: odds ratios stay those of `joint`, and its zeros too.

    Args:
        joint: weights of all cells, at least 0.
        margins: axis -> the shares along it.

    Raises:
        ContradictionError: all weights are 0, or cells that cannot occur leave no law with these
            shares.

    Reference: Deming & Stephan 1940 (iterative proportional fitting); Csiszár 1975, section 3.
    """
    if not joint.any():
        raise ContradictionError("conditions", "no record that the model allows satisfies all")
    law = joint / joint.sum()
    for _ in range(_ROUNDS):
        worst = 0.0
        for axis, margin in margins.items():
            found = law.sum(axis=tuple(i for i in range(law.ndim) if i != axis))
            mass = np.bincount(margin.groups, weights=found, minlength=margin.shares.size)
            if ((mass == 0) & (margin.shares > 0)).any():
                raise ContradictionError(margin.what, "the model has no record in a part of it")
            worst = max(worst, float(np.abs(mass - margin.shares).max()))
            factors = np.divide(margin.shares, mass, out=np.zeros_like(mass), where=mass > 0)
            shape = [-1 if i == axis else 1 for i in range(law.ndim)]
            law = law * factors[margin.groups].reshape(shape)
        if worst < _CLOSE or len(margins) < 2:
            return law / law.sum()
    raise ContradictionError(
        " and ".join(margin.what for margin in margins.values()),
        "no law of the records that the model allows has all these shares",
    )


def even(weights: Sequence[float] | Array) -> Array:
    """Return equal shares of all entries with a weight above 0; 0 for the others."""
    possible = np.asarray(weights) > 0
    return possible / possible.sum()
