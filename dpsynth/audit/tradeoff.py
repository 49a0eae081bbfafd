"""A privacy claim as a trade-off function: the false negatives that any attack must suffer.

f(a) is the least false negative rate of any test between neighbours whose false positive rate is
at most a. Every valid statement about the same mechanism gives one such function, and their
pointwise maximum is valid too; an audit tests against that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import fsum, sqrt
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.accountant import Filter, make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.curves import gdp_mu
from dpsynth.privacy.events import Event

# Deltas at which an accountant's epsilon becomes a piece of the function. Each epsilon of an
# accountant for fixed plans takes a second, so those get the few that shape the middle.
_DELTAS = (*np.geomspace(1e-9, 1e-2, 15), *np.linspace(0.02, 0.6, 30))
_FEW_DELTAS = (1e-5, 1e-2, 0.05, 0.15, 0.3)
_LARGEST_EXPONENT = 700.0


@final
@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """The pointwise maximum of trade-off functions.

    Args:
        mu: a Gaussian-DP parameter that holds, or None where none is known.
        pairs: (epsilon, delta) statements that hold.

    Reference: Dong, Roth & Su 2019, Definitions 2.1 and 2.6, Proposition 2.5.
    """

    mu: float | None
    pairs: tuple[tuple[float, float], ...]

    @property
    def largest_mu(self) -> float | None:
        """The mu of the least private Gaussian mechanism that keeps the claim.

        None for a pure epsilon: no Gaussian keeps it.
        """
        if any(delta == 0.0 for _, delta in self.pairs):
            return None
        allowed = [_mu_within(epsilon, delta) for epsilon, delta in self.pairs]
        return min([*allowed, *([self.mu] if self.mu is not None else [])])

    def __call__(self, false_positives: ArrayLike) -> NDArray[np.float64]:
        """Return the least false negative rates at these false positive rates."""
        from scipy.special import ndtr, ndtri

        alpha = np.asarray(false_positives, dtype=np.float64)
        least = np.zeros_like(alpha)
        if self.mu is not None:
            least = np.maximum(least, ndtr(-ndtri(alpha) - self.mu))
        for epsilon, delta in self.pairs:
            factor = np.exp(min(epsilon, _LARGEST_EXPONENT))
            least = np.maximum(least, 1.0 - delta - factor * alpha)
            least = np.maximum(least, (1.0 - delta - alpha) / factor)
        return least


def _mu_within(epsilon: float, delta: float) -> float:
    from scipy.special import ndtri

    if epsilon == 0.0:  # total variation: 2 Phi(mu / 2) - 1 <= delta
        return 2.0 * float(ndtri((1.0 + delta) / 2.0))
    return gdp_mu(epsilon, delta)


def claimed_trade_off(events: Sequence[Event], budget: Budget, accountant: str) -> TradeOff:
    """Return what an accountant claims of these events, plus their Gaussian DP where it exists.

    Args:
        events: what was charged.
        budget: gives relation, unit and delta.
        accountant: the name of the accountant that charged.
    """
    return TradeOff(mu=gaussian_dp(events), pairs=_pairs(tuple(events), budget, accountant))


def gaussian_dp(events: Sequence[Event]) -> float | None:
    """Return the mu of these events together, or None if one of them has none."""
    gdp = make_accountant("gdp", Budget(epsilon=1.0, delta=0.5))
    try:
        return sqrt(fsum(gdp.cost(event) for event in events))
    except UnsupportedEventError:
        return None


def gaussian_of(budget: Budget, accountant: str) -> float | None:
    """Return the mu of Gaussian noise that costs the whole budget under this accountant.

    None where it prices no Gaussian noise, or none at this delta.
    """
    if budget.delta == 0.0:
        return None
    own = make_accountant(accountant, budget)
    if not isinstance(own, Filter):
        return gdp_mu(budget.epsilon, budget.delta)
    try:
        return 1.0 / own.gaussian_sigma(own.capacity, sensitivity=1.0)
    except UnsupportedEventError:
        return None


@lru_cache(maxsize=32)
def _pairs(
    events: tuple[Event, ...], budget: Budget, accountant: str
) -> tuple[tuple[float, float], ...]:
    if budget.delta == 0.0:
        return ((make_accountant(accountant, budget).epsilon(events), 0.0),)
    few = not isinstance(make_accountant(accountant, budget), Filter)
    deltas = {budget.delta, *(_FEW_DELTAS if few else _DELTAS)}
    return tuple(
        (make_accountant(accountant, replace(budget, delta=float(d))).epsilon(events), float(d))
        for d in sorted(deltas)
    )
