"""What a release adds to an attack's success, with an interval from two counts."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpsynth.audit.statistics import binomial_lower, binomial_upper


@final
@dataclass(frozen=True, kw_only=True)
class Excess:
    """(attack - control) / (1 - control), at least -1, and the ends of its interval."""

    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def excess(
    successes: ArrayLike,
    trials: ArrayLike,
    control_successes: ArrayLike,
    control_trials: ArrayLike,
    *,
    alpha: float,
) -> Excess:
    """Return what the release adds, for counts of any shapes that broadcast.

    It is 1 - u / c, with u and c the shares of failures on used and on control records. The ends of
    a ratio follow from those of its parts, here Clopper & Pearson's, as distances of independent
    estimates add up: in squares. Where both numbers of trials are about equal, either end misses
    with probability alpha / 2 at most, as a test finds by enumeration; at 7 times as many trials on
    one side as on the other one end misses with up to 0.03 at alpha 0.05. The lower end is above 0
    by chance with alpha / 2 at most in either case.

    Args:
        successes, trials: of the attack, on records that were used; one trial or more.
        control_successes, control_trials: of the same attack on records never used.
        alpha: chance that the interval misses.

    Reference: M. Giomi, F. Boenisch, C. Wehmeyer and B. Tasnadi, A Unified Framework for
    Quantifying Privacy Risk in Synthetic Data (2023), equation 2; A. Donner and G. Y. Zou,
    Closed-form Confidence Intervals for Functions of the Normal Mean and Standard Deviation (2012),
    section 2 (ratios).
    """
    used, least_used, most_used = _failures(successes, trials, alpha)
    other, least_other, most_other = _failures(control_successes, control_trials, alpha)
    # The ends r solve (used - r other)² = (used's arm)² + r² (other's arm)².
    product = used * other
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(other > 0, used / other, np.where(used > 0, np.inf, 1.0))
        inner = least_used * (2 * used - least_used)
        root = np.sqrt(np.maximum(product**2 - inner * most_other * (2 * other - most_other), 0.0))
        least = np.where(inner > 0, inner / (product + root), 0.0)
        outer = least_other * (2 * other - least_other)
        root = np.sqrt(product**2 - outer * most_used * (2 * used - most_used))
        most = np.where(outer > 0, (product + root) / outer, np.inf)
    return Excess(
        value=np.maximum(1 - value, -1.0),
        lower=np.maximum(1 - most, -1.0),
        upper=np.maximum(1 - least, -1.0),
    )


def _failures(
    successes: ArrayLike, trials: ArrayLike, alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of failures and both ends of its interval."""
    failed, n = np.asarray(trials) - np.asarray(successes), np.asarray(trials)
    low = binomial_lower(failed, n, alpha=alpha / 2)
    return failed / n, low, binomial_upper(failed, n, alpha=alpha / 2)
