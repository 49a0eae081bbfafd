"""The ledger: nothing beyond the budget, nothing undone, nothing edited unseen."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import exp, nextafter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import (
    BudgetExceededError,
    DpsynthError,
    InvalidValueError,
    LedgerError,
    UnsupportedEventError,
)
from dpsynth.privacy.accountant import Filter, make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import (
    ComposedEvent,
    DpSgdEvent,
    Event,
    ExponentialEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
    PureEvent,
    ZcdpEvent,
)
from dpsynth.privacy.ledger import Ledger

FILTERS = ("zcdp", "gdp", "pure")
positive = st.floats(min_value=1e-4, max_value=1e4)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(GaussianEvent, sigma=positive, sensitivity=positive),
    st.builds(LaplaceEvent, scale=positive, sensitivity=positive),
    st.builds(ExponentialEvent, epsilon=positive),
    st.builds(PureEvent, epsilon=positive),
    st.builds(ZcdpEvent, rho=positive),
    st.builds(GdpEvent, mu=positive),
)
composed = st.lists(events, min_size=1, max_size=3).map(lambda e: ComposedEvent(events=tuple(e)))
budgets = st.builds(
    Budget,
    epsilon=st.sampled_from([0.001, 1.0, 100.0]),
    delta=st.just(1e-9),
    relation=st.sampled_from(Neighbouring),
)


def filter_of(name: str, budget: Budget) -> Filter:
    accountant = make_accountant(name, budget)
    assert isinstance(accountant, Filter)
    return accountant


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(FILTERS), budget=budgets, charges=st.lists(events | composed))
def test_no_sequence_of_charges_exceeds_the_budget_and_a_refused_one_changes_nothing(
    name: str, budget: Budget, charges: list[Event]
) -> None:
    ledger = Ledger(make_accountant(name, budget))
    for index, event in enumerate(charges):
        before = (ledger.to_json(), ledger.spent, ledger.remaining)
        try:
            ledger.charge(f"charge {index}", event)
        except (BudgetExceededError, UnsupportedEventError):
            assert (ledger.to_json(), ledger.spent, ledger.remaining) == before
    assert ledger.spent <= ledger.capacity
    assert ledger.epsilon_spent() <= budget.epsilon
    assert Ledger.from_json(ledger.to_json()).entries == ledger.entries


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(FILTERS),
    budget=budgets,
    shares=st.lists(st.floats(min_value=1e-6, max_value=1.0), min_size=1, max_size=30),
    kinds=st.randoms(use_true_random=False),
)
def test_a_budget_cut_into_parts_affords_its_last_part(
    name: str, budget: Budget, shares: list[float], kinds: object
) -> None:
    accountant = filter_of(name, budget)
    ledger = Ledger(accountant)
    total = sum(shares)
    for share in shares:
        amount = accountant.capacity * (share / total)
        choice = kinds.choice("gles" if name != "pure" else "les")  # type: ignore[attr-defined]
        if choice == "g":
            event: Event = GaussianEvent(
                sigma=accountant.gaussian_sigma(amount, sensitivity=1.7), sensitivity=1.7
            )
        elif choice == "l":
            scale = accountant.laplace_scale(amount, sensitivity=0.3)
            event = LaplaceEvent(scale=scale, sensitivity=0.3)
        elif choice == "e":
            event = ExponentialEvent(epsilon=accountant.selection_epsilon(amount))
        else:
            event = accountant.allotment(amount)
        assert accountant.cost(event) == pytest.approx(amount, rel=1e-9)
        ledger.charge("part", event)
    assert ledger.remaining <= 1e-9 * ledger.capacity
    assert ledger.spent <= ledger.capacity


@pytest.mark.parametrize("name", FILTERS)
def test_exactly_what_remains_can_be_allotted_and_spent_inside(name: str) -> None:
    accountant = filter_of(name, Budget(epsilon=1.0, delta=1e-9))
    ledger = Ledger(accountant)
    ledger.charge("first", accountant.allotment(accountant.capacity / 3.0))
    allotment = accountant.allotment(ledger.remaining)
    ledger.charge("rest", allotment)
    part = accountant.part(allotment)
    inner = Ledger(part)
    inner.charge("all of it", part.allotment(inner.remaining))
    assert inner.spent <= accountant.cost(allotment)
    with pytest.raises(BudgetExceededError):
        inner.charge("more", PureEvent(epsilon=1e-3))
    assert Ledger.from_json(inner.to_json()).capacity == inner.capacity


def test_remaining_is_the_largest_amount_that_fits() -> None:
    ledger = Ledger(make_accountant("pure", Budget(epsilon=1.0, delta=0.0)))
    for _ in range(7):
        ledger.charge("part", PureEvent(epsilon=0.1))
    ledger.charge("rest", PureEvent(epsilon=ledger.remaining))
    assert ledger.spent == ledger.capacity == 1.0
    assert ledger.remaining == 0.0
    with pytest.raises(BudgetExceededError):
        ledger.charge("crumb", PureEvent(epsilon=1e-12))


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.floats(min_value=1e-9, max_value=0.05), max_size=18))
def test_all_that_remains_can_be_spent(parts: list[float]) -> None:
    ledger = Ledger(make_accountant("pure", Budget(epsilon=1.0, delta=0.0)))
    for part in parts:
        ledger.charge("part", PureEvent(epsilon=part))
    left = ledger.remaining
    assert left >= 1.0 - ledger.spent - 1e-15
    ledger.charge("rest", PureEvent(epsilon=left))
    assert 1.0 - 1e-15 <= ledger.spent <= 1.0


def test_a_tie_in_rounding_does_not_make_the_rest_unaffordable() -> None:
    """1 + 2^-53 rounds to 1, so that 2^-52 seems left; with it the sum rounds beyond the budget."""
    ledger = Ledger(make_accountant("pure", Budget(epsilon=1.0 + 2.0**-52, delta=0.0)))
    ledger.charge("nearly all", PureEvent(epsilon=1.0))
    ledger.charge("half a bit", PureEvent(epsilon=2.0**-53))
    assert ledger.remaining == nextafter(2.0**-52, 0.0)
    ledger.charge("rest", PureEvent(epsilon=ledger.remaining))
    assert ledger.spent == ledger.capacity


def test_threads_never_overspend_together() -> None:
    ledger = Ledger(make_accountant("pure", Budget(epsilon=1.0, delta=0.0)))

    def charge(index: int) -> bool:
        try:
            ledger.charge(f"thread {index}", PureEvent(epsilon=1.0 / 64.0))
        except BudgetExceededError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        granted = sum(pool.map(charge, range(500)))
    assert granted == 64
    assert [entry.index for entry in ledger.entries] == list(range(64))


def stored() -> str:
    ledger = Ledger(make_accountant("zcdp", Budget(epsilon=1.0, delta=1e-9)))
    ledger.charge("one-way", GaussianEvent(sigma=30.0))
    ledger.charge("choice", ExponentialEvent(epsilon=0.01))
    ledger.charge("two-way", GaussianEvent(sigma=40.0))
    return ledger.to_json()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_edited_byte_of_a_stored_ledger_is_detected(data: st.DataObject) -> None:
    text = stored()
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.sampled_from('0123456789abcdef.-e"{}[],: xyz'))
    edited = text[:at] + new + text[at + 1 :]
    try:
        same = json.loads(edited) == json.loads(text)
    except ValueError:
        same = False
    if same:
        return
    with pytest.raises(DpsynthError):
        Ledger.from_json(edited)


@pytest.mark.parametrize("number", ["1e999", "Infinity", "NaN", "-1e999"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    with pytest.raises(InvalidValueError, match="finite"):
        Ledger.from_json(stored().replace('"epsilon":1.0', f'"epsilon":{number}'))


@pytest.mark.parametrize("change", ["drop first", "drop last", "swap", "budget", "repeat"])
def test_cut_or_reordered_ledgers_are_detected(change: str) -> None:
    record = json.loads(stored())
    rows = record["entries"]
    match change:
        case "drop first":
            rows.pop(0)
        case "drop last":
            rows.pop()
        case "swap":
            rows[0], rows[1] = rows[1], rows[0]
        case "budget":
            record["budget"]["epsilon"] = 2.0
        case _:
            rows.append(rows[-1])
    with pytest.raises(LedgerError):
        Ledger.from_json(json.dumps(record))


def test_sampling_distance_is_charged_to_delta() -> None:
    budget = Budget(epsilon=1.0, delta=1e-9)
    ledger = Ledger(make_accountant("zcdp", budget))
    allowed = 1e-9 * 2.0**-20 / (1.0 + 2.718281828459045)
    ledger.charge("near", GaussianEvent(sigma=100.0, sampling_distance=0.6 * allowed))
    nested = ComposedEvent(events=(GaussianEvent(sigma=100.0, sampling_distance=0.6 * allowed),))
    with pytest.raises(BudgetExceededError, match="delta"):
        ledger.charge("too far together", nested)
    ledger.charge("still near", GaussianEvent(sigma=100.0, sampling_distance=0.39 * allowed))
    strict = Ledger(make_accountant("pure", Budget(epsilon=1.0, delta=0.0)))
    with pytest.raises(BudgetExceededError, match="delta"):
        strict.charge("inexact", LaplaceEvent(scale=10.0, sampling_distance=1e-300))


@pytest.mark.parametrize("name", FILTERS)
def test_parts_cannot_spend_the_delta_of_samplers_once_more_each(name: str) -> None:
    accountant = filter_of(name, Budget(epsilon=1.0, delta=1e-9))
    ledger = Ledger(accountant)
    near = LaplaceEvent(scale=100.0, sampling_distance=0.6e-9 * 2.0**-20 / (1.0 + exp(1.0)))
    ledger.charge("near", near)
    for label in ("first part", "second part"):
        allotment = accountant.allotment(0.3 * accountant.capacity)
        ledger.charge(label, allotment)
        inner = Ledger(accountant.part(allotment))
        with pytest.raises(BudgetExceededError, match="delta"):
            inner.charge("near", near)
        with pytest.raises(BudgetExceededError, match="delta"):
            inner.charge("nested", ComposedEvent(events=(near,)))
        inner.charge("exact", replace(near, sampling_distance=0.0))
        assert Ledger.from_json(inner.to_json()).entries == inner.entries


class TestPlans:
    plan = (
        ("count", GaussianEvent(sigma=20.0)),
        ("training", DpSgdEvent(noise_multiplier=4.0, sample_rate=0.1, steps=50)),
    )

    def ledger(self, epsilon: float = 3.0) -> Ledger:
        return Ledger(make_accountant("rdp", Budget(epsilon=epsilon, delta=1e-9)))

    def test_a_plan_is_reserved_once_then_charged_in_order(self) -> None:
        ledger = self.ledger()
        with pytest.raises(LedgerError, match="reserved first"):
            ledger.charge(*self.plan[0])
        ledger.reserve(self.plan)
        assert ledger.spent == 0.0
        assert ledger.remaining == 0.0
        with pytest.raises(LedgerError, match="already"):
            ledger.reserve(self.plan)
        with pytest.raises(LedgerError, match="continues with 'count'"):
            ledger.charge(*self.plan[1])
        with pytest.raises(LedgerError, match="continues with 'count'"):
            ledger.charge("count", GaussianEvent(sigma=19.0))
        ledger.charge(*self.plan[0])
        ledger.charge(*self.plan[1])
        with pytest.raises(LedgerError, match="all 2 events"):
            ledger.charge(*self.plan[1])
        assert 0.0 < ledger.epsilon_spent() == ledger.spent <= 3.0
        assert Ledger.from_json(ledger.to_json()).to_json() == ledger.to_json()

    def test_a_plan_that_does_not_fit_reserves_nothing(self) -> None:
        ledger = self.ledger(epsilon=0.01)
        with pytest.raises(BudgetExceededError):
            ledger.reserve(self.plan)
        assert ledger.plan == ()

    def test_filters_take_no_plan_and_plans_are_not_empty(self) -> None:
        with pytest.raises(LedgerError, match="takes no plan"):
            Ledger(make_accountant("zcdp", Budget(epsilon=1.0, delta=1e-9))).reserve(self.plan)
        with pytest.raises(LedgerError, match="at least one"):
            self.ledger().reserve(())


class TestPartsAhead:
    """What a plan begins with for another than whoever reserves the rest."""

    AHEAD = (("preparation", GdpEvent(mu=0.1)),)
    RUN = DpSgdEvent(noise_multiplier=10.0, sample_rate=0.1, steps=5)
    REST = (("one-ways", GdpEvent(mu=0.05)), ("dpsgd", RUN))

    def ledger(self) -> Ledger:
        accountant = make_accountant("pld", Budget(epsilon=1.0, delta=1e-9))
        return Ledger(accountant, ahead=self.AHEAD)

    def test_they_are_priced_with_the_rest_and_charged_when_that_is_reserved(self) -> None:
        ledger = self.ledger()
        with pytest.raises(LedgerError, match="reserved first"):
            ledger.charge(*self.AHEAD[0])
        assert ledger.entries == ()
        ledger.reserve(self.REST)
        assert ledger.plan == (*self.AHEAD, *self.REST)
        assert [e.label for e in ledger.entries] == ["preparation"]
        plain = Ledger(ledger.accountant)
        plain.reserve((*self.AHEAD, *self.REST))
        for label, event in plain.plan:
            plain.charge(label, event)
        for label, event in self.REST:
            ledger.charge(label, event)
        assert ledger.to_json() == plain.to_json()
        assert Ledger.from_json(ledger.to_json()).to_json() == ledger.to_json()

    def test_the_rest_may_be_stated_again_and_no_other(self) -> None:
        ledger = self.ledger()
        ledger.reserve(self.REST)
        before = ledger.to_json()
        ledger.reserve(self.REST)
        other = (("one-ways", GdpEvent(mu=0.04)), self.REST[1])
        for changed in (other, (("x", self.REST[0][1]), self.REST[1]), self.REST[1:]):
            with pytest.raises(LedgerError, match="depends on answers"):
                ledger.reserve(changed)
        assert ledger.to_json() == before
        ledger.charge(*self.REST[0])
        with pytest.raises(LedgerError, match="depends on answers"):
            ledger.reserve(self.REST)

    def test_a_whole_that_does_not_fit_charges_nothing(self) -> None:
        ledger = self.ledger()
        with pytest.raises(BudgetExceededError):
            ledger.reserve((("one-ways", GdpEvent(mu=3.0)),))
        assert (ledger.entries, ledger.plan) == ((), ())
