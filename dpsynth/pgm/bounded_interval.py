"""Intervals for a mean that cannot be negative, from an estimate with Gaussian error."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError

Array = NDArray[np.float64]

# Means in standard errors at which the table is made; above, the bound at 0 no longer matters.
_HIGHEST = 8.0
_POINTS = 1601
_BISECTIONS = 60
_NEARLY_ZERO = 1e-4


def bounded_interval(
    estimates: Array, standard_errors: Array | float, *, level: float
) -> tuple[Array, Array]:
    """Return intervals that contain a non-negative mean with probability `level`, whatever it is.

    Far from 0 they are the estimate plus and minus a quantile. An estimate near 0 gives the
    interval from 0 to an upper limit, and a negative one neither an empty nor a one-point interval.
    For a mean of exactly 0 the probability is `level` too, not more as with intervals cut at 0.

    Args:
        estimates: unbiased with Gaussian errors, so some may be negative.
        standard_errors: of the estimates; 0 gives the interval of one point.
        level: probability that the interval contains the mean, between 0 and 1.

    Raises:
        InvalidValueError: a level that is not strictly between 0 and 1.

    Reference: Feldman & Cousins 1998, section IV.B (Gaussian with a boundary at the origin).
    """
    if not 0 < level < 1:
        raise InvalidValueError("level", level, "above 0 and below 1")
    means, lowest, highest, quantile = _acceptance(level)
    errors = np.broadcast_to(np.asarray(standard_errors, dtype=np.float64), np.shape(estimates))
    units = np.asarray(estimates, dtype=np.float64) / np.where(errors > 0, errors, 1.0)
    lower = np.interp(units, highest, means)
    upper = np.interp(units, lowest, means)
    far = units > _HIGHEST - quantile
    lower = np.where(far, units - quantile, lower)
    upper = np.where(far, units + quantile, upper)
    exact = errors == 0
    return np.where(exact, estimates, lower * errors), np.where(exact, estimates, upper * errors)


@cache
def _acceptance(level: float) -> tuple[Array, Array, Array, float]:
    """Return means, and the least and the greatest estimate that each of them accepts.

    A mean accepts the estimates of greatest likelihood relative to that of the best mean allowed.
    """
    from scipy.special import ndtr, ndtri

    means = np.linspace(0.0, _HIGHEST, _POINTS)
    quantile = float(ndtri(0.5 + 0.5 * level))
    # How far above a mean an estimate may lie, by bisection: never further than without a boundary.
    low, high = np.zeros(_POINTS), np.full(_POINTS, quantile)
    for _ in range(_BISECTIONS):
        reach = 0.5 * (low + high)
        enough = ndtr(reach) - ndtr(_opposite(means, reach) - means) > level
        low, high = np.where(enough, low, reach), np.where(enough, reach, high)
    return means, _opposite(means, high), means + high, quantile


def _opposite(means: Array, reach: Array) -> Array:
    """Return the estimates below `means` with the likelihood ratio that `means + reach` have."""
    below = means - reach
    # A mean of 0 accepts every negative estimate: the table begins with a finite stand-in.
    cut = (means**2 - reach**2) / (2 * np.maximum(means, _NEARLY_ZERO))
    return np.where(below >= 0, below, cut)
