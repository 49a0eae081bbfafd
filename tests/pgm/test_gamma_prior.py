"""Posterior means against plain integration, and against the fit that knows no prior."""

from itertools import product

import numpy as np
import pytest
from scipy.special import gammaln

from dpsynth.data.domain import Domain
from dpsynth.pgm.estimation import estimate
from dpsynth.pgm.gamma_prior import _SHAPES, _log_integral, _mean, posterior_counts
from dpsynth.pgm.measurement import NoisyMarginal


def integrated(x: float, shape: float) -> tuple[float, float]:
    """Return the log-integral and the mean by brute force in log c."""
    logs = np.linspace(-60 / min(shape, 1.0), 6.0, 400_001)
    weights = shape * logs + x * np.exp(logs) - 0.5 * np.exp(2 * logs)
    top = weights.max()
    masses = np.exp(weights - top)
    integral = top + np.log(masses.sum() * (logs[1] - logs[0]))
    return float(integral), float(masses @ np.exp(logs) / masses.sum())


@pytest.mark.parametrize("shape", [0.02, 0.5, 1.0, 20.0, 100.0])
@pytest.mark.parametrize("x", [-60.0, -20.0, -3.0, 0.0, 3.0, 11.9, 13.0, 30.0, 200.0])
def test_the_tables_are_integrals(shape: float, x: float) -> None:
    integral, mean = integrated(x, shape) if x < 100 else (np.nan, np.nan)
    point = np.array([x])
    if x < 100:
        assert _log_integral(point, shape)[0] == pytest.approx(integral, abs=0.05)
        assert _mean(point, shape)[0] == pytest.approx(mean, rel=2e-3)
    else:  # far out the value is believed, less the prior's pull on it
        assert _mean(point, shape)[0] == pytest.approx(x + (shape - 1) / x, rel=1e-3)


def test_the_likelihood_of_a_value_is_a_density() -> None:
    """Over all values it integrates to 1, for any shape of the prior."""
    values = np.arange(-9.0, 600.0, 0.02)
    for shape in (0.1, 1.0, 5.0):
        rate = shape / 3.0
        logs = shape * np.log(rate) - gammaln(shape) + _log_integral(values - rate, shape)
        density = np.exp(logs - 0.5 * values**2) / np.sqrt(2 * np.pi)
        assert density.sum() * 0.02 == pytest.approx(1.0, abs=2e-3)


def test_means_are_those_of_all_shapes() -> None:
    """By brute force: each shape has posterior means of its own, weighed by evidence, and one shift
    of all values makes the counts sum to the total."""
    noisy, total = np.array([9.0, 2.0, 4.0, 0.3]), 14.0
    evidence: list[float] = []
    for shape in _SHAPES:
        rate = shape * 4 / total
        constant = shape * np.log(rate) - gammaln(shape)
        integrals = sum(integrated(y - rate, shape)[0] for y in noisy)
        evidence.append(float(4 * constant + integrals - 0.5 * (noisy**2).sum()))
    weights = np.exp(np.array(evidence) - max(evidence))
    weights /= weights.sum()

    def counts(shift: float) -> np.ndarray:
        means = [
            [integrated(y - shape * 4 / total + shift, shape)[1] for y in noisy]
            for shape in _SHAPES
        ]
        return weights @ np.array(means)

    shifts = np.linspace(-2.0, 2.0, 9)
    table = np.array([counts(shift) for shift in shifts])
    sums = table.sum(axis=1)
    expected = [np.interp(total, sums, column) for column in table.T]
    found = posterior_counts(3.0 * noisy, sigma=3.0, total=3.0 * total)
    assert found / 3.0 == pytest.approx(expected, abs=0.05)


def test_counts_add_up_and_none_is_negative() -> None:
    rng = np.random.default_rng(0)
    for cells, sigma in product((1, 2, 7, 500), (0.1, 30.0, 1e5)):
        values = rng.normal(0.0, sigma, cells)
        found = posterior_counts(values, sigma=sigma, total=700.0)
        assert found.sum() == pytest.approx(700.0)
        assert (found >= 0).all()


def test_what_stands_out_is_left_and_noise_is_not_believed() -> None:
    values = np.array([5000.0, 40.0, -35.0, 25.0, -10.0, 15.0, -40.0, 5.0])
    found = posterior_counts(values, sigma=25.0, total=5000.0)
    assert found[0] == pytest.approx(5000.0, rel=0.02)
    assert found[1:].max() < 20.0
    # Without noise to speak of it is what was measured.
    exact = np.array([[10.0, 0.0], [30.0, 60.0]])
    assert posterior_counts(exact, sigma=1e-3, total=100.0) == pytest.approx(exact, abs=0.01)


@pytest.mark.statistical
def test_sparse_counts_are_closer_than_those_of_a_fit_without_a_prior() -> None:
    """Squared errors of 40 tables of 50 cells, seed 5. For sparse counts 31 of 40 wins are needed
    (alpha .0004 if neither were better) and a mean lower by a tenth; controls: equal counts, where
    the prior must win too, and counts without noise, where it can win nothing."""
    rng = np.random.default_rng(5)
    errors = {"sparse": np.zeros((40, 2)), "equal": np.zeros((40, 2)), "exact": np.zeros((40, 2))}
    for kind, found in errors.items():
        for i in range(40):
            shares = rng.dirichlet(np.full(50, 50.0 if kind == "equal" else 0.1))
            counts, sigma = 1000.0 * shares, 1e-3 if kind == "exact" else 25.0
            noisy = counts + rng.normal(0.0, sigma, 50)
            fit = estimate(
                Domain(sizes={"a": 50}),
                [NoisyMarginal(clique=("a",), values=noisy, sigma=sigma)],
                total=1000.0,
            )
            guesses = posterior_counts(noisy, sigma=sigma, total=1000.0), fit.marginal(("a",))
            found[i] = [((guess - counts) ** 2).sum() for guess in guesses]
    sparse, equal, exact = (found.mean(axis=0) for found in errors.values())
    assert (errors["sparse"][:, 0] < errors["sparse"][:, 1]).sum() >= 31
    assert sparse[0] < 0.9 * sparse[1]
    assert equal[0] < equal[1]
    assert exact[0] == pytest.approx(exact[1], abs=0.1)
