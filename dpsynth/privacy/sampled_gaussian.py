"""Privacy loss distributions of the Gaussian mechanism, Poisson-sampled or not, on whole arrays.

dp-accounting builds the same distributions one grid point at a time; here the divergences of all
points are computed at once, and so is their rounding by connected dots.
"""

# pyright: reportMissingTypeStubs=false

from math import ceil, exp, expm1, floor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.budget import Neighbouring

Floats: TypeAlias = NDArray[np.float64]

# Standard deviations beyond which exp(-50) of a Gaussian lies; the mass there counts as lost.
TAIL = 9.83


def gaussian(noise_multiplier: float, *, interval: float) -> Any:
    """Return the pessimistic distribution of the mechanism, as dp-accounting's object.

    Args:
        noise_multiplier: standard deviation s of the noise over the sensitivity. The pair is
            N(1, s^2) against N(0, s^2), which the other way round has the same losses.
        interval: of the grid of privacy losses.

    Reference: Balle & Wang 2018, Theorem 8 (its divergence); Doroshenko et al. 2022, Algorithm 1.
    """
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution
    from scipy.special import log_ndtr, ndtr

    s = noise_multiplier
    grid = _grid((np.array([-s * TAIL, 1.0 + s * TAIL]) - 0.5) / s**2, interval)
    e = _points(grid, interval)
    x = 0.5 + s**2 * e  # where the loss is e
    deltas = ndtr((1.0 - x) / s) - np.exp(e + log_ndtr(-x / s))
    return PrivacyLossDistribution(_connect(grid, deltas, interval))


def sampled_gaussian(
    noise_multiplier: float, sample_rate: float, relation: Neighbouring, *, interval: float
) -> Any:
    """Return the pessimistic distribution of one step, as dp-accounting's object.

    Args:
        noise_multiplier: standard deviation s of the noise over the clipping norm.
        sample_rate: probability q in (0, 1) with which a unit joins the batch.
        relation: of the neighbours. Under ADD_REMOVE the pairs are (1 - q) N(0, s^2) + q N(1, s^2)
            against N(0, s^2), both ways; under REPLACE that mixture against its mirror image.
        interval: of the grid of privacy losses.

    Reference: Zhu, Dong & Wang 2022, Theorem 11 (ADD_REMOVE); Schuchardt, Stoian, Kosmala &
        Guennemann 2024 (REPLACE); Doroshenko et al. 2022, Algorithm 1 (rounding).
    """
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

    s, q = noise_multiplier, sample_rate
    edges = np.array([-s * TAIL, 1.0 + s * TAIL])
    if relation is Neighbouring.REPLACE:
        losses = _log_ratio(edges, s, q) - _log_ratio(-edges, s, q)
        grid = _grid(losses, interval)
        return PrivacyLossDistribution(
            _connect(grid, _replaced(_points(grid, interval), s, q), interval)
        )
    grid = _grid(_log_ratio(edges, s, q), interval)
    removed = _connect(grid, _removed(_points(grid, interval), s, q), interval)
    grid = _grid(-_log_ratio(np.array([s * TAIL, -s * TAIL]), s, q), interval)
    added = _connect(grid, _added(_points(grid, interval), s, q), interval)
    return PrivacyLossDistribution(removed, added)


def _log_ratio(x: Floats, s: float, q: float) -> Floats:
    """Return the log density ratio of the mixture to N(0, s^2)."""
    return np.logaddexp(np.log1p(-q), np.log(q) + (x - 0.5) / s**2)


def _grid(losses: Floats, interval: float) -> NDArray[np.int64]:
    low, high = floor(losses[0] / interval), ceil(losses[1] / interval)
    return np.arange(low, high + 1, dtype=np.int64)


def _points(grid: NDArray[np.int64], interval: float) -> Floats:
    return grid.astype(np.float64) * np.float64(interval)


def _connect(grid: NDArray[np.int64], deltas: Floats, interval: float) -> Any:
    """Return the distribution on a grid whose divergences are `deltas` there: connected dots.

    Where divergences fall by f from a point to the next, with e = exp(interval), the next has a
    mass of f e / (e - 1), and the point loses f / (e - 1).
    """
    from dp_accounting.pld.pld_pmf import DensePLDPmf

    # Rounding may leave a divergence below the next: raised to it, which charges more.
    deltas = np.maximum.accumulate(np.clip(deltas, 0.0, 1.0)[::-1])[::-1]
    falls = -np.diff(deltas)
    masses = np.append(0.0, falls) * exp(interval) - np.append(falls, 0.0)
    masses /= expm1(interval)
    masses[0] += 1.0 - deltas[0]
    return DensePLDPmf(interval, int(grid[0]), np.maximum(masses, 0.0), float(deltas[-1]), True)


def _removed(epsilon: Floats, s: float, q: float) -> Floats:
    """Return the divergence of the mixture from N(0, s^2), where losses grow with x."""
    from scipy.special import log_ndtr, ndtr

    # Where even the least loss, log(1 - q), exceeds epsilon, which is below 0 there.
    deltas = -np.expm1(np.minimum(epsilon, 0.0))
    reached = epsilon > np.log1p(-q)
    e = epsilon[reached]
    x = 0.5 + s**2 * _log_shifted(e, q)
    mixture = (1.0 - q) * ndtr(-x / s) + q * ndtr((1.0 - x) / s)
    deltas[reached] = mixture - np.exp(e + log_ndtr(-x / s))
    return deltas


def _added(epsilon: Floats, s: float, q: float) -> Floats:
    """Return the divergence of N(0, s^2) from the mixture, where losses fall with x."""
    from scipy.special import log_ndtr, ndtr

    deltas = np.zeros_like(epsilon)  # where even the largest loss, -log(1 - q), is no more
    reached = epsilon < -np.log1p(-q)
    e = epsilon[reached]
    x = 0.5 + s**2 * _log_shifted(-e, q)
    outside = np.log1p(-q) + log_ndtr(x / s)
    inside = np.log(q) + log_ndtr((x - 1.0) / s)
    deltas[reached] = ndtr(x / s) - np.exp(e + np.logaddexp(outside, inside))
    return deltas


def _replaced(epsilon: Floats, s: float, q: float) -> Floats:
    """Return the divergence of the mixture from its mirror image, where losses grow with x."""
    from scipy.special import log_ndtr, ndtr

    # the loss is epsilon at x = s^2 (epsilon / 2 + asinh(A sinh(epsilon / 2)))
    log_a = 0.5 / s**2 + np.log1p(-q) - np.log(q)
    half = np.abs(epsilon) / 2.0
    with np.errstate(divide="ignore"):  # at epsilon 0: log 0, and asinh 0
        log_z = log_a + half + np.log(-np.expm1(-2.0 * half) / 2.0)
    small = np.arcsinh(np.exp(np.minimum(log_z, 300.0)))
    root = np.asarray(np.where(log_z > 300.0, log_z + np.log(2.0), small), dtype=np.float64)
    x: Floats = s**2 * (epsilon / 2.0 + np.sign(epsilon) * root)
    mixture = (1.0 - q) * ndtr(-x / s) + q * ndtr((1.0 - x) / s)
    outside = np.log1p(-q) + log_ndtr(-x / s)
    inside = np.log(q) + log_ndtr((-1.0 - x) / s)
    return mixture - np.exp(epsilon + np.logaddexp(outside, inside))


def _log_shifted(e: Floats, q: float) -> Floats:
    """Return log((exp(e) - (1 - q)) / q), for e above log(1 - q)."""
    large = e > 1.0
    shifted = np.log1p(np.expm1(np.where(large, 0.0, e)) / q)
    shifted[large] = e[large] + np.log1p(-(1.0 - q) * np.exp(-e[large])) - np.log(q)
    return shifted
