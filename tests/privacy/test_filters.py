"""The filters: what each event costs, what is refused, and what an amount buys."""

from math import inf, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import InvalidValueError, UnknownNameError, UnsupportedEventError
from dpsynth.privacy.accountant import Filter, make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.curves import gdp_epsilon, gdp_mu_of_pure, zcdp_epsilon
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

SAMPLED = DpSgdEvent(noise_multiplier=1.0, sample_rate=0.01, steps=100)
DISCRETE = GaussianEvent(sigma=2.0, law=NoiseLaw.DISCRETE)


def filter_of(name: str, epsilon: float = 1.0, delta: float = 1e-9) -> Filter:
    accountant = make_accountant(name, Budget(epsilon=epsilon, delta=delta))
    assert isinstance(accountant, Filter)
    return accountant


@pytest.mark.parametrize(
    ("name", "event", "cost"),
    [
        ("zcdp", GaussianEvent(sigma=2.0, sensitivity=3.0), 9.0 / 8.0),
        ("zcdp", DISCRETE, 1.0 / 8.0),
        ("zcdp", LaplaceEvent(scale=2.0), 1.0 / 8.0),
        ("zcdp", PureEvent(epsilon=0.5), 1.0 / 8.0),
        ("zcdp", ExponentialEvent(epsilon=0.5), 1.0 / 32.0),
        ("zcdp", ZcdpEvent(rho=0.3), 0.3),
        ("zcdp", GdpEvent(mu=0.5), 1.0 / 8.0),
        ("gdp", GaussianEvent(sigma=2.0, sensitivity=3.0), 9.0 / 4.0),
        ("gdp", GaussianEvent(sigma=2.0, law=NoiseLaw.ROUNDED), 1.0 / 4.0),
        ("gdp", GdpEvent(mu=0.5), 1.0 / 4.0),
        ("gdp", PureEvent(epsilon=0.5), gdp_mu_of_pure(0.5) ** 2),
        ("gdp", LaplaceEvent(scale=2.0), gdp_mu_of_pure(0.5) ** 2),
        ("gdp", ExponentialEvent(epsilon=0.5), gdp_mu_of_pure(0.25) ** 2),
        ("pure", LaplaceEvent(scale=2.0, sensitivity=3.0), 1.5),
        ("pure", PureEvent(epsilon=0.5), 0.5),
        ("pure", ExponentialEvent(epsilon=0.5), 0.5),
    ],
)
def test_costs(name: str, event: Event, cost: float) -> None:
    accountant = filter_of(name)
    assert cost <= accountant.cost(event) <= cost * (1.0 + 1e-14)
    twice = ComposedEvent(events=(event, ComposedEvent(events=(event,))))
    assert 2.0 * cost <= accountant.cost(twice) <= 2.0 * cost * (1.0 + 1e-14)


@pytest.mark.parametrize(
    ("name", "event", "why"),
    [
        ("zcdp", SAMPLED, "reserve the plan"),
        ("gdp", SAMPLED, "reserve the plan"),
        ("gdp", DISCRETE, "discrete Gaussian is not Gaussian-DP"),
        ("gdp", ZcdpEvent(rho=0.1), "no Gaussian DP"),
        ("pure", SAMPLED, "not pure"),
        ("pure", GaussianEvent(sigma=1e6), "not pure"),
        ("pure", ZcdpEvent(rho=0.1), "not pure"),
        ("pure", GdpEvent(mu=0.1), "not pure"),
    ],
)
def test_what_has_no_bound_is_refused_also_inside_a_composition(
    name: str, event: Event, why: str
) -> None:
    accountant = filter_of(name)
    for refused in (event, ComposedEvent(events=(PureEvent(epsilon=0.1), event))):
        with pytest.raises(UnsupportedEventError, match=why):
            accountant.cost(refused)
        with pytest.raises(UnsupportedEventError, match=why):
            accountant.epsilon([refused])


def test_pure_has_no_gaussian_noise() -> None:
    with pytest.raises(UnsupportedEventError, match="Laplace"):
        filter_of("pure").gaussian_sigma(0.5, sensitivity=1.0)


@pytest.mark.parametrize("name", ["zcdp", "gdp", "pld", "rdp"])
def test_delta_0_is_refused_by_all_but_pure(name: str) -> None:
    with pytest.raises(InvalidValueError, match=f"delta is 0.*'{name}'") as caught:
        make_accountant(name, Budget(epsilon=1.0, delta=0.0))
    assert caught.value.field == "delta"
    assert make_accountant("pure", Budget(epsilon=1.0, delta=0.0)).capacity == 1.0
    assert make_accountant("pure", Budget(epsilon=1.0, delta=1e-9)).capacity == 1.0


def test_unknown_accountants_name_close_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'zcdp'"):
        make_accountant("zcpd", Budget(epsilon=1.0, delta=1e-9))


@pytest.mark.parametrize("name", ["zcdp", "gdp", "pure"])
@pytest.mark.parametrize("epsilon", [0.001, 1.0, 100.0])
def test_a_spent_budget_keeps_its_promise_and_wastes_nothing(name: str, epsilon: float) -> None:
    accountant = filter_of(name, epsilon)
    spent = accountant.epsilon([accountant.allotment(accountant.capacity)])
    assert epsilon * (1.0 - 1e-8) <= spent <= epsilon


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["zcdp", "gdp", "pure"]),
    amount=st.floats(min_value=1e-8, max_value=100.0),
    sensitivity=st.floats(min_value=1e-3, max_value=1e3),
)
def test_what_an_amount_buys_costs_that_amount_and_no_more(
    name: str, amount: float, sensitivity: float
) -> None:
    accountant = filter_of(name)
    scale = accountant.laplace_scale(amount, sensitivity=sensitivity)
    bought: list[Event] = [
        LaplaceEvent(scale=scale, sensitivity=sensitivity),
        ExponentialEvent(epsilon=accountant.selection_epsilon(amount)),
        accountant.allotment(amount),
    ]
    if name != "pure":
        sigma = accountant.gaussian_sigma(amount, sensitivity=sensitivity)
        bought.append(GaussianEvent(sigma=sigma, sensitivity=sensitivity))
    for event in bought:
        assert amount * (1.0 - 1e-9) <= accountant.cost(event) <= amount


@pytest.mark.parametrize("name", ["zcdp", "gdp", "pure"])
@pytest.mark.parametrize("amount", [0.0, -1.0, inf])
def test_amounts_are_finite_and_above_0(name: str, amount: float) -> None:
    accountant = filter_of(name)
    for call in (accountant.selection_epsilon, accountant.allotment):
        with pytest.raises(InvalidValueError, match="amount"):
            call(amount)
    with pytest.raises(InvalidValueError, match="amount"):
        accountant.laplace_scale(amount, sensitivity=1.0)


def test_no_event_is_free_however_small_and_none_is_affordable_however_large() -> None:
    for name in ("zcdp", "gdp", "pure"):
        accountant = filter_of(name)
        assert accountant.cost(PureEvent(epsilon=1e-200)) > 0.0
        assert accountant.cost(PureEvent(epsilon=1e200)) > accountant.capacity
    assert filter_of("zcdp").cost(GaussianEvent(sigma=1e-200)) == inf
    assert filter_of("gdp").cost(GaussianEvent(sigma=1e200)) > 0.0


def test_epsilon_is_the_conversion_of_the_sum() -> None:
    # delta is the budget's less the 2**-20 of it that pays for samplers
    events = [GaussianEvent(sigma=5.0), GaussianEvent(sigma=10.0)]
    total = 1.0 / 25.0 + 1.0 / 100.0
    zcdp = filter_of("zcdp").epsilon(events)
    assert (
        zcdp_epsilon(total / 2.0, 1e-9)
        < zcdp
        == pytest.approx(zcdp_epsilon(total / 2.0, 1e-9), rel=1e-6)
    )
    gdp = filter_of("gdp").epsilon(events)
    assert (
        gdp_epsilon(sqrt(total), 1e-9)
        < gdp
        == pytest.approx(gdp_epsilon(sqrt(total), 1e-9), rel=1e-6)
    )
    assert gdp < zcdp
    assert filter_of("zcdp").epsilon([]) == filter_of("gdp").epsilon([]) == 0.0


@pytest.mark.parametrize("ceiling", [0.0, -1.0, 1.0 + 1e-9, inf])
def test_a_part_is_no_more_than_the_whole(ceiling: float) -> None:
    with pytest.raises(InvalidValueError, match="ceiling"):
        make_accountant("pure", Budget(epsilon=1.0, delta=0.0), ceiling=ceiling)
