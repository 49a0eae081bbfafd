"""The best of a random number of runs: one event, priced by Renyi DP and by nothing else."""

import pytest

from dpsynth.errors import BudgetExceededError, InvalidValueError, UnsupportedEventError
from dpsynth.privacy.accountant import make_accountant, sampling_distance
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.event_json import event_from_json, event_to_json
from dpsynth.privacy.events import (
    ComposedEvent,
    DpSgdEvent,
    Event,
    GaussianEvent,
    GdpEvent,
    RepeatedEvent,
    StoppingLaw,
)
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.tuning import repeated_divergences, tuning_epsilon
from tests.privacy.test_plans import epsilon_of

RUN: tuple[Event, ...] = (
    ComposedEvent(
        events=(
            GaussianEvent(sigma=40.0, sensitivity=2.0),
            DpSgdEvent(noise_multiplier=4.0, sample_rate=0.05, steps=100),
        )
    ),
    GdpEvent(mu=0.02),
)


def repeated(
    law: StoppingLaw = StoppingLaw.LOGARITHMIC, mean: float = 8.0, run: tuple[Event, ...] = RUN
) -> RepeatedEvent:
    return RepeatedEvent(run=run, mean_runs=mean, stopping=law)


@pytest.mark.parametrize("law", StoppingLaw)
def test_the_accountant_prices_it_as_the_theorems_do(law: StoppingLaw) -> None:
    event = repeated(law)
    price = epsilon_of("rdp", [event])
    assert price == tuning_epsilon(RUN, 1e-9, mean_runs=8.0, law=law)
    assert epsilon_of("rdp", [*RUN]) < price < epsilon_of("rdp", [*RUN] * 8)
    budget = Budget(epsilon=price, delta=1e-9)
    ledger = Ledger(make_accountant("rdp", budget))
    ledger.reserve([("tuning", event)])
    ledger.charge("tuning", event)
    assert ledger.epsilon_spent() <= price
    assert Ledger.from_json(ledger.to_json()).to_json() == ledger.to_json()
    small = Ledger(make_accountant("rdp", Budget(epsilon=0.95 * price, delta=1e-9)))
    with pytest.raises(BudgetExceededError):
        small.reserve([("tuning", event)])


@pytest.mark.parametrize(
    ("law", "known"),
    [
        (StoppingLaw.GEOMETRIC, 2.157),
        (StoppingLaw.LOGARITHMIC, 1.733),
        (StoppingLaw.POISSON, 3.940),
    ],
)
def test_figures_known_from_elsewhere(law: StoppingLaw, known: float) -> None:
    """30 runs on average of DP-SGD at an epsilon of .888 by Renyi DP, at delta 1e-5."""
    run = DpSgdEvent(noise_multiplier=3.0, sample_rate=0.02, steps=1000)
    budget = Budget(epsilon=1.0, delta=1e-5)
    assert epsilon_of("rdp", [run], budget) == pytest.approx(0.888, abs=5e-4)
    assert epsilon_of("rdp", [repeated(law, 30.0, (run,))], budget) == pytest.approx(
        known, abs=5e-4
    )


@pytest.mark.parametrize("law", StoppingLaw)
def test_it_composes_order_by_order(law: StoppingLaw) -> None:
    accountant = make_accountant("rdp", Budget(epsilon=1.0, delta=1e-9))
    other = GaussianEvent(sigma=30.0)
    orders, alone = accountant.divergences([repeated(law)])  # pyright: ignore
    _, gaussian = accountant.divergences([other])  # pyright: ignore
    _, both = accountant.divergences([other, repeated(law), repeated(law)])  # pyright: ignore
    assert both == pytest.approx([2 * a + b for a, b in zip(alone, gaussian, strict=True)])
    _, one = accountant.divergences(RUN)  # pyright: ignore
    assert repeated_divergences(repeated(law), orders, one) == alone
    # a composed event holds it as well, and a run may itself be the best of several
    assert epsilon_of("rdp", [ComposedEvent(events=(repeated(law),))]) == epsilon_of(
        "rdp", [repeated(law)]
    )
    assert epsilon_of("rdp", [repeated(law, run=(repeated(law),))]) > epsilon_of(
        "rdp", [repeated(law)]
    )


@pytest.mark.parametrize("name", ["zcdp", "gdp", "pure", "pld", "bounded_range"])
def test_every_other_accountant_refuses_it(name: str) -> None:
    accountant = make_accountant(name, Budget(epsilon=9.0, delta=1e-9))
    with pytest.raises(UnsupportedEventError, match=f"the {name} accountant cannot bound"):
        accountant.epsilon([repeated(run=(GaussianEvent(sigma=40.0),))])


def test_a_run_without_a_renyi_bound_is_refused() -> None:
    budget = Budget(epsilon=9.0, delta=1e-9, relation=Neighbouring.REPLACE)
    with pytest.raises(UnsupportedEventError, match="replace"):
        make_accountant("rdp", budget).epsilon([repeated()])
    marginals: tuple[Event, ...] = (GaussianEvent(sigma=40.0, sensitivity=2.0),)
    assert make_accountant("rdp", budget).epsilon([repeated(run=marginals)]) > 0.0


def test_what_a_repeated_event_refuses() -> None:
    for mean in (1.0, 0.0, float("inf"), float("nan")):
        with pytest.raises(InvalidValueError, match="mean_runs"):
            repeated(mean=mean)
    with pytest.raises(InvalidValueError, match="run"):
        repeated(run=())
    failing = GaussianEvent(sigma=1.0, failure=1e-12)
    for run in (failing, ComposedEvent(events=(failing,))):
        with pytest.raises(InvalidValueError, match="cannot fail"):
            repeated(run=(run,))


def test_distances_of_samplers_count_once_a_run() -> None:
    inner = GaussianEvent(sigma=1.0, sampling_distance=2.0**-60)
    event = RepeatedEvent(
        run=(ComposedEvent(events=(inner, inner)),),
        mean_runs=16.0,
        stopping=StoppingLaw.POISSON,
        sampling_distance=2.0**-70,
    )
    exact = 32 * 2.0**-60 + 2.0**-70
    assert exact <= sampling_distance([event]) <= exact * (1 + 2.0**-40)


def test_json_returns_the_same_event() -> None:
    record = event_to_json(repeated())
    assert record["kind"] == "repeated"
    assert event_from_json(record) == repeated()
    with pytest.raises(InvalidValueError, match="stopping"):
        event_from_json({**record, "stopping": "fixed"})
