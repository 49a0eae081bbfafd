"""The PLD accountant: plans fixed in advance, composed numerically by dp-accounting.

The relation lives in an event's sensitivity, except for DP-SGD, whose noise multiplier refers to
the clipping norm: there the accountant reads the budget's relation.
"""

# pyright: reportMissingTypeStubs=false

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, fsum, inf, nextafter, sqrt
from typing import Any, ClassVar, final

import numpy as np

from dpsynth.errors import InvalidValueError, UnsupportedEventError
from dpsynth.privacy.accountant import PlanAccountant, flattened
from dpsynth.privacy.budget import Neighbouring
from dpsynth.privacy.curves import gdp_epsilon
from dpsynth.privacy.events import (
    DpSgdEvent,
    Event,
    ExponentialEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
    NoiseLaw,
    PureEvent,
)
from dpsynth.privacy.sampled_gaussian import TAIL, gaussian, sampled_gaussian

# Rounds a library's float up; its own analysis is already an upper bound.
_UP = 1.0 + 2.0**-40
# Composition by floating FFT moves a delta by up to about 5e-17 a composition (seen against exact
# Gaussian curves, up to 100,000 compositions), and may move it down: 20 times that is taken off
# delta beforehand.
_FLOAT_ERROR = 2.0**-50
# Noise beyond this is priced as this much: what it adds cannot be seen, and squares stay finite.
_LEAST_MU = 1e-9
# Points of a grid, on either side of 0, that are worth their memory; beyond, epsilon is infinite.
_LARGEST_GRID = 4_000_000


@final
@dataclass(frozen=True)
class PldAccountant(PlanAccountant):
    """Numerical composition of privacy loss distributions, each rounded pessimistically to a grid.

    Epsilon is infinite where one event's losses outgrow the grid, far beyond the budget.

    Gaussian noise and mu-GDP compose exactly before the grid. Continuous Laplace noise is its
    one-dimensional worst case (see `_laplace`); an exponential mechanism the worst of its range
    (see `_bounded_range`); what is only known to be epsilon-DP is randomised response.
    Reference: Doroshenko, Ghazi, Kamath, Kumar & Manurangsi 2022 (connect the dots);
        Zhu, Dong & Wang 2022, Theorem 10 and Proposition 30 (dominating pairs, sampling).
    """

    name: ClassVar[str] = "pld"
    gaussian_law: ClassVar[NoiseLaw] = NoiseLaw.ROUNDED
    reference: ClassVar[str] = "Doroshenko et al. 2022, pessimistic estimate of dp-accounting"

    def epsilon(self, events: Sequence[Event]) -> float:
        counts = Counter(replace(event, sampling_distance=0.0) for event in flattened(events))
        return _epsilon(
            frozenset(counts.items()),
            self.delta,
            self.budget.relation,
            grid_interval(self.budget.epsilon),
        )


@lru_cache(maxsize=256)  # a plan is calibrated, reserved, summed and verified: the same question
def _epsilon(
    counts: frozenset[tuple[Event, int]], delta: float, relation: Neighbouring, interval: float
) -> float:
    squares = {event: _mu_squared(event, relation) for event, _ in counts}
    mu = sqrt(fsum(count * (squares[event] or 0.0) for event, count in counts)) * _UP
    others = [(event, count) for event, count in counts if squares[event] is None]
    if not others:
        return gdp_epsilon(mu, delta)
    mu = max(mu, _LEAST_MU)
    losses = [_largest_loss(event) for event, _ in others]
    if max(*losses, mu * (mu + TAIL)) > _LARGEST_GRID * interval:
        return inf
    composed = gaussian(1.0 / mu, interval=interval)
    for event, count in sorted(others, key=repr):  # one order: sums of floats depend on it
        composed = composed.compose(_distribution(event, count, relation, interval))
    compositions = 1 + sum(count * _steps(event) for event, count in others)
    return epsilon_of_distribution(composed, compositions, delta)


def _mu_squared(event: Event, relation: Neighbouring) -> float | None:
    """Return mu^2, above 0, of an event that is exactly Gaussian, and None for any other."""
    match event:
        case GaussianEvent(law=NoiseLaw.CONTINUOUS | NoiseLaw.ROUNDED):
            mu, times = 1.0 / event.noise_multiplier, 1
        case GdpEvent():
            mu, times = event.mu, 1
        case DpSgdEvent(sample_rate=1.0):
            mu, times = clip_sensitivity(relation) / event.noise_multiplier, event.steps
        case _:
            return None
    return nextafter(times * mu * mu, inf)


def _largest_loss(event: Event) -> float:
    """Return about the largest privacy loss that a grid must hold for `event`."""
    match event:
        case DpSgdEvent(noise_multiplier=multiplier) | GaussianEvent(sigma=multiplier):
            return (1.0 + TAIL * multiplier) / multiplier / multiplier
        case LaplaceEvent() | PureEvent() | ExponentialEvent():
            return event.epsilon
        case _:
            return 0.0


def _distribution(event: Event, count: int, relation: Neighbouring, interval: float) -> Any:
    from dp_accounting.pld import privacy_loss_distribution as pld

    match event:
        case DpSgdEvent():
            one = sampled_gaussian(
                min(event.noise_multiplier, 1.0 / _LEAST_MU),
                event.sample_rate,
                relation,
                interval=interval,
            )
            return one.self_compose(event.steps * count)
        case GaussianEvent():  # discrete: any other law is exactly Gaussian
            if event.sensitivity != 1.0:
                rule = "discrete Gaussian noise is bounded for integer sensitivity 1 only"
                raise UnsupportedEventError(PldAccountant.name, event, rule)
            one = pld.from_discrete_gaussian_mechanism(
                event.sigma, value_discretization_interval=interval
            )
        case LaplaceEvent(law=NoiseLaw.CONTINUOUS | NoiseLaw.ROUNDED):
            one = _laplace(event, interval)
        case ExponentialEvent():
            one = _bounded_range(event.epsilon, interval)
        case LaplaceEvent() | PureEvent():
            one = pld.from_privacy_parameters(
                _privacy_parameters(event.epsilon), value_discretization_interval=interval
            )
        case _:
            raise UnsupportedEventError(PldAccountant.name, event, "its privacy loss is not known")
    return one.self_compose(count)


def epsilon_of_distribution(distribution: Any, compositions: int, delta: float) -> float:
    """Return the epsilon at `delta` of one of dp-accounting's privacy loss distributions.

    Args:
        distribution: a pessimistic estimate, composed in floating point.
        compositions: how many distributions went into it.
        delta: in (0, 1).

    Raises:
        InvalidValueError: delta is so small that floating error could hide it.
    """
    resolved = delta - _FLOAT_ERROR * (64 + compositions)
    if resolved <= delta / 2.0:
        least = 2.0 * _FLOAT_ERROR * (64 + compositions)
        rule = f"at least {least:.2g} for 'pld' over {compositions} steps (floats); or use 'rdp'"
        raise InvalidValueError("delta", delta, rule)
    return float(distribution.get_epsilon_for_delta(resolved)) * _UP


def _steps(event: Event) -> int:
    return event.steps if isinstance(event, DpSgdEvent) else 1


def _laplace(event: LaplaceEvent, interval: float) -> Any:
    """Return the distribution of one-dimensional Laplace noise, which dominates any vector query of
    the same L1 sensitivity.

    With unit scale and shifts a >= b > 0 in two coordinates, the hockey-stick divergence at epsilon
    in [0, a + b] is 1 - exp((epsilon - a - b) / 2) (1 + b/2 - max(0, epsilon - a + b) / 4), and the
    last factor is at least 1: no more than 1 - exp((epsilon - a - b) / 2), that of one shift a + b.
    Further coordinates follow by induction.
    """
    from dp_accounting.pld import privacy_loss_distribution as pld

    return pld.from_laplace_mechanism(
        event.scale / event.sensitivity, value_discretization_interval=interval
    )


def _bounded_range(epsilon: float, interval: float) -> Any:
    """Return the dominating pair of mechanisms whose privacy loss has a range of at most epsilon.

    Two points suffice, a loss of t and one of t - epsilon. Over all t, the divergence at e in
    [-epsilon, epsilon] is largest for t = (e + epsilon) / 2, where it is
    (exp(epsilon/2) - exp(e/2))^2 / (exp(epsilon) - 1); below it is written without overflow.

    Reference: Dong, Durfee & Rogers 2020, Lemma 3.2.
    """
    from dp_accounting.pld import pld_pmf
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    steps = ceil(epsilon / interval)
    e = np.arange(-steps, steps + 1, dtype=np.float64) * interval
    inside = np.clip(e, -epsilon, epsilon)
    deltas = np.expm1((inside - epsilon) / 2.0) ** 2 / -np.expm1(-epsilon)
    deltas = np.where(e < -epsilon, -np.expm1(e), deltas)
    pmf = pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(interval, -steps, steps, deltas)
    return PrivacyLossDistribution(pmf)


def _privacy_parameters(epsilon: float) -> Any:
    from dp_accounting.pld.common import DifferentialPrivacyParameters

    return DifferentialPrivacyParameters(epsilon, 0.0)


def grid_interval(epsilon: float) -> float:
    """Return the grid of privacy losses: fine against `epsilon`, 1e-4 at ordinary ones, and coarse
    where the losses span so much that a fine grid would only cost memory."""
    return min(1e-4, epsilon * 1e-3) if epsilon < 20.0 else epsilon * 5e-6


def clip_sensitivity(relation: Neighbouring) -> float:
    """Return by how many clipping norms one unit moves a sum of clipped gradients."""
    return 1.0 if relation is Neighbouring.ADD_REMOVE else 2.0
