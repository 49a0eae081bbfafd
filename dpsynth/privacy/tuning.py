"""The price of tuning: the best of a random number of private runs.

Trying settings on the same records is not free. When the number of tries is drawn from a suitable
law and only the best run is released, the whole costs little more than one run.
"""

from collections.abc import Sequence
from math import log, log1p

from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.curves import renyi_delta
from dpsynth.privacy.events import Event, RepeatedEvent, StoppingLaw

__all__ = ["StoppingLaw", "log_inverse_success", "repeated_divergences", "tuning_epsilon"]

# Sums of a few positive terms, each good to an ulp.
_UP = 1.0 + 2.0**-48
# The mean of the law that is drawn from is the stated one to a few ulps.
_MEAN_ERROR = 2.0**-45


def tuning_epsilon(
    run: Sequence[Event],
    delta: float,
    *,
    mean_runs: float,
    law: StoppingLaw,
    relation: Neighbouring = Neighbouring.ADD_REMOVE,
) -> float:
    """Return the epsilon at `delta` of releasing the best of a random number of runs.

    Args:
        run: the events of one run; every run has the same, whatever its settings.
        delta: in (0, 1).
        mean_runs: expected number of runs, above 1.
        law: of the number of runs.
        relation: the neighbour relation.

    Raises:
        InvalidValueError: a value outside its range.
        UnsupportedEventError: no Renyi bound is known for a run.

    Reference: Papernot & Steinke 2022, Theorem 2 (negative binomial) and Theorem 6 (Poisson).
    """
    event = RepeatedEvent(run=tuple(run), mean_runs=mean_runs, stopping=law)
    # the epsilon of this budget only chooses the grid of orders
    budget = Budget(epsilon=1.0, delta=delta, relation=relation)
    return make_accountant("rdp", budget).epsilon([event])


def repeated_divergences(
    event: RepeatedEvent, orders: Sequence[float], divergences: Sequence[float]
) -> list[float]:
    """Return, at each order, an upper bound on the Renyi divergence of the best of the runs.

    It is a bound at each order, so that it composes with other mechanisms as any does.

    Args:
        event: the number of runs and its law.
        orders: above 1.
        divergences: upper bounds for one run, at each of `orders`.

    Reference: Papernot & Steinke 2022, Theorem 2 (negative binomial) and Theorem 6 (Poisson).
    """
    mean_runs = event.mean_runs
    if event.stopping is StoppingLaw.POISSON:
        extra = [mean_runs * _delta_at(order, orders, divergences) for order in orders]
    else:
        extra = [_selection_term(event, orders, divergences)] * len(orders)
    log_mean = log(mean_runs) + _MEAN_ERROR
    return [
        (one + more + log_mean / (order - 1.0)) * _UP
        for order, one, more in zip(orders, divergences, extra, strict=True)
    ]


def _delta_at(order: float, orders: Sequence[float], divergences: Sequence[float]) -> float:
    """Return the delta of one run at epsilon log(1 + 1/(order - 1)), where Theorem 6 wants it."""
    epsilon = log1p(1.0 / (order - 1.0))
    return min(
        renyi_delta(other, divergence, epsilon)
        for other, divergence in zip(orders, divergences, strict=True)
    )


def _selection_term(
    event: RepeatedEvent, orders: Sequence[float], divergences: Sequence[float]
) -> float:
    """Return what Theorem 2 adds at every order, at the best auxiliary order."""
    shape = 1.0 if event.stopping is StoppingLaw.GEOMETRIC else 0.0
    log_inverse = log_inverse_success(event.stopping, event.mean_runs)
    return (1.0 + shape) * min(
        (1.0 - 1.0 / order) * divergence + log_inverse / order
        for order, divergence in zip(orders, divergences, strict=True)
    )


def log_inverse_success(law: StoppingLaw, mean_runs: float) -> float:
    """Return log(1 / gamma) for which the law has that mean: 1/gamma when it is geometric,
    (1/gamma - 1) / log(1/gamma) when logarithmic."""
    if law is StoppingLaw.GEOMETRIC:
        return log(mean_runs)
    low, high = 1.0, 2.0 * mean_runs * (1.0 + log(mean_runs)) + 2.0
    while True:
        middle = low + (high - low) / 2.0
        if middle in (low, high):
            return log(high)
        if (middle - 1.0) / log(middle) < mean_runs:
            low = middle
        else:
            high = middle
