"""The bounded-range accountant: exact cases, the plain recursion, and what it saves."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import ceil, comb, exp, expm1, inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from dpsynth.errors import InvalidValueError, UnsupportedEventError
from dpsynth.privacy import bounded_range
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.bounded_range import bounded_range_epsilon
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import largest_scale
from dpsynth.privacy.curves import gdp_epsilon, zcdp_epsilon, zcdp_rho
from dpsynth.privacy.events import (
    ComposedEvent,
    DpSgdEvent,
    Event,
    ExponentialEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
    NoiseLaw,
    PureEvent,
    ZcdpEvent,
)


def selection(eta: float) -> ExponentialEvent:
    return ExponentialEvent(epsilon=eta)


def gaussian(rho: float) -> GaussianEvent:
    return GaussianEvent(sigma=1.0 / sqrt(2.0 * rho))


def mst_like(rho: float, *, picks: int = 13, picked: float = 0.1) -> list[Event]:
    """14 one-ways, 13 picks, 13 two-ways."""
    ones, pairs = [gaussian(rho * 0.3 / 14)] * 14, [gaussian(rho * (0.7 - picked) / 13)] * 13
    return [*ones, *[selection(sqrt(8.0 * rho * picked / picks))] * picks, *pairs]


def aim_like(rho: float) -> list[Event]:
    """Rounds of a pick and a measurement; twice both become four times as dear."""
    rounds = (20, 6, 3)
    unit = rho / sum(n * 4**i for i, n in enumerate(rounds))
    events: list[Event] = []
    for i, n in enumerate(rounds):
        one = [selection(sqrt(0.8 * unit * 4**i)), gaussian(0.9 * unit * 4**i)]
        events += one * n
    return events


def plain_epsilon(events: list[Event], delta: float, *, last: float) -> float:
    """The recursion in plain floats, written anew: a grid in t, midpoint masses, interpolation."""
    h = last / 2000
    e = np.arange(-1600, 2001) * h
    v = np.maximum(-np.expm1(e), 0.0)
    for event in reversed(events):
        if isinstance(event, GaussianEvent):
            mu = event.sensitivity / event.sigma
            k = ceil((9.0 * mu + mu * mu / 2.0) / h)
            edges = (np.arange(-k, k + 2) - 0.5) * h
            mass = np.diff(ndtr((edges - mu * mu / 2.0) / mu))
            below = -np.expm1(e[0] - np.arange(k, 0, -1) * h)
            v = np.convolve(np.concatenate([below, v, np.zeros(k)]), mass, mode="valid")
        else:
            assert isinstance(event, ExponentialEvent)
            eta = event.epsilon
            chords = [
                p * np.interp(e - t, e, v, left=1.0)
                + (1.0 - p) * np.interp(e - t + eta, e, v, right=0.0)
                for t in np.linspace(0.0, eta, 33)
                for p in [(exp(eta) - exp(t)) / expm1(eta)]
            ]
            v = np.max(chords, axis=0)
    return float(np.interp(-log(delta), -np.log(np.maximum(v, 1e-300)), e))


@pytest.mark.slow
@pytest.mark.parametrize("delta", [1e-9, 1e-5])
@pytest.mark.parametrize("epsilon", [0.1, 2.0])
@pytest.mark.parametrize("schedule", [mst_like, aim_like])
def test_within_one_percent_of_the_plain_recursion_and_below_zcdp(
    schedule, epsilon: float, delta: float
) -> None:
    rho = zcdp_rho(epsilon, delta)
    ours = bounded_range_epsilon(schedule(rho), delta)
    plain = plain_epsilon(schedule(rho), delta, last=1.8 * epsilon)
    assert plain * 0.9995 <= ours <= plain * 1.002  # the plain one is off by a little, either way
    assert ours <= 0.96 * epsilon


@pytest.mark.parametrize("mu", [1e-3, 0.2, 3.0])
@pytest.mark.parametrize("delta", [1e-12, 1e-5])
def test_gaussian_noise_alone_has_its_exact_curve(mu: float, delta: float) -> None:
    parts: list[Event] = [GaussianEvent(sigma=2.0 / mu, law=NoiseLaw.ROUNDED)] * 3
    parts.append(ComposedEvent(events=(GdpEvent(mu=mu / 2.0),)))
    truth = gdp_epsilon(mu, delta)
    assert truth <= bounded_range_epsilon(parts, delta) <= truth * (1.0 + 1e-9)
    # through the grid: a selection of hardly any range keeps the Gaussians apart
    parts.insert(2, selection(mu * 1e-4))
    assert truth <= bounded_range_epsilon(parts, delta) <= truth * 1.001


@pytest.mark.parametrize("eta", [0.01, 1.0, 5.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-3])
def test_one_selection_has_its_closed_form(eta: float, delta: float) -> None:
    """Dong, Durfee & Rogers 2020: (exp(eta/2) - exp(epsilon/2))^2 / (exp(eta) - 1)."""
    truth = 2.0 * log(exp(eta / 2.0) - sqrt(delta * expm1(eta)))
    ours = bounded_range_epsilon([selection(eta)], delta)
    assert truth * (1.0 - 1e-12) <= ours <= truth * 1.0005


def test_several_selections_cost_more_than_any_that_are_fixed_and_less_than_twice() -> None:
    """Fixed beforehand, k equal ones have binomial losses for each t; adaptivity adds to that."""
    eta, k, delta = 0.5, 4, 1e-3
    ours = bounded_range_epsilon([selection(eta)] * k, delta, cells=6_000)

    def fixed(at: float) -> float:
        t = np.linspace(0.0, eta, 2_001)
        p = (exp(eta) - np.exp(t)) / expm1(eta)
        total = np.zeros_like(t)
        for i in range(k + 1):
            loss = k * t - i * eta
            weight = comb(k, i) * p ** (k - i) * (1.0 - p) ** i
            total += weight * np.maximum(1.0 - np.exp(at - loss), 0.0)
        return float(total.max())

    assert fixed(ours) < delta < fixed(ours * 0.97)


def test_the_order_matters_and_late_selections_are_the_dear_ones() -> None:
    rho = zcdp_rho(1.0, 1e-9)
    events = mst_like(rho, picked=0.5)
    noise = [e for e in events if isinstance(e, GaussianEvent)]
    picks = [e for e in events if isinstance(e, ExponentialEvent)]
    early, stated, late = (
        bounded_range_epsilon(order, 1e-9) for order in ([*picks, *noise], events, [*noise, *picks])
    )
    assert early < stated < late
    assert late > 1.005 * early
    # so it does among selections: a small one can prepare for a large one
    small, large = selection(0.5), selection(1.0)
    assert bounded_range_epsilon([large, small], 0.1) < bounded_range_epsilon([small, large], 0.1)


def test_a_finer_grid_brings_the_bound_down_and_zcdp_caps_it() -> None:
    events = mst_like(zcdp_rho(1.0, 1e-9))
    found = [bounded_range_epsilon(events, 1e-9, cells=c) for c in (60, 120, 500, 2_000, 4_000)]
    assert all(coarse > fine for coarse, fine in pairwise(found))
    assert found[-2] < found[-1] * 1.0002
    # a grid of one cell says nothing, and then zCDP's answer stands
    assert bounded_range_epsilon(events, 1e-9, cells=1) == pytest.approx(1.0, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    kinds=st.lists(st.tuples(st.sampled_from("gep"), st.floats(0.01, 1.0)), min_size=1, max_size=4),
    more=st.floats(0.01, 1.0),
    position=st.integers(0, 3),
)
def test_more_events_and_larger_ones_never_cost_less(kinds, more: float, position: int) -> None:
    make = {
        "g": lambda x: GdpEvent(mu=x),
        "e": selection,
        "p": lambda x: PureEvent(epsilon=x / 3.0),
    }
    events = [make[kind](size) for kind, size in kinds]
    base = bounded_range_epsilon(events, 1e-6, cells=400)
    rho = make_accountant("zcdp", Budget(epsilon=1.0, delta=1e-6))
    assert 0.0 <= base <= zcdp_epsilon(sum(rho.cost(e) for e in events), 1e-6) * (1.0 + 1e-9)
    extended = [*events[:position], selection(more), *events[position:]]
    larger = [make[kind](size * (1.0 + more)) for kind, size in kinds]
    # two grids differ by what they round up
    for other in (extended, larger):
        assert bounded_range_epsilon(other, 1e-6, cells=400) >= base * 0.98


@settings(max_examples=100, deadline=None)
@given(
    spans=st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=12),
    last=st.floats(10.0, 100.0),
    cells=st.integers(1, 3_000),
)
def test_spans_are_rounded_up_to_the_grid(spans: list[float], last: float, cells: int) -> None:
    width = bounded_range._width(spans, last, cells)  # pyright: ignore[reportPrivateUsage]
    assert 0.0 < width <= last / cells * (1.0 + 1e-12)
    for span in spans:
        steps = bounded_range._widths(span, width)  # pyright: ignore[reportPrivateUsage]
        assert steps * Fraction(width) >= Fraction(span)
        assert steps == 1 or (steps - 1) * Fraction(width) < Fraction(span)


def test_what_is_pure_costs_no_more_than_its_epsilon() -> None:
    assert bounded_range_epsilon([PureEvent(epsilon=0.5)], 1e-12) <= 0.5 * 1.001
    laplace = LaplaceEvent(scale=2.0, sensitivity=1.0)
    assert bounded_range_epsilon([laplace], 1e-12) <= 0.5 * 1.001
    # twenty of them cost more than twenty selections of the same epsilon
    pure, range_ = ([e] * 20 for e in (PureEvent(epsilon=0.1), selection(0.1)))
    assert bounded_range_epsilon(pure, 1e-6) > 1.5 * bounded_range_epsilon(range_, 1e-6)


@pytest.mark.parametrize(
    "event",
    [
        GaussianEvent(sigma=9.0, law=NoiseLaw.DISCRETE),
        ZcdpEvent(rho=0.1),
        DpSgdEvent(noise_multiplier=2.0, sample_rate=0.1, steps=3),
    ],
)
def test_what_has_no_worst_pair_is_refused(event: Event) -> None:
    accountant = make_accountant("bounded_range", Budget(epsilon=1.0, delta=1e-9))
    with pytest.raises(UnsupportedEventError, match="bounded_range"):
        accountant.epsilon([selection(0.1), ComposedEvent(events=(event,))])


@pytest.mark.parametrize("delta", [1e-300, 1e-200, 1e-9, 0.5])
def test_no_schedule_is_too_large_or_too_small(delta: float) -> None:
    assert bounded_range_epsilon([], delta) == 0.0
    for size in (1e-200, 1e-9, 1e-3, 1.0, 50.0, 1e9, 1e200):
        events: list[Event] = [
            selection(size),
            GaussianEvent(sigma=1.0 / size),
            PureEvent(epsilon=size),
        ]
        cost = bounded_range_epsilon(events, delta, cells=200)
        assert cost >= 0.0
        assert (cost == inf) is (size == 1e200)
        assert cost > size or delta > 1e-3 or size < 1e-8


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(1e-3, 1e-9), (1.0, 1e-9), (1.0, 1e-5), (50.0, 1e-9)]
)
def test_the_largest_scale_fits_and_a_larger_one_does_not(epsilon: float, delta: float) -> None:
    accountant = make_accountant("bounded_range", Budget(epsilon=epsilon, delta=delta))
    rho = zcdp_rho(epsilon, delta)
    scale = largest_scale(accountant, lambda factor: mst_like(rho * factor))
    assert 1.02 < scale < 2.0  # zCDP's own answer is 1
    assert epsilon * 0.9995 <= accountant.epsilon(mst_like(rho * scale)) <= epsilon
    assert accountant.epsilon(mst_like(rho * scale * 1.001)) > epsilon


def test_a_schedule_that_never_fits_has_no_scale() -> None:
    accountant = make_accountant("bounded_range", Budget(epsilon=1.0, delta=1e-9))
    with pytest.raises(InvalidValueError, match="epsilon"):
        largest_scale(accountant, lambda factor: [PureEvent(epsilon=2.0 + factor)])


def reached_delta(
    epsilon: float, etas: list[float], mu: float, parts: Callable[[int], np.ndarray]
) -> float:
    """The delta of selections whose worst laws have t = parts(i) eta on the i-th's paths, and of
    Gaussian noise after them: a sum over all paths."""
    losses, weights = np.zeros(1), np.ones(1)
    for eta in etas:
        t = eta * parts(losses.size)
        p = (exp(eta) - np.exp(t)) / expm1(eta)
        losses = np.concatenate([losses + t, losses + t - eta])
        weights = np.concatenate([weights * p, weights * (1.0 - p)])
    rest = epsilon - losses
    tails = ndtr(mu / 2.0 - rest / mu) - np.exp(rest) * ndtr(-mu / 2.0 - rest / mu)
    return float(weights @ tails)


@settings(max_examples=40, deadline=None)
@given(
    etas=st.lists(st.floats(0.05, 1.5), min_size=1, max_size=5),
    mu=st.floats(0.05, 1.0),
    seed=st.integers(0, 2**32 - 1),
    delta=st.sampled_from([1e-2, 1e-4, 1e-7]),
)
def test_no_adversary_exceeds_the_bound_and_some_come_close(
    etas: list[float], mu: float, seed: int, delta: float
) -> None:
    rng = np.random.default_rng(seed)
    events = [*map(selection, etas), GdpEvent(mu=mu)]
    epsilon = bounded_range_epsilon(events, delta, cells=1_000)
    assert reached_delta(epsilon, etas, mu, rng.random) <= delta  # t depends on the path

    def strongest(at: float) -> float:
        shares = np.linspace(0.5, 1.0, 51)
        return max(reached_delta(at, etas, mu, lambda n, c=c: np.full(n, c)) for c in shares)

    assert strongest(epsilon) <= delta
    if epsilon > 0.0:
        assert strongest(0.9 * epsilon) > delta
