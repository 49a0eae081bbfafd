"""How columns share their records between halves of their codes: a few kinds of columns."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias, final

Law: TypeAlias = tuple[float, float, float]
"""Two shapes of a beta law, and its weight."""

PLACES = ("whole", "first", "second", "later", "deep")
"""Where in a column a stretch of codes is: all of it; what begins with its first code; its second
half; the other quarters but the first; anything shorter."""
_WHOLE, _FIRST, _SECOND, _LATER, _DEEP = range(len(PLACES))


@final
@dataclass(frozen=True, kw_only=True)
class Halving:
    """A stretch of codes and its halves.

    Args:
        place: as in PLACES; their number where its codes stand in no order.
        first: codes of its first half.
        second: codes of the other.
    """

    place: int
    first: int
    second: int


@dataclass(frozen=True, kw_only=True)
class Kind(ABC):
    """What a column may be like.

    Args:
        weight: prior probability of the kind, but for a factor that all kinds share.
    """

    weight: float

    @property
    @abstractmethod
    def split(self) -> float:
        """The probability that a stretch of neighbours is halved, and not left level."""

    @abstractmethod
    def mixture(self, at: Halving) -> tuple[Law, ...]:
        """Return the beta laws of the share that a stretch's first half has."""


@final
@dataclass(frozen=True, kw_only=True)
class InOrder(Kind):
    """Neighbours are alike, and what a stretch is like depends on where it is.

    Args:
        laws: for each of PLACES (mean, concentration, weight) of beta laws.
    """

    laws: tuple[tuple[tuple[float, float, float], ...], ...]

    @property
    def split(self) -> float:
        return 0.9

    def mixture(self, at: Halving) -> tuple[Law, ...]:
        laws = (*self.laws, EVEN)[at.place]
        return tuple((mean * c, (1 - mean) * c, weight) for mean, c, weight in laws)


@final
@dataclass(frozen=True, kw_only=True)
class InNoOrder(Kind):
    """No code is a neighbour of another: shares of a symmetric Dirichlet law.

    Args:
        shape: of the law: small if a few codes have nearly everything.
    """

    shape: float

    @property
    def split(self) -> float:
        return 1.0

    def mixture(self, at: Halving) -> tuple[Law, ...]:
        return ((self.shape * at.first, self.shape * at.second, 1.0),)


EVEN = tuple((0.5, 2 * shape, 0.2) for shape in (0.05, 0.2, 0.5, 1.0, 3.0))
"""From all or nothing to about half: what is supposed where nothing was learnt."""
# fmt: off
_LEARNT = (
    InOrder(
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
    InOrder(
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
    InOrder(
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
    InOrder(
        weight=0.23,
        laws=(
            ((0.9, 6, 1.00),),
            ((0.9, 6, 0.35), (0.75, 2, 0.29), (0.75, 6, 0.19), (0.75, 20, 0.05), (0.9, 20, 0.03)),
            ((0.75, 20, 0.60), (0.75, 6, 0.15), (0.9, 20, 0.14), (0.5, 6, 0.06)),
            ((0.75, 20, 0.65), (0.5, 20, 0.21), (0.5, 100, 0.06), (0.5, 6, 0.06)),
            ((0.5, 20, 0.52), (0.5, 100, 0.30), (0.75, 20, 0.18)),
        ),
    ),
)
# fmt: on
"""Level columns, columns of a few values, peaks, columns that fall.

Learnt from 6,056 numeric columns of 839 public tables (`scripts/learn_shares.py`), none of which is
among those that benchmarks here are run on. Laws of less than .03 are left out."""
NUMBERS: tuple[Kind, ...] = (*_LEARNT, InOrder(weight=0.11, laws=(EVEN,) * len(PLACES)))
"""Kinds of columns of numbers: those of public tables, and what fits anything."""
CATEGORIES: tuple[Kind, ...] = (
    *_LEARNT,
    *(InNoOrder(weight=0.2, shape=shape) for shape in (0.05, 0.15, 0.5, 1.5, 5.0)),
)
"""Kinds of columns of categories: as numbers, since lists are often in an order of some kind, or in
none."""


def place_of(low: int, depth: int) -> int:
    """Return which of PLACES a stretch is, as its number.

    Args:
        low: its first code.
        depth: halvings that it takes from the whole column to it.
    """
    if low == 0:
        return _WHOLE if depth == 0 else _FIRST
    return {1: _SECOND, 2: _LATER}.get(depth, _DEEP)
