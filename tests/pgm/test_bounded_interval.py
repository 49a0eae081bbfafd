"""Intervals for means that cannot be negative: the stated coverage at every mean, integrated."""

import numpy as np
import pytest
from scipy.stats import norm

from dpsynth.errors import InvalidValueError
from dpsynth.pgm.bounded_interval import bounded_interval

GRID = np.linspace(-6.0, 6.0, 120_001)


def coverage(mean: float, lower: np.ndarray, upper: np.ndarray) -> float:
    """Probability that limits at `mean + GRID` contain the mean."""
    inside = (lower <= mean + 1e-9) & (mean <= upper + 1e-9)
    return float(norm.pdf(GRID[inside]).sum() * (GRID[1] - GRID[0]))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("mean", [0.0, 0.1, 0.5, 1.0, 2.0, 3.3, 5.0, 7.0, 12.0])
def test_covers_every_mean_at_the_level(mean: float, level: float) -> None:
    lower, upper = bounded_interval(mean + GRID, 1.0, level=level)
    assert coverage(mean, lower, upper) == pytest.approx(level, abs=0.004 if mean else 0.01)


def test_intervals_cut_at_zero_cover_it_too_often() -> None:
    """What the other tests tell apart from the exact law."""
    cut = np.maximum(GRID - 1.96, 0.0), np.maximum(GRID + 1.96, 0.0)
    assert coverage(0.0, *cut) > 0.97


def test_published_limits() -> None:
    """Feldman & Cousins 1998, Table X, at 95%."""
    lower, upper = bounded_interval(np.array([-3.0, -1.0, 0.0, 1.0, 2.0, 3.0]), 1.0, level=0.95)
    np.testing.assert_allclose(upper, [0.42, 1.10, 1.96, 2.96, 3.96, 4.96], atol=0.005)
    np.testing.assert_allclose(lower, [0.0, 0.0, 0.0, 0.0, 0.35, 1.14], atol=0.005)


def test_scales_with_the_standard_error() -> None:
    lower, upper = bounded_interval(np.array([30.0, 4.0]), np.array([10.0, 0.0]), level=0.95)
    one = bounded_interval(np.array([3.0]), 1.0, level=0.95)
    np.testing.assert_allclose([lower[0], upper[0]], [10 * one[0][0], 10 * one[1][0]])
    assert (lower[1], upper[1]) == (4.0, 4.0)


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_levels_are_probabilities(level: float) -> None:
    with pytest.raises(InvalidValueError, match="level"):
        bounded_interval(np.zeros(1), 1.0, level=level)
