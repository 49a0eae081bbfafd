"""The price of tuning: the best of a random number of private runs.

Trying settings on the same records is not free. When the number of tries is drawn from a suitable
law and only the best run is released, the whole costs little more than one run.
"""

from collections.abc import Sequence
from enum import StrEnum
from math import isfinite, log, log1p

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.curves import renyi_delta, renyi_epsilon
from dpsynth.privacy.events import Event
from dpsynth.privacy.renyi import RdpAccountant

# Sums of a few positive terms, each good to an ulp.
_UP = 1.0 + 2.0**-48


class StoppingLaw(StrEnum):
    """The law of the number of runs, drawn before the first run and kept secret.

    GEOMETRIC and LOGARITHMIC have at least one run; POISSON may have none.
    """

    GEOMETRIC = "geometric"
    LOGARITHMIC = "logarithmic"
    POISSON = "poisson"


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
    if not (isfinite(mean_runs) and mean_runs > 1.0):
        raise InvalidValueError("mean_runs", mean_runs, "a finite number above 1")
    if not run:
        raise InvalidValueError("run", tuple(run), "at least one event")
    # the epsilon of this budget only chooses the grid of orders
    accountant = RdpAccountant(Budget(epsilon=1.0, delta=delta, relation=relation))
    orders, divergences = accountant.divergences(run)
    if law is StoppingLaw.POISSON:
        extra = [mean_runs * _delta_at(order, orders, divergences) for order in orders]
    else:
        extra = [_selection_term(law, mean_runs, orders, divergences)] * len(orders)
    return min(
        renyi_epsilon(order, (one + more + log(mean_runs) / (order - 1.0)) * _UP, accountant.delta)
        for order, one, more in zip(orders, divergences, extra, strict=True)
    )


def _delta_at(order: float, orders: Sequence[float], divergences: Sequence[float]) -> float:
    """Return the delta of one run at epsilon log(1 + 1/(order - 1)), where Theorem 6 wants it."""
    epsilon = log1p(1.0 / (order - 1.0))
    return min(
        renyi_delta(other, divergence, epsilon)
        for other, divergence in zip(orders, divergences, strict=True)
    )


def _selection_term(
    law: StoppingLaw, mean_runs: float, orders: Sequence[float], divergences: Sequence[float]
) -> float:
    """Return what Theorem 2 adds at every order, at the best auxiliary order."""
    shape = 1.0 if law is StoppingLaw.GEOMETRIC else 0.0
    log_inverse = _log_inverse_success(law, mean_runs)
    return (1.0 + shape) * min(
        (1.0 - 1.0 / order) * divergence + log_inverse / order
        for order, divergence in zip(orders, divergences, strict=True)
    )


def _log_inverse_success(law: StoppingLaw, mean_runs: float) -> float:
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
