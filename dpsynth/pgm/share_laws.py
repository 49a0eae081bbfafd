"""Distribution functions of the shares that halves of stretches have a priori, from tables."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from dpsynth.pgm.column_kinds import Halving, Kind, Law

Array = NDArray[np.float64]

_TABLE = 2048


def shares_below(kinds: Sequence[Kind], share: Array, halvings: Sequence[Halving]) -> Array:
    """Return the prior probability that a first half has at most this share: a first axis of kinds.

    Args:
        kinds: what columns may be like.
        share: of stretches (first axis).
        halvings: the stretches.
    """
    distinct = list(dict.fromkeys(halvings))
    which = np.array([distinct.index(halving) for halving in halvings])
    tables = np.stack([[_tails(kind.mixture(at)) for at in distinct] for kind in kinds])
    near = np.clip(np.minimum(share, 1.0 - share), 0.0, 0.5)
    where = np.sqrt(np.sqrt(2.0 * near)) * _TABLE
    point = np.minimum(where.astype(np.intp), _TABLE - 1)
    second = share > 0.5
    which = which.reshape(-1, *(1,) * (share.ndim - 1))
    start = (2 * which + second) * (_TABLE + 1) + point
    tables = tables.reshape(len(kinds), -1)
    tail = np.take(tables, start, axis=1)
    tail += (where - point) * (np.take(tables, start + 1, axis=1) - tail)
    return np.where(second, 1.0 - tail, tail)


@lru_cache(maxsize=1024)
def _tails(mixture: tuple[Law, ...]) -> Array:
    """Return a mixture's distribution function, evenly in the fourth root of the distance to either
    end: two ends (share 0 and 1) x points."""
    shares = 0.5 * (np.arange(_TABLE + 1) / _TABLE) ** 4
    tails = np.zeros((2, _TABLE + 1))
    for a, b, weight in mixture:
        tails += weight * np.stack([betainc(a, b, shares), betainc(b, a, shares)])
    return tails / sum(weight for *_, weight in mixture)
