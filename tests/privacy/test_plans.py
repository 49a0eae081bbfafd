"""Accountants of fixed plans: upper bounds, refusals, and what floats must not hide."""

import re
from math import inf, sqrt

import numpy as np
import pytest

from dpsynth.errors import InvalidValueError, UnsupportedEventError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.calibration import dpsgd_epsilon, dpsgd_noise_multiplier, gaussian_sigma
from dpsynth.privacy.capped_sampling import capped_dpsgd_epsilon
from dpsynth.privacy.curves import gdp_delta, gdp_epsilon
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
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.pld import epsilon_of_distribution
from dpsynth.privacy.sampled_gaussian import _connect, gaussian, sampled_gaussian
from dpsynth.privacy.tuning import StoppingLaw, tuning_epsilon

ADD_REMOVE, REPLACE = Neighbouring.ADD_REMOVE, Neighbouring.REPLACE


def epsilon_of(name: str, events: list[Event], budget: Budget | None = None) -> float:
    return make_accountant(name, budget or Budget(epsilon=1.0, delta=1e-9)).epsilon(events)


@pytest.mark.parametrize("name", ["pld", "rdp"])
def test_gaussians_of_every_form_compose_as_one(name: str) -> None:
    events: list[Event] = [
        GaussianEvent(sigma=10.0, sensitivity=2.0, law=NoiseLaw.ROUNDED),
        ComposedEvent(events=(GdpEvent(mu=0.1), GdpEvent(mu=0.1))),
        DpSgdEvent(noise_multiplier=10.0, sample_rate=1.0, steps=3),
    ]
    truth = gdp_epsilon(sqrt(0.04 + 0.02 + 0.03), 1e-9)
    ours = epsilon_of(name, events)
    assert truth <= ours <= truth * (1.00001 if name == "pld" else 1.1)


def test_under_replace_a_clipped_sum_moves_by_two_norms() -> None:
    run = DpSgdEvent(noise_multiplier=10.0, sample_rate=1.0, steps=4)
    whole = dpsgd_epsilon(run, 1e-9, REPLACE)
    assert whole == pytest.approx(gdp_epsilon(2.0 * sqrt(4.0) / 10.0, 1e-9), rel=1e-6)
    nearly = DpSgdEvent(noise_multiplier=10.0, sample_rate=0.999999, steps=4)
    assert dpsgd_epsilon(nearly, 1e-9, REPLACE) == pytest.approx(whole, rel=1e-3)


@pytest.mark.parametrize("relation", Neighbouring)
def test_a_sampled_step_obeys_its_divergence_by_quadrature(relation: Neighbouring) -> None:
    s, q = 0.9, 0.2
    x = np.linspace(-14.0, 15.0, 400_001)

    def density(mean: float) -> np.ndarray:
        return np.exp(-((x - mean) ** 2) / (2.0 * s * s)) / (s * sqrt(2.0 * np.pi))

    p = (1.0 - q) * density(0.0) + q * density(1.0)
    other = density(0.0)
    if relation is REPLACE:
        other = (1.0 - q) * density(0.0) + q * density(-1.0)
    step = sampled_gaussian(s, q, relation, interval=1e-3)
    for epsilon in (0.0, 0.1, 0.3, 1.0, 2.0):
        truth = max(
            np.trapezoid(np.maximum(a - np.exp(epsilon) * b, 0.0), x)
            for a, b in ((p, other), (other, p))
        )
        delta = float(step.get_delta_for_epsilon(epsilon))
        assert truth * (1.0 - 1e-6) <= delta <= truth * 1.001 + 1e-9


def test_dots_are_connected_as_by_the_library() -> None:
    from dp_accounting.pld import pld_pmf

    for size in (1, 2, 3, 2000):
        grid = np.arange(size) - size // 3
        deltas = np.sort(np.random.default_rng(size).random(size))[::-1]
        ours = _connect(grid, deltas, 1e-3)
        theirs = pld_pmf.create_pmf_pessimistic_connect_dots_fixed_gap(
            1e-3, int(grid[0]), int(grid[-1]), deltas
        )
        points = np.linspace(grid[0] * 1e-3 - 0.01, grid[-1] * 1e-3 + 0.01, 101)
        for epsilon in points:
            expected = theirs.get_delta_for_epsilon(epsilon)
            assert ours.get_delta_for_epsilon(epsilon) == pytest.approx(expected, abs=1e-9)


def test_a_divergence_below_the_next_is_raised_to_it() -> None:
    low, high = (
        _connect(np.arange(4), np.array([0.5, of, 0.2, 0.1]), 0.1).get_delta_for_epsilon(0.1)
        for of in (0.1, 0.2)
    )
    assert low == pytest.approx(high)
    assert high >= 0.2


@pytest.mark.parametrize("multiplier", [0.1, 1.0, 30.0])
def test_a_gaussian_step_obeys_its_exact_divergence(multiplier: float) -> None:
    mu = 1.0 / multiplier
    step = gaussian(multiplier, interval=0.01 * mu)
    for epsilon in mu * np.array([0.0, 0.5, 1.0, 3.0]) + mu**2 / 2.0:
        truth = gdp_delta(mu, float(epsilon))
        delta = float(step.get_delta_for_epsilon(epsilon))
        assert truth * (1.0 - 1e-9) <= delta <= truth * 1.001 + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("multiplier", "steps"), [(3.0, 100), (100.0, 10_000), (50.0, 2_500)])
@pytest.mark.parametrize("delta", [1e-5, 1e-9, 2e-11])
def test_floating_composition_never_falls_below_the_exact_curve(
    multiplier: float, steps: int, delta: float
) -> None:
    """The library's own answer does: at 1e-12, by 5e-3 of epsilon for the second of these."""
    from dp_accounting.pld import privacy_loss_distribution as pld

    composed = pld.from_gaussian_mechanism(multiplier).self_compose(steps)
    truth = gdp_epsilon(sqrt(steps) / multiplier, delta)
    if delta < 2.0 * 2.0**-50 * (64 + steps):
        with pytest.raises(InvalidValueError, match="delta"):
            epsilon_of_distribution(composed, steps, delta)
    else:
        ours = epsilon_of_distribution(composed, steps, delta)
        assert truth <= ours <= truth * 1.02


def test_a_delta_that_floats_cannot_resolve_is_refused_with_a_way_out() -> None:
    run = DpSgdEvent(noise_multiplier=4.0, sample_rate=0.1, steps=200)
    budget = Budget(epsilon=1.0, delta=1e-13)
    with pytest.raises(InvalidValueError, match=r"delta is .* 'rdp'"):
        epsilon_of("pld", [run], budget)
    assert epsilon_of("rdp", [run], budget) > epsilon_of("rdp", [run])


def test_noise_too_large_for_floats_is_not_free_under_renyi_dp() -> None:
    """dp-accounting answers epsilon 0 here: its divergences are negative by rounding."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    run = DpSgdEvent(noise_multiplier=1e8, sample_rate=0.1, steps=200)
    library = RdpAccountant().compose(PoissonSampledDpEvent(0.1, GaussianDpEvent(1e8)), 200)
    assert library.get_epsilon(1e-9) == 0.0
    assert epsilon_of("rdp", [run]) > 1e-3


@pytest.mark.slow
def test_renyi_dp_reaches_a_tiny_epsilon() -> None:
    found = dpsgd_noise_multiplier(
        0.001, 1e-9, sample_rate=0.1, steps=50, relation=ADD_REMOVE, accountant="rdp"
    )
    exact = dpsgd_noise_multiplier(0.001, 1e-9, sample_rate=0.1, steps=50, relation=ADD_REMOVE)
    assert exact < found < 3.0 * exact


def test_noise_of_any_size_is_priced() -> None:
    assert 0.0 <= epsilon_of("pld", [GaussianEvent(sigma=1e200)]) < 1e-6
    assert epsilon_of("pld", [GaussianEvent(sigma=1e200), PureEvent(epsilon=0.1)]) >= 0.1 - 1e-6
    run = DpSgdEvent(noise_multiplier=1e200, sample_rate=0.1, steps=10)
    assert 0.0 <= epsilon_of("pld", [run]) < 1e-3
    for event in (
        DpSgdEvent(noise_multiplier=1e-3, sample_rate=0.1, steps=10),
        DpSgdEvent(noise_multiplier=1e-200, sample_rate=0.1, steps=10),
        PureEvent(epsilon=1e9),
        ExponentialEvent(epsilon=1e9),
        LaplaceEvent(scale=1e-9),
        GaussianEvent(sigma=1e-9, law=NoiseLaw.DISCRETE),
    ):
        assert epsilon_of("pld", [event]) == inf
    for sigma in (1e-200, 1e200):
        for event in (
            GaussianEvent(sigma=sigma),
            GaussianEvent(sigma=sigma, law=NoiseLaw.DISCRETE),
            DpSgdEvent(noise_multiplier=sigma, sample_rate=0.1, steps=10),
        ):
            assert (epsilon_of("rdp", [event]) == inf) is (sigma < 1.0)
    mixed: list[Event] = [GaussianEvent(sigma=1e-9), PureEvent(epsilon=0.1)]
    assert epsilon_of("pld", mixed) == inf


def test_a_selection_costs_less_than_what_is_merely_pure() -> None:
    selections: list[Event] = [ExponentialEvent(epsilon=0.1)] * 30
    pure: list[Event] = [PureEvent(epsilon=0.1)] * 30
    assert epsilon_of("pld", selections) < 0.7 * epsilon_of("pld", pure)
    assert epsilon_of("pld", selections[:1]) <= 0.1
    zcdp = epsilon_of("zcdp", selections)
    assert epsilon_of("rdp", selections) == pytest.approx(zcdp, rel=1e-3)


def test_a_selection_is_at_least_as_costly_as_its_worst_two_points() -> None:
    """Composed symmetric two-point mechanisms have exact deltas; the pair must dominate them."""
    from math import comb, exp

    span, rounds, budget = 0.4, 12, Budget(epsilon=1.0, delta=1e-3)
    epsilon = epsilon_of("pld", [ExponentialEvent(epsilon=span)] * rounds, budget)
    keep = 1.0 / (1.0 + exp(-span / 2.0))
    exact = sum(
        comb(rounds, k)
        * max(
            0.0,
            keep**k * (1 - keep) ** (rounds - k)
            - exp(epsilon) * (1 - keep) ** k * keep ** (rounds - k),
        )
        for k in range(rounds + 1)
    )
    assert 0.0 < exact <= 1e-3


def test_one_selection_costs_exactly_its_worst_two_points() -> None:
    """Losses of t and t - span, for every t."""
    span, delta = 1.0, 0.05
    epsilon = epsilon_of("pld", [ExponentialEvent(epsilon=span)], Budget(epsilon=1.0, delta=delta))

    def worst(at: float) -> float:
        t = np.linspace(0.0, span, 100_001)
        p = (np.exp(span) - np.exp(t)) / (np.exp(span) - 1.0)
        return float((p - np.exp(at) * p * np.exp(-t)).max())

    assert worst(epsilon) <= delta < worst(epsilon * 0.999)


def test_laplace_noise_on_a_vector_is_dominated_by_one_coordinate() -> None:
    """The formula in the docstring, by Monte Carlo over two coordinates; alpha 1e-6 a point."""
    rng = np.random.default_rng(0)
    a, b, draws = 0.8, 0.5, 400_000
    u, v = rng.laplace(size=draws) + a, rng.laplace(size=draws) + b
    loss = np.abs(u) - np.abs(u - a) + np.abs(v) - np.abs(v - b)
    for epsilon in (0.0, 0.4, 0.9):
        gain = np.maximum(1.0 - np.exp(epsilon - loss), 0.0)
        error = 5.0 * gain.std() / sqrt(draws)
        claimed = 1.0 - np.exp((epsilon - a - b) / 2.0) * (
            1.0 + b / 2.0 - max(0.0, epsilon - a + b) / 4.0
        )
        assert abs(gain.mean() - claimed) <= error
        assert claimed <= 1.0 - np.exp((epsilon - a - b) / 2.0)
    one = epsilon_of("pld", [LaplaceEvent(scale=1.0, sensitivity=a + b)])
    assert one == pytest.approx(a + b, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "event", "why"),
    [
        ("pld", ZcdpEvent(rho=0.1), "not known"),
        ("pld", GaussianEvent(sigma=9.0, sensitivity=2**0.5, law=NoiseLaw.DISCRETE), "integer"),
    ],
)
def test_what_has_no_bound_is_refused(name: str, event: Event, why: str) -> None:
    with pytest.raises(UnsupportedEventError, match=why):
        epsilon_of(name, [PureEvent(epsilon=0.1), ComposedEvent(events=(event,))])


def test_renyi_dp_refuses_sampling_under_replace() -> None:
    run = DpSgdEvent(noise_multiplier=1.0, sample_rate=0.01, steps=10)
    with pytest.raises(UnsupportedEventError, match="replace"):
        dpsgd_epsilon(run, 1e-5, REPLACE, "rdp")
    assert dpsgd_epsilon(run, 1e-5, REPLACE) > dpsgd_epsilon(run, 1e-5, ADD_REMOVE)


def test_events_of_a_plan_have_no_cost_of_their_own() -> None:
    accountant = make_accountant("pld", Budget(epsilon=1.0, delta=1e-9))
    with pytest.raises(UnsupportedEventError, match="reserve"):
        accountant.cost(PureEvent(epsilon=0.1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epsilon", "relation"), [(0.001, REPLACE), (1.0, ADD_REMOVE), (1.0, REPLACE), (100.0, REPLACE)]
)
def test_a_calibrated_plan_can_be_reserved_and_less_noise_cannot(
    epsilon: float, relation: Neighbouring
) -> None:
    count = GaussianEvent(sigma=4.0 * gaussian_sigma(epsilon, 1e-9, 1.0))
    multiplier = dpsgd_noise_multiplier(
        epsilon, 1e-9, sample_rate=0.1, steps=30, relation=relation, also=[count]
    )
    budget = Budget(epsilon=epsilon, delta=1e-9, relation=relation)
    accountant = make_accountant("pld", budget)

    def plan(factor: float) -> list[tuple[str, Event]]:
        run = DpSgdEvent(noise_multiplier=multiplier * factor, sample_rate=0.1, steps=30)
        return [("count", count), ("training", run)]

    ledger = Ledger(accountant)
    ledger.reserve(plan(1.0))
    for label, event in plan(1.0):
        ledger.charge(label, event)
    assert epsilon * 0.999 <= ledger.spent <= epsilon
    assert accountant.epsilon([event for _, event in plan(0.999)]) > epsilon


def test_calibration_is_monotone() -> None:
    def multiplier(epsilon: float, delta: float, rate: float, steps: int) -> float:
        return dpsgd_noise_multiplier(
            epsilon,
            delta,
            sample_rate=rate,
            steps=steps,
            relation=ADD_REMOVE,
            accountant="rdp",
        )

    base = multiplier(2.0, 1e-6, 1.0, 10)
    assert multiplier(4.0, 1e-6, 1.0, 10) < base
    assert multiplier(2.0, 1e-4, 1.0, 10) < base
    assert multiplier(2.0, 1e-6, 1.0, 20) > base
    assert multiplier(2.0, 1e-6, 0.5, 10) < base


@pytest.mark.parametrize("sample_rate", [1.0, pytest.param(0.1, marks=pytest.mark.slow)])
def test_an_epsilon_too_small_for_a_plan_is_refused_with_the_smallest_that_is_not(
    sample_rate: float,
) -> None:
    def multiplier(epsilon: float) -> float:
        return dpsgd_noise_multiplier(
            epsilon,
            1e-9,
            sample_rate=sample_rate,
            steps=2,
            relation=ADD_REMOVE,
            also=[GaussianEvent(sigma=4.0)],
        )

    with pytest.raises(
        InvalidValueError, match=r"epsilon is 0\.1, .*at least [0-9.]+ for"
    ) as error:
        multiplier(0.1)
    found = re.search(r"at least ([0-9.]+) for", str(error.value))
    assert found is not None
    least = float(found[1])
    assert multiplier(least) > 0
    with pytest.raises(InvalidValueError, match=f"at least {least:g}"):
        multiplier(0.995 * least)


def test_sigma_scales_with_sensitivity_and_is_the_least() -> None:
    sigma = gaussian_sigma(1.0, 1e-9, 3.0)
    assert sigma == pytest.approx(3.0 * gaussian_sigma(1.0, 1e-9, 1.0), rel=1e-12)
    assert gdp_delta(3.0 / sigma, 1.0) <= 1e-9 < gdp_delta(3.0 / (sigma * 0.9999), 1.0)
    with pytest.raises(InvalidValueError, match="sensitivity"):
        gaussian_sigma(1.0, 1e-9, 0.0)


@pytest.mark.slow
def test_a_cap_far_above_the_mean_is_nearly_free_and_one_near_it_is_not() -> None:
    run = DpSgdEvent(noise_multiplier=2.0, sample_rate=0.05, steps=20)
    free = dpsgd_epsilon(run, 1e-6, ADD_REMOVE)
    assert capped_dpsgd_epsilon(run, 1e-6, units=400, batch_cap=400) == pytest.approx(free, 1e-4)
    assert capped_dpsgd_epsilon(run, 1e-6, units=400, batch_cap=20) > 2.0 * free
    for units, cap in ((0, 1), (10, 0), (10, 11)):
        with pytest.raises(InvalidValueError):
            capped_dpsgd_epsilon(run, 1e-6, units=units, batch_cap=cap)


def test_tuning_costs_more_than_one_run_and_less_than_all() -> None:
    run: list[Event] = [GaussianEvent(sigma=10.0)]
    one = epsilon_of("rdp", run)
    for law in StoppingLaw:
        costs = [tuning_epsilon(run, 1e-9, mean_runs=m, law=law) for m in (2.0, 10.0, 100.0)]
        assert one < costs[0] < costs[1] < costs[2] < 100.0 * one
    for mean in (1.0, 0.0, float("inf")):
        with pytest.raises(InvalidValueError, match="mean_runs"):
            tuning_epsilon(run, 1e-9, mean_runs=mean, law=StoppingLaw.GEOMETRIC)
    with pytest.raises(InvalidValueError, match="run"):
        tuning_epsilon([], 1e-9, mean_runs=2.0, law=StoppingLaw.POISSON)


@pytest.mark.parametrize("law", StoppingLaw)
def test_tuning_follows_the_theorems(law: StoppingLaw) -> None:
    """Theorems 2 and 6 for one Gaussian run, on a fine grid of both orders."""
    rho, runs, delta = 0.005, 10.0, 1e-9
    order = 1.0 + np.geomspace(0.05, 1e4, 4_000)
    to_epsilon = (-np.log(delta) + order * np.log1p(-1.0 / order) - np.log(order - 1.0)) / (
        order - 1.0
    )
    if law is StoppingLaw.POISSON:
        at = np.log1p(1.0 / (order - 1.0))
        extra = runs * np.array([gdp_delta(sqrt(2.0 * rho), float(e)) for e in at])
    else:
        shape = 1.0 if law is StoppingLaw.GEOMETRIC else 0.0
        # (1/g - 1) / log(1/g) is 10 at 1/g = 37.1495...
        inverse = runs if law is StoppingLaw.GEOMETRIC else 37.1495
        extra = (1.0 + shape) * ((order - 1.0) * rho + np.log(inverse) / order).min()
    exact = float((order * rho + extra + np.log(runs) / (order - 1.0) + to_epsilon).min())
    ours = tuning_epsilon([GdpEvent(mu=sqrt(2.0 * rho))], delta, mean_runs=runs, law=law)
    # the grid of orders costs a little, the Renyi bound of a delta (Poisson only) more
    assert exact * (1.0 - 1e-4) <= ours <= exact * (1.3 if law is StoppingLaw.POISSON else 1.01)


@pytest.mark.slow
def test_opacus_agrees_by_another_method() -> None:
    """Its PRV accountant states an interval of .01 on either side of its estimate."""
    prv = pytest.importorskip("opacus.accountants.prv", reason="opacus is an extra")
    other = prv.PRVAccountant()
    other.history = [(3.0, 0.2, 100)]
    theirs = other.get_epsilon(1e-6, eps_error=0.01)
    run = DpSgdEvent(noise_multiplier=3.0, sample_rate=0.2, steps=100)
    assert theirs - 0.0201 <= dpsgd_epsilon(run, 1e-6, ADD_REMOVE) <= theirs


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_a_budget_of_hundreds_is_priced_without_a_warning(relation: Neighbouring) -> None:
    """One step that every second record joins, and losses far beyond where exp overflows."""
    noise = dpsgd_noise_multiplier(1000.0, 1e-6, sample_rate=0.5, steps=1, relation=relation)
    event = DpSgdEvent(noise_multiplier=noise, sample_rate=0.5, steps=1)
    budget = Budget(epsilon=1000.0, delta=1e-6, relation=relation)
    assert 990.0 < epsilon_of("pld", [event], budget) <= 1000.0
    louder = DpSgdEvent(noise_multiplier=noise / 1.1, sample_rate=0.5, steps=1)
    assert epsilon_of("pld", [louder], budget) > 1000.0
