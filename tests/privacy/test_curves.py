"""The exchange rates: against 40 digits, against brute force, and always on the safe side."""

from math import exp, inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.curves import (
    gdp_delta,
    gdp_epsilon,
    gdp_mu,
    gdp_mu_of_pure,
    gdp_mu_of_range,
    pure_of_gdp_mu,
    range_of_gdp_mu,
    renyi_delta,
    renyi_epsilon,
    zcdp_epsilon,
    zcdp_rho,
)

EPSILONS = (0.001, 0.1, 1.0, 10.0, 100.0)
DELTAS = (1e-12, 1e-9, 1e-5, 0.1)
epsilons = st.floats(min_value=1e-4, max_value=200.0)
deltas = st.floats(min_value=1e-15, max_value=0.5)
mp.dps = 40


def exact_gdp_delta(mu: float, epsilon: float) -> Any:
    m, e = mpf(mu), mpf(epsilon)
    return mp.ncdf(m / 2 - e / m) - mp.exp(e) * mp.ncdf(-m / 2 - e / m)


def exact_zcdp_epsilon(rho: float, delta: float) -> Any:
    """Proposition 12 of Canonne, Kamath & Steinke, minimised over alpha = 1 + exp(t)."""

    def bound(t: Any) -> Any:
        a = mp.exp(t)
        rest = -mp.log(mpf(delta)) + (1 + a) * mp.log(a / (1 + a)) - t
        return (1 + a) * mpf(rho) + rest / a

    start = mp.log(mp.sqrt(-mp.log(mpf(delta)) / rho))
    low, high = start - 3, start + 3
    golden = (mp.sqrt(5) - 1) / 2
    for _ in range(90):
        left, right = high - golden * (high - low), low + golden * (high - low)
        if bound(left) < bound(right):
            high = right
        else:
            low = left
    return bound((low + high) / 2)


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("delta", DELTAS)
def test_gdp_is_exact_and_never_below_the_truth(epsilon: float, delta: float) -> None:
    mu = gdp_mu(epsilon, delta)
    truth = exact_gdp_delta(mu, epsilon)
    assert truth <= mpf(delta)
    assert truth >= mpf(delta) * (1 - mpf(1e-9))
    assert mpf(gdp_delta(mu, epsilon)) >= truth
    assert exact_gdp_delta(mu, gdp_epsilon(mu, delta)) <= mpf(delta)
    assert epsilon * (1 - 1e-11) <= gdp_epsilon(mu, delta) <= epsilon


@pytest.mark.parametrize(("rho", "delta"), [(1e-8, 1e-9), (0.1, 1e-9), (0.5, 1e-6), (45.0, 1e-9)])
def test_zcdp_epsilon_against_40_digits(rho: float, delta: float) -> None:
    truth = exact_zcdp_epsilon(rho, delta)
    ours = mpf(zcdp_epsilon(rho, delta))
    assert truth <= ours <= truth * (1 + mpf(1e-13))


@pytest.mark.parametrize(
    ("rho", "delta", "epsilon"),
    # 20 digits of the formula above
    [(0.1, 1e-9, 2.7154818867305020057), (0.5, 1e-6, 5.2215344445301690534)],
)
def test_zcdp_golden(rho: float, delta: float, epsilon: float) -> None:
    assert zcdp_epsilon(rho, delta) == pytest.approx(epsilon, rel=1e-13)


@settings(max_examples=100, deadline=None)
@given(epsilon=epsilons, delta=deltas)
def test_capacities_are_inverse_to_epsilons(epsilon: float, delta: float) -> None:
    assert epsilon * (1 - 1e-9) <= zcdp_epsilon(zcdp_rho(epsilon, delta), delta) <= epsilon
    assert epsilon * (1 - 1e-8) <= gdp_epsilon(gdp_mu(epsilon, delta), delta) <= epsilon


@settings(max_examples=100, deadline=None)
@given(epsilon=epsilons, delta=deltas, more=st.floats(min_value=1.001, max_value=10.0))
def test_more_budget_buys_more(epsilon: float, delta: float, more: float) -> None:
    assert zcdp_rho(epsilon, delta) < zcdp_rho(epsilon * more, delta)
    assert gdp_mu(epsilon, delta) < gdp_mu(epsilon * more, delta)
    assert zcdp_rho(epsilon, delta) < zcdp_rho(epsilon, min(0.9, delta * more))
    assert gdp_mu(epsilon, delta) < gdp_mu(epsilon, min(0.9, delta * more))


@settings(max_examples=100, deadline=None)
@given(epsilon=st.floats(min_value=1e-4, max_value=2000.0))
def test_pure_dp_in_gdp_and_back(epsilon: float) -> None:
    mu = gdp_mu_of_pure(epsilon)
    corner = mp.ncdf(-mpf(mu) / 2) * (1 + mp.exp(mpf(epsilon)))
    assert corner <= 1
    assert corner >= 1 - mpf(epsilon) * mpf(1e-11)
    assert epsilon * (1 - 1e-11) <= pure_of_gdp_mu(mu) <= epsilon * (1 + 1e-15)
    assert range_of_gdp_mu(gdp_mu_of_range(epsilon)) == pytest.approx(epsilon, rel=1e-11)


def divergence(p: np.ndarray, q: np.ndarray, epsilon: float) -> float:
    return float(np.maximum(p - exp(epsilon) * q, 0.0).sum())


@settings(max_examples=60, deadline=None)
@given(
    losses=st.lists(st.floats(min_value=0.0, max_value=1.0), min_size=2, max_size=12),
    weights=st.lists(st.floats(min_value=0.01, max_value=1.0), min_size=12, max_size=12),
    span=st.sampled_from([0.05, 0.7, 3.0, 12.0]),
)
def test_every_loss_of_bounded_range_is_gaussian_dp(
    losses: list[float], weights: list[float], span: float
) -> None:
    """Any two laws whose log ratio spans at most `span` obey the curve claimed for that range."""
    q = np.array(weights[: len(losses)])
    p = q * np.exp(span * np.array(losses))
    p, q = p / p.sum(), q / q.sum()
    mu = gdp_mu_of_range(span)
    for epsilon in np.linspace(0.0, span, 9):
        bound = gdp_delta(mu, float(epsilon)) + 1e-12
        assert divergence(p, q, float(epsilon)) <= bound
        assert divergence(q, p, float(epsilon)) <= bound


def test_the_curve_of_a_bounded_range_is_tight() -> None:
    """Negative control: a mu 1% smaller is refuted by the symmetric two-point mechanism."""
    span = 2.0
    keep = 1.0 / (1.0 + exp(-span / 2.0))
    p, q = np.array([keep, 1.0 - keep]), np.array([1.0 - keep, keep])
    at = [float(e) for e in np.linspace(0.0, 1.0, 101)]
    assert all(divergence(p, q, e) <= gdp_delta(gdp_mu_of_range(span), e) for e in at)
    assert any(divergence(p, q, e) > gdp_delta(0.99 * gdp_mu_of_range(span), e) for e in at)


def test_renyi_conversions_agree_with_each_other() -> None:
    for order, rho in ((1.5, 0.3), (8.0, 0.05), (200.0, 1e-4)):
        epsilon = renyi_epsilon(order, order * rho, 1e-6)
        assert renyi_delta(order, order * rho, epsilon) == pytest.approx(1e-6, rel=1e-6)
        assert epsilon >= zcdp_epsilon(rho, 1e-6)
    assert renyi_epsilon(2.0, inf, 1e-6) == inf
    assert renyi_delta(2.0, inf, 1.0) == 1.0
    assert renyi_delta(2.0, 0.0, 0.0) == 0.0


def test_total_variation_bounds_a_delta_at_large_orders() -> None:
    # one of two Gaussians a distance mu apart: delta(0) is their total variation
    mu = 1e-3
    assert renyi_delta(2.0, mu * mu, 0.0) >= gdp_delta(mu, 0.0)
    assert renyi_delta(2.0, mu * mu, 0.0) <= 1.1 * mu


@pytest.mark.parametrize("bad", [0.0, -1.0, inf, nan])
def test_values_outside_their_range_are_refused(bad: float) -> None:
    for call in (
        lambda: zcdp_rho(bad, 1e-9),
        lambda: gdp_mu(bad, 1e-9),
        lambda: gdp_mu_of_pure(bad),
        lambda: pure_of_gdp_mu(bad),
        lambda: zcdp_epsilon(1.0, bad),
        lambda: gdp_epsilon(1.0, bad),
        lambda: renyi_epsilon(bad, 1.0, 1e-9),
    ):
        with pytest.raises(InvalidValueError):
            call()
    if bad != 0.0:
        with pytest.raises(InvalidValueError):
            zcdp_epsilon(bad, 1e-9)
        with pytest.raises(InvalidValueError):
            gdp_delta(bad, 1.0)


def test_nothing_spent_is_epsilon_0() -> None:
    assert zcdp_epsilon(0.0, 1e-9) == 0.0
    assert gdp_epsilon(0.0, 1e-9) == 0.0
    assert gdp_epsilon(1e-12, 1e-9) == 0.0
