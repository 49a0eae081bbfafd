"""What counts probably were before noise: the posterior mean under a prior of few large cells."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.float64]

_SHAPES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0)
"""Shapes of the prior that are weighed against one another: from a few huge cells to equal ones."""
# Where tables of the integral end and its limits at either side take over.
_LOWEST, _HIGHEST, _STEP = -40.0, 12.0, 0.05
_BISECTIONS = 40
# Shapes of less weight are left out of the means.
_NEGLIGIBLE = 1e-4


def posterior_counts(values: Array, *, sigma: float, total: float) -> Array:
    """Return the expected counts of a marginal given its noisy values, summing to `total`.

    A priori the counts are independent draws of one gamma distribution with mean total / cells. Its
    shape is unknown: posterior means under several shapes are averaged by how likely each makes
    the values. Small shapes say that a few cells hold nearly everything, and then values that noise
    explains count as almost nothing, while large ones are left alone; a linear shrinkage would pull
    both alike. That the sum is known acts as one common shift of the values.

    Args:
        values: noisy counts, of any shape, at least one.
        sigma: standard deviation of their Gaussian noise.
        total: number of records, above 0.

    Reference: Robbins 1956 (empirical Bayes); with a gamma prior and Gaussian noise the marginal
        likelihood is a parabolic cylinder function (DLMF 12.5.1).
    """
    noisy, whole = values.ravel() / sigma, total / sigma
    if noisy.size == 1:
        return np.full(values.shape, total)
    shapes = np.array(_SHAPES)[:, None]
    # The prior's factor exp(-rate c) is a shift of the value: what is left of it is c^(shape - 1).
    rates = shapes * noisy.size / whole
    integrals = np.array([_log_integral(noisy - r, a) for r, a in zip(rates, _SHAPES, strict=True)])
    likely = shapes * np.log(rates) - gammaln(shapes) + integrals - 0.5 * noisy**2
    evidence = likely.sum(axis=1)
    weights = np.exp(evidence - np.logaddexp.reduce(evidence))

    def counts(shift: float) -> Array:
        found = np.zeros_like(noisy)
        for shape, rate, weight in zip(_SHAPES, rates, weights, strict=True):
            if weight > _NEGLIGIBLE:
                found += weight * _mean(noisy - rate + shift, shape)
        return np.maximum(found, 0.0)

    found = counts(_shift(counts, whole, reach=float(np.abs(noisy).max() + rates.max())))
    return (found * (total / found.sum())).reshape(values.shape)


def _shift(counts: Callable[[float], Array], total: float, *, reach: float) -> float:
    """Return the shift of all values at which the counts sum to the total."""
    low, high = -2 * (reach + total + 10.0), 2 * (reach + total + 10.0)
    for _ in range(_BISECTIONS):
        shift = 0.5 * (low + high)
        low, high = (low, shift) if counts(shift).sum() > total else (shift, high)
    return low


def _log_integral(x: Array, shape: float) -> Array:
    """Return log of the integral over c > 0 of c^(shape - 1) exp(x c - c^2 / 2)."""
    grid, logs, _ = _tables(shape)
    inside = np.interp(x, grid, logs)
    # Laplace's approximation above; below, the leading terms of the integral over exp(x c).
    mode, curvature = _mode(x, shape)
    above = x * mode - 0.5 * mode**2 + (shape - 1) * np.log(mode)
    above += 0.5 * np.log(2 * np.pi / curvature)
    away = np.maximum(-x, 1.0)
    below = gammaln(shape) - shape * np.log(away) - shape * (shape + 1) / (2 * away**2)
    return np.where(x > _HIGHEST, above, np.where(x < _LOWEST, below, inside))


def _mean(x: Array, shape: float) -> Array:
    """Return the mean of c under that integrand."""
    grid, _, means = _tables(shape)
    inside = np.interp(x, grid, means)
    mode, curvature = _mode(x, shape)
    above = mode + (shape - 1) / (mode**3 * curvature**2)
    away = np.maximum(-x, 1.0)
    below = shape / away * (1.0 - (shape + 1) / away**2)
    return np.where(x > _HIGHEST, above, np.where(x < _LOWEST, below, inside))


def _mode(x: Array, shape: float) -> tuple[Array, Array]:
    """Return the largest point of the log-integrand and its curvature there, for large x."""
    large = np.maximum(x, _HIGHEST)
    mode = 0.5 * (large + np.sqrt(large**2 + 4 * (shape - 1)))
    return mode, 1 + (shape - 1) / mode**2


@cache
def _tables(shape: float) -> tuple[Array, Array, Array]:
    """Return a grid of x, the log-integral there, and the mean, by the trapezoid rule in log c."""
    grid = np.arange(_LOWEST, _HIGHEST + _STEP / 2, _STEP)
    log_c = np.linspace(-30.0, np.log(60.0), 1200)
    step, c = log_c[1] - log_c[0], np.exp(log_c)
    # Below the first point the integrand is c^(shape - 1): its integral is known.
    start = shape * log_c[0] - np.log(shape)
    exponents = shape * log_c + grid[:, None] * c - 0.5 * c**2 + np.log(step)
    logs = np.logaddexp(np.logaddexp.reduce(exponents, axis=1), start)
    means = np.exp(np.logaddexp.reduce(exponents + log_c, axis=1) - logs)
    return grid, logs, means
