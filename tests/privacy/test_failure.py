"""Answers that fail cost delta their probability: exact divergences of small mechanisms."""

import itertools
from dataclasses import replace
from math import exp, inf

import numpy as np
import pytest

from dpsynth.errors import BudgetExceededError, InvalidValueError
from dpsynth.privacy.accountant import Filter, make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.calibration import dpsgd_noise_multiplier
from dpsynth.privacy.event_json import event_from_json, event_to_json
from dpsynth.privacy.events import (
    ComposedEvent,
    DpSgdEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
)
from dpsynth.privacy.failure import allowed_failure, failure
from dpsynth.privacy.filters import part_of
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.receipt import Receipt, make_receipt

ADD_REMOVE = Budget(epsilon=1.0, delta=1e-6)
REPLACE = Budget(epsilon=1.0, delta=1e-6, relation=Neighbouring.REPLACE)


def hockey_stick(p: np.ndarray, q: np.ndarray, epsilon: float) -> float:
    return float(np.maximum(p - exp(epsilon) * q, 0.0).sum())


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The law of two answers; row i of `second` is that of the second after the first was i."""
    return (first[:, None] * second).ravel()


def failing(law: np.ndarray, f: float, where: np.ndarray) -> np.ndarray:
    """An answer of `law` that, with probability f, is one of others instead, appended to it."""
    return np.concatenate([(1 - f) * law, f * where])


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("budget", [ADD_REMOVE, REPLACE])
def test_failures_of_adaptive_answers_cost_no_more_than_stated(
    budget: Budget, epsilon: float
) -> None:
    """Two adaptive answers of random laws that fail into answers of their own (seed 0): divergence
    in both directions is at most that without failures and their summed probability."""
    rng = np.random.default_rng(0)
    largest = 0.0
    for _ in range(200):
        n, f = 3, rng.uniform(0, 0.2, 2)
        bare: list[np.ndarray] = []
        whole: list[np.ndarray] = []
        for side in range(2):
            # Under add/remove the smaller table does not fail; under replace both do, elsewhere.
            fails = f if side == 0 or budget is REPLACE else np.zeros(2)
            place = np.eye(2)[side]
            first = rng.dirichlet(np.ones(n))
            seconds = rng.dirichlet(np.ones(n), size=n + 2)
            ends = np.concatenate([first, np.zeros(2)])
            none = np.concatenate([seconds, np.zeros((n + 2, 2))], axis=1)
            bare.append(compose(ends, none))
            second = np.array([failing(s, fails[1], place) for s in seconds])
            whole.append(compose(failing(first, fails[0], place), second))
        for i, j in ((0, 1), (1, 0)):
            exact = hockey_stick(whole[i], whole[j], epsilon)
            without = hockey_stick(bare[i], bare[j], epsilon)
            assert exact <= without + f.sum() + 1e-12
            largest = max(largest, (exact - without) / f.sum())
    assert largest > 0.6  # the bound is not idle


def test_an_arbitrary_distance_costs_more() -> None:
    """The control of the theorem: a law that lacks 1% where the other table's law has it is within
    1% of one that keeps the guarantee, and costs e^epsilon times that."""
    epsilon, f = 3.0, 0.01
    p = np.array([0.2, 0.8])
    q = np.array([0.2 * exp(-epsilon), 1 - 0.2 * exp(-epsilon)])
    assert hockey_stick(p, q, epsilon) < 1e-15
    near = q + np.array([-1.0, 1.0]) * min(f, q[0])
    assert np.abs(near - q).sum() / 2 <= f
    assert hockey_stick(p, near, epsilon) > 10 * f


def discrete(spread: float, reach: int, kind: str) -> np.ndarray:
    support = np.arange(-reach, reach + 1, dtype=float)
    weights = (
        np.exp(-(support**2) / (2 * spread**2))
        if kind == "gauss"
        else np.exp(-abs(support) / spread)
    )
    return weights / weights.sum()


def selection(counts: tuple[int, ...], threshold: int, noise: np.ndarray, top: int) -> np.ndarray:
    """The exact law of partition selection: for each value either nothing, or its noisy count."""
    reach = len(noise) // 2
    laws = []
    for count in counts:
        law = np.zeros(top + 1)
        if count == 0:
            law[0] = 1.0
        else:
            for k, mass in zip(range(count - reach, count + reach + 1), noise, strict=True):
                law[k if threshold <= k <= top else 0] += mass
        laws.append(law)
    found = laws[0]
    for law in laws[1:]:
        found = np.multiply.outer(found, law)
    return found.ravel()


@pytest.mark.parametrize("kind", ["gauss", "laplace"])
@pytest.mark.parametrize("epsilon", [0.3, 1.0, 3.0])
def test_every_pair_of_small_tables_under_partition_selection(kind: str, epsilon: float) -> None:
    """Three values, up to two rows each, every neighbour: the exact divergence is at most that of
    the same answer restricted to common values, and the exact probability of failure, priced."""
    spread, threshold, reach, top = 1.0, 4, 9, 11
    noise = discrete(spread, reach, kind)
    tail = float(noise[np.arange(-reach, reach + 1) >= threshold - 1].sum())
    tables = list(itertools.product(range(3), repeat=3))
    tight = 0.0
    for one, two in itertools.product(tables, repeat=2):
        steps = sorted(b - a for a, b in zip(one, two, strict=True))
        add = steps in ([0, 0, 1], [-1, 0, 0])
        if not add and steps != [-1, 0, 1]:
            continue
        common = tuple(i for i in range(3) if one[i] and two[i])
        own = [tuple(c if i in common else 0 for i, c in enumerate(t)) for t in (one, two)]
        law = [selection(t, threshold, noise, top) for t in (one, two)]
        bare = [selection(t, threshold, noise, top) for t in own]
        exact = hockey_stick(law[0], law[1], epsilon)
        without = hockey_stick(bare[0], bare[1], epsilon)
        assert exact <= without + tail + 1e-15
        assert ((1 - tail) * bare[0] <= law[0] + 1e-15).all()  # what the proof asks of the law
        tight = max(tight, (exact - without) / tail)
    assert tight > 0.99


@pytest.mark.parametrize("name", ["zcdp", "gdp", "pure"])
def test_what_is_set_aside_is_paid_once(name: str) -> None:
    budget, plain = ADD_REMOVE, make_accountant(name, ADD_REMOVE)
    accountant = make_accountant(name, budget, set_aside=1e-7)
    assert isinstance(accountant, Filter)
    whole = accountant.delta + accountant.set_aside + accountant.sampling_delta
    assert 0.999999 * budget.delta < whole <= budget.delta
    assert accountant.capacity <= plain.capacity
    assert (accountant.capacity == plain.capacity) == (name == "pure")
    ledger = Ledger(accountant)
    each = allowed_failure(accountant, 3)
    event = LaplaceEvent(scale=100.0, failure=each)
    for _ in range(2):
        ledger.charge("selection", event)
    ledger.charge("nested", ComposedEvent(events=(event,)))
    with pytest.raises(BudgetExceededError, match="delta"):
        ledger.charge("one more", LaplaceEvent(scale=100.0, failure=each * 1e-6))
    ledger.charge("others", LaplaceEvent(scale=100.0))
    assert failure(entry.event for entry in ledger.entries) == pytest.approx(3 * each)
    assert 3 * each > 0.99e-7
    again = Ledger.from_json(ledger.to_json())
    assert (again.to_json(), again.accountant) == (ledger.to_json(), accountant)
    receipt = make_receipt(ledger, mode="release")
    assert Receipt.from_json(receipt.to_json()) == receipt
    assert "answers fail with probability" in receipt.to_json()
    # A part has nothing to pay with.
    part = Ledger(accountant.part(accountant.allotment(0.5 * accountant.capacity)))
    with pytest.raises(BudgetExceededError, match="delta"):
        part.charge("selection", event)


def test_where_nothing_is_set_aside_a_failure_is_a_distance() -> None:
    accountant = make_accountant("zcdp", ADD_REMOVE)
    allowed = accountant.sampling_delta / (1 + exp(1.0))
    ledger = Ledger(accountant)
    assert allowed_failure(accountant, 4) == pytest.approx(allowed / 8)
    ledger.charge("near", GaussianEvent(sigma=100.0, sampling_distance=0.5 * allowed))
    with pytest.raises(BudgetExceededError, match="delta"):
        ledger.charge("too much", GaussianEvent(sigma=100.0, failure=0.51 * allowed))
    ledger.charge("fits", GaussianEvent(sigma=100.0, failure=0.49 * allowed))


def test_an_event_without_a_failure_is_written_as_before() -> None:
    plain = GaussianEvent(sigma=2.0)
    assert "failure" not in event_to_json(plain)
    for event in (plain, GaussianEvent(sigma=2.0, failure=0.25)):
        assert event_from_json(event_to_json(event)) == event


@pytest.mark.parametrize("wrong", [-0.1, 1.0, inf, float("nan")])
def test_impossible_failures_and_shares_are_refused(wrong: float) -> None:
    with pytest.raises(InvalidValueError, match="failure"):
        GaussianEvent(sigma=1.0, failure=wrong)
    with pytest.raises(InvalidValueError, match="set_aside"):
        make_accountant("zcdp", ADD_REMOVE, set_aside=wrong)
    with pytest.raises(InvalidValueError, match="set_aside"):
        make_accountant("pure", Budget(epsilon=1.0, delta=0.0), set_aside=1e-9)


@pytest.mark.parametrize("name", ["gdp", "zcdp"])
def test_a_part_fails_as_its_allotment_was_charged_for(name: str) -> None:
    accountant = make_accountant(name, ADD_REMOVE, set_aside=1e-7)
    assert isinstance(accountant, Filter)
    paid = allowed_failure(accountant, 2)
    whole = accountant.allotment(0.3 * accountant.capacity)
    part, ledger = replace(whole, failure=paid), Ledger(accountant)
    for _ in range(2):
        ledger.charge("part", part)
    with pytest.raises(BudgetExceededError, match="delta"):
        ledger.charge("third", replace(whole, failure=1e-3 * paid))
    inner = Ledger(accountant.part(part))
    assert isinstance(inner.accountant, Filter)
    noise = inner.accountant.gaussian_sigma(0.1 * inner.capacity, sensitivity=1.0)
    once = GaussianEvent(sigma=noise, failure=allowed_failure(inner.accountant, 2))
    for _ in range(2):
        inner.charge("selection", once)
    fails = GaussianEvent(sigma=noise, failure=1e-3 * paid)
    for event in (fails, GaussianEvent(sigma=noise, sampling_distance=1e-300)):
        with pytest.raises(BudgetExceededError, match="delta"):
            inner.charge("too much", event)
    assert failure(e.event for e in inner.entries) <= paid
    again = Ledger.from_json(inner.to_json())
    assert (again.to_json(), again.accountant) == (inner.to_json(), inner.accountant)


@pytest.mark.parametrize("name", ["pld", "rdp"])
@pytest.mark.parametrize("set_aside", [0.0, 1e-7])
def test_a_plan_pays_once_for_the_failures_of_its_part(name: str, set_aside: float) -> None:
    accountant = make_accountant(name, ADD_REMOVE, set_aside=set_aside)
    paid = allowed_failure(accountant, 1)
    assert paid > 0
    part = GdpEvent(mu=0.1, failure=paid)
    run = DpSgdEvent(noise_multiplier=8.0, sample_rate=0.1, steps=10)
    plan = [("part", part), ("dpsgd", run)]
    with pytest.raises(BudgetExceededError, match="delta"):
        Ledger(accountant).reserve([*plan, ("more", replace(part, failure=paid)), *plan])
    ledger = Ledger(accountant)
    ledger.reserve(plan)
    for label, event in plan:
        ledger.charge(label, event)
    inner = part_of(accountant, part)
    assert (inner.failure_delta, inner.set_aside) == (paid, set_aside)
    assert inner.capacity <= part.mu**2
    receipt = make_receipt(ledger, mode="release")
    assert Receipt.from_json(receipt.to_json()) == receipt
    # epsilon is that at what is left of delta
    left = replace(ADD_REMOVE, delta=ADD_REMOVE.delta - set_aside)
    alone = make_accountant(name, left).epsilon([part, run])
    assert ledger.epsilon_spent() == pytest.approx(alone, rel=1e-6)


def test_only_a_part_has_failures_paid_elsewhere() -> None:
    for ceiling, failing in ((None, 1e-9), (0.01, 1.0), (0.01, -0.1), (0.01, float("nan"))):
        with pytest.raises(InvalidValueError, match="failing"):
            make_accountant("gdp", ADD_REMOVE, ceiling=ceiling, failing=failing)


def test_gradient_noise_is_calibrated_to_what_is_left_of_delta() -> None:
    aside, run = 0.5 * ADD_REMOVE.delta, {"sample_rate": 0.1, "steps": 5}

    def reserve(set_aside: float) -> None:
        multiplier = dpsgd_noise_multiplier(
            1.0, ADD_REMOVE.delta, relation=ADD_REMOVE.relation, set_aside=set_aside, **run
        )
        ledger = Ledger(make_accountant("pld", ADD_REMOVE, set_aside=aside))
        ledger.reserve([("dpsgd", DpSgdEvent(noise_multiplier=multiplier, **run))])

    reserve(aside)
    with pytest.raises(BudgetExceededError):
        reserve(0.0)
