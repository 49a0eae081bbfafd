"""What an audit's bounds say of epsilon when the kind of noise is taken for granted.

Two error rates bound epsilon directly only weakly, at the delta of the claim. Where a mechanism is
known to be what it says but for the size of its noise, they bound that size, and the accountant's
epsilon at that size is a bound too: a statement about the class, never about an unknown mechanism.
"""

from collections.abc import Sequence
from functools import reduce
from math import sqrt
from typing import Any

import numpy as np

from dpsynth.audit.tradeoff import TradeOff
from dpsynth.audit.verdict import ScoreTest, violates
from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.curves import gdp_epsilon
from dpsynth.privacy.events import DpSgdEvent, Event, GaussianEvent, GdpEvent
from dpsynth.privacy.pld import clip_sensitivity
from dpsynth.privacy.sampled_gaussian import gaussian, sampled_gaussian

_EPSILONS = np.concatenate([np.linspace(0.0, 4.0, 161), np.geomspace(4.1, 40.0, 60)])
_STEPS = 10
# Coarser than an accountant's: rounding is pessimistic, so that the bound loses by it.
_INTERVAL = 1e-3


def epsilon_of_gaussian(mu: float, delta: float) -> float:
    """Return the epsilon at `delta` that mu-GDP amounts to; 0 at mu = 0.

    To be used where every charged event is Gaussian.
    """
    return gdp_epsilon(mu, delta) if mu > 0 else 0.0


def epsilon_of_class(events: Sequence[Event], budget: Budget, tests: Sequence[ScoreTest]) -> float:
    """Return a lower bound on epsilon, if the mechanism is `events` with noise of another size.

    For Gaussian events it is that of the largest mu bound; where DP-SGD is among them the size of
    all noise is searched, to 0.2% on the safe side, for the least that the tests contradict.

    Args:
        events: what was charged.
        budget: gives delta and relation.
        tests: bounds that hold together.

    Raises:
        UnsupportedEventError: other events than these, or delta 0.

    Reference: Nasr et al. 2023, Section 5 (bounds by the mechanism's own trade-off function).
    """
    if budget.delta == 0.0 or not events:
        raise UnsupportedEventError("audit", budget, "no class is searched at delta 0")
    if all(_gaussian(event) for event in events):
        return epsilon_of_gaussian(max(test.mu_lower for test in tests), budget.delta)
    if not all(_gaussian(event) or isinstance(event, DpSgdEvent) for event in events):
        rule = "its class has no size of noise to search; read the bound at delta instead"
        raise UnsupportedEventError("audit", events, rule)
    low, high = 0.5, 4.0  # factors on the noise: the more is claimed, the more is contradicted
    if not _contradicted(_trade_off(_distribution(events, high, budget)), tests):
        return 0.0
    for _ in range(_STEPS):
        middle = sqrt(low * high)
        if _contradicted(_trade_off(_distribution(events, middle, budget)), tests):
            high = middle
        else:
            low = middle
    return float(_distribution(events, high, budget).get_epsilon_for_delta(budget.delta))


def _gaussian(event: Event) -> bool:
    whole = isinstance(event, DpSgdEvent) and event.sample_rate == 1.0
    return whole or isinstance(event, GaussianEvent | GdpEvent)


def _distribution(events: Sequence[Event], factor: float, budget: Budget) -> Any:
    """Return the privacy loss of the events, with `factor` times their noise."""
    squares, sampled = 0.0, []
    for event in events:
        match event:
            case DpSgdEvent() if event.sample_rate < 1.0:
                multiplier = factor * event.noise_multiplier
                rate, relation = event.sample_rate, budget.relation
                one = sampled_gaussian(multiplier, rate, relation, interval=_INTERVAL)
                sampled.append(one.self_compose(event.steps))
            case DpSgdEvent():
                moved = clip_sensitivity(budget.relation) / event.noise_multiplier
                squares += event.steps * moved**2
            case GaussianEvent():
                squares += 1.0 / event.noise_multiplier**2
            case GdpEvent():
                squares += event.mu**2
            case _:
                raise UnsupportedEventError("audit", event, "it is not of this class")
    if squares:
        width = factor / sqrt(squares)
        sampled.append(gaussian(width, interval=_INTERVAL))
    return reduce(lambda first, second: first.compose(second), sampled)


def _trade_off(distribution: Any) -> TradeOff:
    deltas = np.asarray(distribution.get_delta_for_epsilon(_EPSILONS))
    pairs = zip(_EPSILONS.tolist(), np.clip(deltas, 0.0, 1.0).tolist(), strict=True)
    return TradeOff(mu=None, pairs=tuple(pairs))


def _contradicted(claim: TradeOff, tests: Sequence[ScoreTest]) -> bool:
    first = np.array([test.false_positive_upper for test in tests])
    second = np.array([test.false_negative_upper for test in tests])
    return bool(violates(claim, first, second).any())
