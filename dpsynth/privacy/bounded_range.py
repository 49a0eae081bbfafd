"""The accountant of fixed schedules of exponential mechanisms and Gaussian noise.

zCDP and Gaussian DP replace an exponential mechanism by something that it is not. Here the bounded
range of its privacy loss is kept: the worst adaptive adversary is followed backwards through the
schedule, on a grid with upper bounds (`divergence_grid`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from math import ceil, fsum, inf, isfinite, nextafter, sqrt
from typing import ClassVar, TypeAlias, final

import numpy as np

from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.accountant import PlanAccountant, flattened
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.curves import gdp_epsilon, zcdp_epsilon
from dpsynth.privacy.divergence_grid import LARGEST_EXPONENT, DivergenceGrid
from dpsynth.privacy.events import (
    Event,
    ExponentialEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
    NoiseLaw,
    PureEvent,
)
from dpsynth.privacy.filters import ZcdpFilter

Step: TypeAlias = GdpEvent | ExponentialEvent | PureEvent

_UP = 1.0 + 2.0**-48
# Cells between 0 and the last node; 1,500 are within .05% of the limit on schedules like MST's and
# AIM's. A grid may be that many times finer where ranges would otherwise be rounded up by much.
CELLS = 1_500
_FINEST = 4
# Relative excess of the sum of squared ranges (by rounding to the grid) that a grid twice as fine
# must save to be worth it.
_FINENESS = 2.0**-10
_CANDIDATES = 200
# The last node lies where zCDP's delta is this part of the budget's.
_TAIL = 2.0**-16
# The part of delta that the cut tail of one Gaussian's loss may take.
_TRUNCATED = 2.0**-24
# Below these, rounding margins say more than the mechanisms; zCDP answers.
_LEAST_DELTA, _LEAST_EXPONENT = 2.0**-900, 2.0**-40


@final
@dataclass(frozen=True)
class BoundedRangeAccountant(PlanAccountant):
    """The worst case over all adversaries that see each answer before they choose the next query.

    The bound is for the stated order: an exponential mechanism that comes after Gaussian answers
    may leak more, since its query can depend on them. The discrete Gaussian is not Gaussian-DP,
    zCDP implies no hockey-stick curve that composes this way, and subsampled noise has no symmetric
    worst pair: they are refused.
    Reference: Dong, Durfee & Rogers 2020, sections 4 and 6; docs/research/bounded_range.md.
    """

    name: ClassVar[str] = "bounded_range"
    gaussian_law: ClassVar[NoiseLaw] = NoiseLaw.ROUNDED
    reference: ClassVar[str] = "Dong, Durfee & Rogers 2020, section 6, with Gaussian steps"

    def epsilon(self, events: Sequence[Event]) -> float:
        return _epsilon(tuple(_steps(events)), self.delta, CELLS)


def bounded_range_epsilon(events: Sequence[Event], delta: float, *, cells: int = CELLS) -> float:
    """Return an upper bound on the epsilon at `delta` of `events` in this order.

    It is never above zCDP's, which is the answer where a grid would not do (a huge epsilon).

    Args:
        events: fixed beforehand; queries may depend on earlier answers.
        delta: in (0, 1).
        cells: of the grid, at least; more bring the bound down to its limit.

    Raises:
        UnsupportedEventError: no bound is known for one of them.
        InvalidValueError: delta outside its range.
    """
    return _epsilon(tuple(_steps(events)), delta, cells)


def _steps(events: Sequence[Event]) -> Iterator[Step]:
    """Yield the events as the three classes of mechanisms, Gaussian neighbours as one."""
    singles = (_step(event) for event in flattened(events))
    for gaussian, group in groupby(singles, key=lambda step: isinstance(step, GdpEvent)):
        if not gaussian:
            yield from group
            continue
        squares = [step.mu * step.mu for step in group if isinstance(step, GdpEvent)]
        yield _gdp(sqrt(fsum(squares)))


def _step(event: Event) -> Step:
    match event:
        case GaussianEvent(law=NoiseLaw.CONTINUOUS | NoiseLaw.ROUNDED):
            return _gdp(1.0 / event.noise_multiplier)
        case GdpEvent():
            return GdpEvent(mu=event.mu)
        case ExponentialEvent():
            return ExponentialEvent(epsilon=event.epsilon)
        case PureEvent():
            return PureEvent(epsilon=event.epsilon)
        case LaplaceEvent():
            return PureEvent(epsilon=event.epsilon * _UP)
        case GaussianEvent():
            rule = "the discrete Gaussian is not Gaussian-DP; use rounded noise, or 'zcdp'"
        case _:
            rule = "its worst pair is not known"
    raise UnsupportedEventError(BoundedRangeAccountant.name, event, rule)


def _gdp(mu: float) -> GdpEvent:
    """Return Gaussian DP of `mu`, rounded up; from 2**1000 on, its cost is infinite anyway."""
    return GdpEvent(mu=min(nextafter(mu * _UP, inf), 2.0**1000))


@lru_cache(maxsize=256)  # a plan is calibrated, reserved, summed and verified: the same question
def _epsilon(steps: tuple[Step, ...], delta: float, cells: int) -> float:
    zcdp = ZcdpFilter(Budget(epsilon=1.0, delta=delta))  # its epsilon plays no part in a cost
    rho = fsum(zcdp.cost(step) for step in steps) * _UP
    if not isfinite(rho):
        return inf
    if len(steps) == 1 and isinstance(steps[0], GdpEvent):
        return gdp_epsilon(steps[0].mu, delta)
    limit = zcdp_epsilon(rho, delta)
    last = zcdp_epsilon(rho, max(delta * _TAIL, _LEAST_DELTA))
    spans = [step.epsilon for step in steps if not isinstance(step, GdpEvent)]
    if delta < _LEAST_DELTA or not _LEAST_EXPONENT < last < LARGEST_EXPONENT / 2.0:
        return limit
    width = _width(spans, last, cells)
    grid = DivergenceGrid(width=width, cells=ceil(last / width))
    bounds = grid.nothing_left()
    for step in reversed(steps):
        match step:
            case GdpEvent():
                bounds = grid.gaussian_step(bounds, step.mu, truncated=delta * _TRUNCATED)
            case ExponentialEvent():
                bounds = grid.range_step(bounds, _widths(step.epsilon, width))
            case PureEvent():
                bounds = grid.pure_step(bounds, _widths(step.epsilon, width))
    found = grid.epsilon(bounds, delta)
    return limit if found is None else min(limit, found)


def _widths(span: float, width: float) -> int:
    """Return the least number of grid widths that reach `span`, exactly."""
    return max(1, ceil(Fraction(span) / Fraction(width)))


def _width(spans: Sequence[float], last: float, cells: int) -> float:
    """Return a width of at most last / cells of which the spans are nearly whole multiples.

    Spans are rounded up to multiples, which is valid for any width. Of the widths that make some
    span a multiple, the best is coarse and wastes little by the rounding.
    """
    coarsest = last / cells
    if not spans:
        return coarsest
    kinds, counts = np.unique(np.asarray(spans), return_counts=True)
    widths = [coarsest]
    for kind in kinds[np.argsort(-counts * kinds**2, kind="stable")[:8]]:  # what weighs most
        first = ceil(kind / coarsest)
        most = min(int(_FINEST * kind / coarsest), first + _CANDIDATES)
        widths += [float(kind) / steps * (1.0 + 2.0**-50) for steps in range(first, most + 1)]

    def waste(width: float) -> float:
        rounded = np.ceil(kinds / width * (1.0 - 2.0**-48)) * width
        excess = np.sum(counts * rounded**2) / np.sum(counts * kinds**2) - 1.0
        return float(excess) + _FINENESS * coarsest / width

    return min(widths, key=waste)
