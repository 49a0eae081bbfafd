"""From a guarantee to the noise that keeps it, and back.

The closed curves of zCDP and Gaussian DP are in `curves`, and named here too; DP-SGD goes through
the plan accountants.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from math import ceil, exp, floor, inf, isfinite, log, log10, sqrt

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.accountant import Accountant, make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.curves import gdp_delta, gdp_epsilon, gdp_mu, zcdp_epsilon, zcdp_rho
from dpsynth.privacy.events import DpSgdEvent, Event

__all__ = [
    "dpsgd_epsilon",
    "dpsgd_noise_multiplier",
    "gaussian_sigma",
    "gdp_delta",
    "gdp_epsilon",
    "gdp_mu",
    "largest_scale",
    "zcdp_epsilon",
    "zcdp_rho",
]

# Noise multipliers are found to this relative precision; a finer one buys nothing visible.
_PRECISION = 1e-4
_LARGEST, _SMALLEST = log(1e9), log(1e-3)
_LEAST_EPSILON = 1e-300


def gaussian_sigma(epsilon: float, delta: float, sensitivity: float) -> float:
    """Return the least standard deviation of Gaussian noise that is (epsilon, delta)-DP.

    Args:
        epsilon: above 0, finite.
        delta: in (0, 1).
        sensitivity: L2 sensitivity of the query, above 0.

    Raises:
        InvalidValueError: a value outside its range.

    Reference: Balle & Wang 2018, Theorem 8 (analytic Gaussian mechanism).
    """
    if not (isfinite(sensitivity) and sensitivity > 0.0):
        raise InvalidValueError("sensitivity", sensitivity, "a finite number above 0")
    return sensitivity / gdp_mu(epsilon, delta) * (1.0 + 2.0**-50)


def dpsgd_epsilon(
    event: DpSgdEvent, delta: float, relation: Neighbouring, accountant: str = "pld"
) -> float:
    """Return an upper bound on the epsilon of a DP-SGD run at `delta`.

    Args:
        event: the run.
        delta: in (0, 1).
        relation: the neighbour relation.
        accountant: "pld" or "rdp".

    Raises:
        UnsupportedEventError: the accountant has no bound (Renyi DP under "replace").
    """
    # epsilon 1 chooses the accountant's grid and nothing else
    budget = Budget(epsilon=1.0, delta=delta, relation=relation)
    return make_accountant(accountant, budget).epsilon([event])


def dpsgd_noise_multiplier(
    epsilon: float,
    delta: float,
    *,
    sample_rate: float,
    steps: int,
    relation: Neighbouring,
    also: Sequence[Event] = (),
    accountant: str = "pld",
    set_aside: float = 0.0,
) -> float:
    """Return the least noise multiplier for which DP-SGD and `also` together fit the budget.

    A plan with the returned multiplier can be reserved: the same accountant is asked.

    Args:
        epsilon: of the whole plan.
        delta: of the whole plan, in (0, 1).
        sample_rate: probability with which a unit joins a batch, in (0, 1].
        steps: number of batches.
        relation: the neighbour relation.
        also: what else the plan holds (a noisy count, marginals).
        accountant: "pld" or "rdp".
        set_aside: part of delta that pays for answers which can fail (`Accountant`).

    Raises:
        InvalidValueError: `also` alone exceeds the budget; the least epsilon that would do is
            named.
    """
    budget = Budget(epsilon=epsilon, delta=delta, relation=relation)
    priced = make_accountant(accountant, budget, set_aside=set_aside)

    @cache  # the bracket's ends are asked for twice
    def excess(log_multiplier: float) -> float:
        multiplier = exp(log_multiplier)
        spent = priced.epsilon([*also, _run(multiplier, sample_rate, steps)])
        return log(max(spent, _LEAST_EPSILON) / priced.capacity) if isfinite(spent) else inf

    low, high = _bracket(excess, start=log(max(1.0, 2.0 * sample_rate * sqrt(steps) / epsilon)))
    if high > _LARGEST:
        least = _least_epsilon(priced, [*also, _run(exp(_LARGEST), sample_rate, steps)])
        rule = f"at least {least:.4g} for this plan, however much noise is added to gradients"
        raise InvalidValueError("epsilon", epsilon, rule)
    return exp(_decreasing_root(excess, low, high))


def _run(multiplier: float, sample_rate: float, steps: int) -> DpSgdEvent:
    return DpSgdEvent(noise_multiplier=multiplier, sample_rate=sample_rate, steps=steps)


def _least_epsilon(accountant: Accountant, plan: Sequence[Event]) -> float:
    """Return an epsilon that allows `plan`, near the least, to four digits rounded up."""
    spent = accountant.epsilon(plan)
    while isfinite(spent):
        least = _rounded_up(spent)
        # another epsilon may choose another grid, on which the plan costs another amount
        spent = replace(accountant, budget=replace(accountant.budget, epsilon=least)).epsilon(plan)
        if spent <= least:
            return least
    return inf


def _rounded_up(value: float) -> float:
    """Return `value` rounded up to four digits."""
    unit = 10.0 ** (floor(log10(value)) - 3)
    return float(f"{ceil(value / unit) * unit:.4g}")


def largest_scale(accountant: Accountant, schedule: Callable[[float], Sequence[Event]]) -> float:
    """Return the largest factor, to `_PRECISION`, whose schedule fits the accountant's budget.

    The schedule of the returned factor was priced and fits: it can be reserved.

    Args:
        accountant: what will price the schedule.
        schedule: from a factor to events whose common cost rises with it, as all sigmas shrink and
            all selections sharpen; factor 1 should be within some powers of 2 of the answer.

    Raises:
        InvalidValueError: no factor above 1e-9 fits.
    """

    @cache  # the bracket's ends are asked for twice
    def excess(log_divisor: float) -> float:
        spent = accountant.epsilon(schedule(exp(-log_divisor)))
        return log(max(spent, _LEAST_EPSILON) / accountant.budget.epsilon)

    low, high = _bracket(excess, start=0.0)
    if high > _LARGEST:
        rule = "large enough for the schedule at a factor of 1e-9"
        raise InvalidValueError("epsilon", accountant.budget.epsilon, rule)
    return exp(-_decreasing_root(excess, low, high))


def _bracket(excess: Callable[[float], float], *, start: float) -> tuple[float, float]:
    """Return log multipliers of too little and of enough noise, within a factor of 2 or 4."""
    high = start
    if excess(high) > 0.0:
        while excess(high) > 0.0 and high <= _LARGEST:
            high += log(2.0)
        return high - log(2.0), high
    low = high - log(2.0)
    while excess(low) <= 0.0 and low > _SMALLEST:
        low, high = low - log(2.0), low
    return low, high


def _decreasing_root(excess: Callable[[float], float], low: float, high: float) -> float:
    """Return the least argument found with excess <= 0, to `_PRECISION`.

    Secants, since an accountant may take seconds to answer and log epsilon is nearly linear in the
    log multiplier; each aims a hair beyond the root, so that both ends close in.
    """
    at_low, at_high = excess(low), excess(high)
    raised_low = True
    while high - low > _PRECISION:
        middle = low + (high - low) / 2.0
        if isfinite(at_low) and isfinite(at_high):
            secant = low + (high - low) * at_low / (at_low - at_high)
            aim = secant + (_PRECISION if raised_low else -_PRECISION) / 2.0
            middle = aim if low < aim < high else middle
        at_middle = excess(middle)
        raised_low = at_middle > 0.0
        if raised_low:
            low, at_low = middle, at_middle
        else:
            high, at_high = middle, at_middle
    return high
