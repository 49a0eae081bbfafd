"""Schedules: one way to state the steps, under filters and under accountants of plans."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.schedule import Measurements, Selections, Step
from dpsynth.errors import InvalidValueError, LedgerError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import ComposedEvent, GaussianEvent, NoiseLaw
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise
from dpsynth.privacy.receipt import Receipt
from tests.tables import coded_table

PLANS = ("bounded_range", "pld", "rdp")
ONES = Measurements(share=0.3, queries=3, label="ones")
PICKS = Selections(share=0.2, rounds=2, label="pick")
PAIRS = Measurements(share=0.5, queries=1, label="pair")
STEPS: list[Step] = [ONES, PICKS, PAIRS]
CANDIDATES = [("c0", "c1"), ("c1", "c2")]


def curated(
    accountant: str, *, noise: Any = None, relation: Neighbouring = Neighbouring.ADD_REMOVE
) -> PrivateData:
    return PrivateData(
        coded_table(np.zeros((40, 3), dtype=int), (2, 3, 4)),
        Budget(epsilon=1.0, delta=1e-9, relation=relation),
        noise=noise or ResearchNoise(rng=np.random.default_rng(1)),
        accountant=accountant,
    )


def follow(private: PrivateData, steps: list[Step]) -> list[float]:
    sizes = private.domain.sizes
    ones, picks, pairs = private.schedule(steps)
    private.marginals([("c0",), ("c1",), ("c2",)], sigmas=[ones] * 3, label="ones")
    chosen = [
        private.select_worst(
            CANDIDATES,
            lambda clique: np.zeros([sizes[a] for a in clique]),
            epsilon=picks,
            label="pick",
        )
        for _ in range(2)
    ]
    private.marginal(chosen[-1], sigma=pairs, label="pair")
    return [ones, picks, pairs]


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("accountant", ["zcdp", "gdp", "pure", *PLANS])
def test_one_schedule_spends_the_whole_budget_of_any_accountant(
    accountant: str, relation: Neighbouring
) -> None:
    private = curated(accountant, relation=relation)
    follow(private, STEPS)
    receipt = private.receipt()
    assert 0.999 <= receipt.epsilon_spent <= 1.0
    assert receipt.spent == pytest.approx(sum(e.cost for e in receipt.entries))
    assert receipt.spent <= receipt.capacity
    assert [e.label for e in receipt.entries] == ["ones", "pick", "pick", "pair"]
    assert Receipt.from_json(receipt.to_json()) == receipt


def test_bounded_range_buys_less_noise_than_the_filters_and_plain_plans() -> None:
    levels = {name: follow(curated(name), STEPS) for name in ("zcdp", "pld", "bounded_range")}
    for other in ("zcdp", "pld"):
        assert levels["bounded_range"][0] < 0.99 * levels[other][0]
        assert levels["bounded_range"][1] > 1.01 * levels[other][1]


def test_shares_are_of_rho_under_a_plan() -> None:
    ones, picks, pair = curated("bounded_range").schedule(STEPS)
    rho_of_one, rho_of_pick = 1.0 / (2.0 * ones**2), picks**2 / 8.0
    assert 3.0 * rho_of_one / 0.3 == pytest.approx(2.0 * rho_of_pick / 0.2, rel=1e-9)
    assert 3.0 * rho_of_one / 0.3 == pytest.approx(1.0 / (2.0 * pair**2) / 0.5, rel=1e-9)


def test_a_filter_charges_nothing_for_a_schedule_and_takes_another() -> None:
    private = curated("zcdp")
    assert private.schedule(STEPS) == private.schedule(STEPS)
    assert private.ledger.spent == 0.0


def test_a_plan_is_followed_in_order_and_reserved_once() -> None:
    private = curated("bounded_range")
    ones, _, pair = private.schedule(STEPS)
    with pytest.raises(LedgerError, match="already"):
        private.schedule(STEPS)
    with pytest.raises(LedgerError, match="continues with 'ones'"):
        private.marginal(("c0", "c1"), sigma=pair, label="pair")
    with pytest.raises(LedgerError):
        private.marginals([("c0",), ("c1",), ("c2",)], sigmas=[0.9 * ones] * 3, label="ones")
    assert private.ledger.entries == ()


def test_released_noise_has_the_law_of_the_plan() -> None:
    private = curated("bounded_range", noise=ReleaseNoise())
    follow(private, STEPS)
    first = private.receipt().entries[0].event
    assert isinstance(first, ComposedEvent)
    laws = [part.law for part in first.events if isinstance(part, GaussianEvent)]
    assert laws == [NoiseLaw.ROUNDED] * 3
    assert private.receipt().mode == "release"


@pytest.mark.parametrize("accountant", ["zcdp", "bounded_range"])
@pytest.mark.parametrize(
    "steps",
    [
        [],
        [replace(ONES, share=0.0)],
        [replace(ONES, share=float("nan"))],
        [ONES, replace(PAIRS, share=0.71)],
        [replace(ONES, queries=0)],
        [replace(PICKS, rounds=0)],
    ],
)
def test_what_is_no_schedule_is_refused(accountant: str, steps: list[Step]) -> None:
    private = curated(accountant)
    with pytest.raises(InvalidValueError):
        private.schedule(steps)
    assert private.ledger.plan == ()
    private.schedule(STEPS)
