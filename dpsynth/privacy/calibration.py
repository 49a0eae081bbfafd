"""From a guarantee to the noise that keeps it, and back.

The closed curves of zCDP and Gaussian DP are in `curves`, and named here too; DP-SGD goes through
the plan accountants.
"""

from collections.abc import Sequence
from math import isfinite

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.accountant import make_accountant
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
    "zcdp_epsilon",
    "zcdp_rho",
]

# Noise multipliers are found to this relative precision; a finer one buys nothing visible.
_PRECISION = 1e-5
_LARGEST_MULTIPLIER = 1e9


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

    Raises:
        InvalidValueError: `also` alone exceeds the budget.
    """
    budget = Budget(epsilon=epsilon, delta=delta, relation=relation)
    priced = make_accountant(accountant, budget)

    def fits(multiplier: float) -> bool:
        event = DpSgdEvent(noise_multiplier=multiplier, sample_rate=sample_rate, steps=steps)
        return priced.epsilon([*also, event]) <= priced.capacity

    high = 1.0
    while not fits(high):
        high *= 2.0
        if high > _LARGEST_MULTIPLIER:
            raise InvalidValueError("epsilon", epsilon, "large enough for the rest of the plan")
    low = high / 2.0
    while high > 1e-2 and fits(low):
        low, high = low / 2.0, low
    while high - low > _PRECISION * high:
        middle = (low + high) / 2.0
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
