"""Exact binomial bounds, vectorised: the only statistics that a verdict on privacy rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dpsynth.errors import InvalidValueError


@final
@dataclass(frozen=True, kw_only=True)
class Interval:
    """An interval of a proportion that covers the truth with a stated confidence."""

    lower: float
    upper: float


def _check(successes: ArrayLike, trials: ArrayLike, alpha: float) -> None:
    if not 0 < alpha < 1:
        raise InvalidValueError("alpha", alpha, "between 0 and 1")
    hits, n = np.asarray(successes), np.asarray(trials)
    if not bool(np.all((n >= 1) & (hits >= 0) & (hits <= n))):
        raise InvalidValueError("successes", successes, f"from 0 to the {trials!r} trials")


def binomial_upper(successes: ArrayLike, trials: ArrayLike, *, alpha: float) -> NDArray[np.float64]:
    """Return upper bounds on proportions, each exceeded by the truth with probability <= alpha.

    Args:
        successes: counts, any shape.
        trials: independent trials, broadcast against `successes`.
        alpha: one-sided error probability.

    Raises:
        InvalidValueError: alpha outside (0, 1), or a count outside [0, trials].

    Reference: Clopper & Pearson 1934.
    """
    from scipy.special import betaincinv

    _check(successes, trials, alpha)
    hits, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    failures = n - hits
    bound = betaincinv(hits + 1.0, np.maximum(failures, 1.0), 1.0 - alpha)
    return np.where(failures == 0, 1.0, bound)


def binomial_lower(successes: ArrayLike, trials: ArrayLike, *, alpha: float) -> NDArray[np.float64]:
    """Return lower bounds on proportions; arguments as `binomial_upper`."""
    hits, n = np.asarray(successes), np.asarray(trials)
    return 1.0 - binomial_upper(n - hits, n, alpha=alpha)


def clopper_pearson(successes: int, trials: int, *, alpha: float = 0.05) -> Interval:
    """Return the exact two-sided interval of a proportion.

    Args:
        successes: how many of the trials succeeded.
        trials: independent trials, at least 1.
        alpha: probability with which the interval may miss the truth, half of it a side.

    Raises:
        InvalidValueError: alpha outside (0, 1), or successes outside [0, trials].

    Reference: Clopper & Pearson 1934.
    """
    return Interval(
        lower=float(binomial_lower(successes, trials, alpha=alpha / 2)),
        upper=float(binomial_upper(successes, trials, alpha=alpha / 2)),
    )


def holm(p_values: Sequence[float], *, alpha: float) -> list[bool]:
    """Return which hypotheses are rejected, with any false rejection at most `alpha` likely.

    Reference: S. Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = [False] * len(p_values)
    for rank, i in enumerate(order):
        if p_values[i] > alpha / (len(order) - rank):
            break
        rejected[i] = True
    return rejected
