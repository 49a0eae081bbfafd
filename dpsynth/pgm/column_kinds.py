"""How ordered columns share their records between halves of their codes: a few kinds of columns."""

from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

Array = NDArray[np.float64]
Law = tuple[float, float, float]

PLACES = ("whole", "first", "second", "later", "deep")
"""Where in a column a stretch of codes is: all of it; what begins with its first code; its second
half; the other quarters but the first; anything shorter."""
_WHOLE, _FIRST, _SECOND, _LATER, _DEEP = range(len(PLACES))
_TABLE = 4096


@final
@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of columns: mixtures of beta laws of the share that a stretch's first half has.

    Args:
        weight: prior probability of the kind.
        laws: for each of PLACES (mean, concentration, weight) of each law.
    """

    weight: float
    laws: tuple[tuple[Law, ...], ...]


_EVEN: tuple[Law, ...] = tuple((0.5, 2 * shape, 0.2) for shape in (0.05, 0.2, 0.5, 1.0, 3.0))
"""From all or nothing to about half: what is supposed where nothing was learnt."""
# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind(
        weight=0.28,
        laws=(
            ((0.5, 6, 0.37), (0.5, 100, 0.32), (0.75, 20, 0.14), (0.75, 6, 0.09), (0.9, 20, 0.06)),
            ((0.5, 100, 0.38), (0.25, 6, 0.35), (0.5, 6, 0.21), (0.25, 2, 0.04)),
            ((0.75, 6, 0.36), (0.5, 100, 0.24), (0.5, 20, 0.16), (0.75, 20, 0.11), (0.5, 6, 0.07),
             (0.9, 20, 0.06)),
            ((0.5, 20, 0.50), (0.5, 100, 0.26), (0.75, 20, 0.16), (0.5, 6, 0.04)),
            ((0.5, 100, 0.73), (0.5, 20, 0.23)),
        ),
    ),
    Kind(
        weight=0.13,
        laws=(
            ((0.75, 2, 0.49), (0.5, 20, 0.21), (0.25, 6, 0.16), (0.1, 6, 0.06), (0.9, 6, 0.04)),
            ((0.5, 0.1, 0.37), (0.5, 6, 0.13), (0.25, 6, 0.13), (0.9, 6, 0.12), (0.75, 2, 0.12),
             (0.5, 20, 0.10)),
            ((0.25, 2, 0.18), (0.5, 6, 0.17), (0.75, 20, 0.17), (0.5, 100, 0.14),
             (0.5, 0.4, 0.14), (0.9, 20, 0.09), (0.75, 6, 0.05)),
            ((0.5, 6, 0.30), (0.5, 0.1, 0.29), (0.5, 100, 0.08), (0.5, 20, 0.07),
             (0.75, 20, 0.06), (0.5, 2, 0.05), (0.5, 0.4, 0.04), (0.75, 6, 0.04), (0.25, 2, 0.03)),
            ((0.5, 0.1, 0.56), (0.5, 20, 0.11), (0.5, 100, 0.06), (0.5, 0.4, 0.05),
             (0.75, 20, 0.05), (0.5, 6, 0.04), (0.25, 6, 0.03), (0.5, 2, 0.03)),
        ),
    ),
    Kind(
        weight=0.36,
        laws=(
            ((0.9, 6, 0.20), (0.25, 6, 0.20), (0.1, 6, 0.17), (0.5, 2, 0.09), (0.5, 6, 0.09),
             (0.75, 20, 0.07), (0.5, 20, 0.07), (0.5, 100, 0.05)),
            ((0.25, 2, 0.36), (0.1, 6, 0.34), (0.25, 6, 0.12), (0.5, 1, 0.07), (0.5, 6, 0.04)),
            ((0.9, 6, 0.27), (0.75, 6, 0.23), (0.9, 20, 0.19), (0.5, 2, 0.12), (0.75, 2, 0.08),
             (0.5, 6, 0.06), (0.5, 20, 0.05)),
            ((0.5, 6, 0.28), (0.75, 20, 0.21), (0.25, 6, 0.17), (0.75, 6, 0.09), (0.5, 2, 0.07),
             (0.9, 6, 0.04), (0.25, 2, 0.04)),
            ((0.5, 20, 0.41), (0.5, 6, 0.34), (0.5, 100, 0.05), (0.25, 6, 0.05), (0.5, 2, 0.03)),
        ),
    ),
    Kind(
        weight=0.23,
        laws=(
            ((0.9, 6, 1.00),),
            ((0.9, 6, 0.35), (0.75, 2, 0.29), (0.75, 6, 0.19), (0.75, 20, 0.05), (0.9, 20, 0.03)),
            ((0.75, 20, 0.60), (0.75, 6, 0.15), (0.9, 20, 0.14), (0.5, 6, 0.06)),
            ((0.75, 20, 0.65), (0.5, 20, 0.21), (0.5, 100, 0.06), (0.5, 6, 0.06)),
            ((0.5, 20, 0.52), (0.5, 100, 0.30), (0.75, 20, 0.18)),
        ),
    ),
    Kind(weight=0.11, laws=(_EVEN,) * len(PLACES)),
)
# fmt: on
"""Level columns, columns of a few values, peaks, columns that fall; last, what fits anything.

Learnt from 6,056 numeric columns of 839 public tables (`scripts/learn_shares.py`), none of which is
among those that benchmarks here are run on. Laws of less than .03 are left out."""


def place_of(low: int, depth: int) -> int:
    """Return which of PLACES a stretch is, as its number.

    Args:
        low: its first code.
        depth: halvings that it takes from the whole column to it.
    """
    if low == 0:
        return _WHOLE if depth == 0 else _FIRST
    return {1: _SECOND, 2: _LATER}.get(depth, _DEEP)


def shares_below(share: Array, place: NDArray[np.intp]) -> Array:
    """Return the prior probability that a first half has at most this share: a first axis of KINDS.

    Args:
        share: of stretches (first axis).
        place: of each stretch, as in PLACES; their number where its codes are in no order, of which
            nothing was learnt.
    """
    near = np.clip(np.minimum(share, 1.0 - share), 0.0, 0.5)
    where = np.sqrt(np.sqrt(2.0 * near)) * _TABLE
    point = np.minimum(where.astype(np.intp), _TABLE - 1)
    second = share > 0.5
    rows = np.arange(len(place)).reshape(-1, *(1,) * (share.ndim - 1))
    start = (second * len(place) + rows) * (_TABLE + 1) + point
    tables = _tails()[:, :, place].reshape(len(KINDS), -1)
    tail = np.take(tables, start, axis=1)
    tail += (where - point) * (np.take(tables, start + 1, axis=1) - tail)
    return np.where(second, 1.0 - tail, tail)


@cache
def _tails() -> Array:
    """Return the mixtures' distribution functions, evenly in the fourth root of the distance to
    either end: kinds x two ends (share 0 and 1) x places and none x points."""
    shares = 0.5 * (np.arange(_TABLE + 1) / _TABLE) ** 4
    tails = np.zeros((len(KINDS), 2, len(PLACES) + 1, _TABLE + 1))
    for kind, place in np.ndindex(len(KINDS), len(PLACES) + 1):
        mixture = (*KINDS[kind].laws, _EVEN)[place]
        whole = sum(weight for *_, weight in mixture)
        for mean, concentration, weight in mixture:
            a, b = mean * concentration, (1 - mean) * concentration
            tails[kind, 0, place] += weight / whole * betainc(a, b, shares)
            tails[kind, 1, place] += weight / whole * betainc(b, a, shares)
    return tails
