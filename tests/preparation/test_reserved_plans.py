"""Open schemas for generators that train by DP-SGD: one plan, reserved before the first answer."""

from math import inf
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

import dpsynth
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.schedule import Measurements
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import CategoricalColumn, IntegerColumn
from dpsynth.errors import (
    BudgetExceededError,
    DpsynthError,
    InvalidValueError,
    LedgerError,
    UnsupportedEventError,
)
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.accountant import SAMPLING_SHARE
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.calibration import gdp_mu
from dpsynth.privacy.events import DpSgdEvent, GdpEvent
from dpsynth.privacy.failure import failure
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import ResearchNoise
from dpsynth.privacy.receipt import Receipt
from dpsynth.tuning.random_stopping import tune
from tests.doors import check_sentence, counted_charges
from tests.preparation.planned import Planned

DELTA = 1e-6
AGE = OpenNumber(name="age", whole=True, missing=False)
PAY = OpenNumber(name="pay", whole=False)
CITY = OpenText(name="city")
SEX = CategoricalColumn(name="sex", categories=("f", "m"))
HOURS = IntegerColumn(name="hours", lower=0, upper=99, bins=5)
OPEN = OpenSchema(columns=(AGE, PAY, CITY, SEX, HOURS))


def frame(rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, rows),
            "pay": np.round(rng.gamma(2.0, 1000.0, rows), 2),
            "city": rng.choice(["Oslo", "Rome", "Ulm"], rows, p=[0.6, 0.3, 0.1]),
            "sex": rng.choice(["f", "m"], rows),
            "hours": rng.integers(0, 99, rows),
        }
    )


FRAME = frame()


def fit(
    schema: OpenSchema = OPEN, *, plan: str = "fixed", data: Any = FRAME, **options: Any
) -> Any:
    named = {"epsilon": 1.0, "delta": DELTA, "seed": 0} | options
    return dpsynth.synthesize(data, schema=schema, generator=Planned(plan=plan), **named)


def columns_of(*columns: OpenColumn, **settings: Any) -> PrivateColumns:
    budget = Budget(epsilon=1.0, delta=DELTA)
    return PrivateColumns(
        FRAME[[c.name for c in columns]],
        OpenSchema(columns=columns),
        budget,
        noise=ResearchNoise(rng=np.random.default_rng(1)),
        accountant="pld",
        set_aside=Preparation().set_aside(columns, DELTA),
        **settings,
    )


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("accountant", ["pld", "rdp"])
@pytest.mark.parametrize("texts", [True, False])
def test_the_whole_costs_no_more_than_the_budget(
    relation: Neighbouring, accountant: str, texts: bool
) -> None:
    if accountant == "rdp" and relation is Neighbouring.REPLACE:
        pytest.skip("Renyi DP has no bound of Poisson sampling under replacement")
    plain = (OpenNumber(name="age", whole=True, atoms=False, missing=False), SEX)
    schema = OPEN if texts else OpenSchema(columns=plain)
    records = FRAME[list(schema.names)]
    receipt = fit(schema, data=records, relation=relation.value, accountant=accountant).receipt
    assert 0.9 < receipt.epsilon_spent <= 1.0
    assert receipt.accountant == accountant
    first, second, third = (entry.event for entry in receipt.entries)
    assert isinstance(first, GdpEvent)
    assert isinstance(second, GdpEvent)
    assert isinstance(third, DpSgdEvent)
    assert receipt.entries[0].label.startswith(
        f"preparation of {4 if texts else 1} columns (bounds,"
    )
    # delta: what the events need, what is set aside for failures, and what samplers have
    failed = failure([first, second, third])
    assert failed == pytest.approx(0.03 * DELTA if texts else 0.0, rel=1e-9)
    ledger = Ledger.from_json(receipt.ledger)
    assert ledger.accountant.delta + failed + SAMPLING_SHARE * DELTA <= DELTA
    assert Receipt.from_json(receipt.to_json()) == receipt
    told = [each.label for each in receipt.within[0].purchases]
    assert told[0] == "bounds of age"
    assert ("frequent values of city" in told) == texts
    assert [part.entry for part in receipt.within] == [0, 1], "what has steps is no part"
    # mu^2: preparation has its shares of the whole, the fit its share of the rest
    whole = gdp_mu(1.0, ledger.accountant.delta) ** 2
    share = 3 * 0.06 + 0.01 if texts else 0.06
    assert first.mu**2 == pytest.approx(share * whole, rel=1e-9)
    assert second.mu**2 == pytest.approx(0.3 * (whole - first.mu**2), rel=1e-9)


def test_what_is_bought_fills_its_part_and_no_more() -> None:
    private = columns_of(AGE, PAY, CITY)
    Preparation().reserve(private, lambda door: Planned().fit(door, rng=np.random.default_rng(0)))
    (entry,) = private.ledger.entries
    assert isinstance(entry.event, GdpEvent)
    asked: list[float] = []
    whole = Ledger.charge

    def charge(ledger: Ledger, label: str, event: Any) -> None:
        asked.append(event.failure)
        whole(ledger, label, event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "charge", charge)
        closed = Preparation().closed(private)
    # the ages turn out to be few, each with a code of its own: nothing more is bought of them
    assert 0 <= private.remaining < 0.5 * entry.event.mu**2
    assert sum(asked) <= entry.event.failure
    assert sum(failing > 0 for failing in asked) == 2
    city = closed.column("city")
    assert isinstance(city, CategoricalColumn)
    assert {"Oslo", "Rome"} <= set(city.categories)
    left = private.remaining
    with pytest.raises(BudgetExceededError):
        private.frequent("city", sigma=private.sigma_for(2 * left + entry.event.mu**2), parts=3)
    with pytest.raises(BudgetExceededError):
        private.decimals("pay", sigma=private.sigma_for(2 * left + 1e-3 * entry.event.mu**2))


def test_the_plan_is_reserved_before_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def noted(owner: Any, method: str) -> None:
        whole = getattr(owner, method)

        def told(self: Any, *given: Any, **named: Any) -> Any:
            order.append(method)
            return whole(self, *given, **named)

        monkeypatch.setattr(owner, method, told)

    for method in ("gaussian", "laplace"):
        noted(ResearchNoise, method)
    for method in ("reserve", "charge"):
        noted(Ledger, method)
    fit()
    # the rehearsal reserves, and is stopped when it has charged its first part; then the plan
    assert order[:4] == ["reserve", "charge", "charge", "reserve"]
    assert order[4:6] == ["charge", "gaussian"]


def test_a_rehearsal_draws_nothing_and_charges_no_ledger_that_counts() -> None:
    private = columns_of(AGE)
    noise = private._noise
    assert isinstance(noise, ResearchNoise)
    before, unspent = noise.state(), private.ledger
    with pytest.raises(BudgetExceededError):
        private.reserve(
            1e6, lambda door: door.reserve([("x", GdpEvent(mu=1.0))]), label="p", selects=False
        )
    assert private.ledger is unspent
    assert (unspent.entries, unspent.plan) == ((), ())
    Preparation().reserve(private, lambda door: Planned().fit(door, rng=np.random.default_rng(0)))
    assert noise.state() == before


def test_columns_cannot_be_asked_before_there_is_a_plan() -> None:
    private = columns_of(AGE, PAY, CITY)
    for ask in (
        lambda: private.sigma_for(0.1),
        lambda: private.frequent("city", sigma=5.0, parts=1),
        lambda: private.decimals("pay", sigma=5.0),
        lambda: private.tree("pay", 0.0, 10.0, amount=0.1, narrowest=1.0),
        lambda: Preparation().closed(private),
    ):
        with pytest.raises(DpsynthError):
            ask()
    assert private.ledger.entries == ()


def test_a_plan_that_depends_on_answers_is_refused() -> None:
    with pytest.raises(LedgerError, match="depends on answers") as caught:
        fit(plan="changed")
    check_sentence(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"plan": "missing"}, "charges only what was reserved first"),
        ({"accountant": "gdp"}, "training needs one of fixed plans"),
        ({"accountant": "zcdp"}, "training needs one of fixed plans"),
        ({"accountant": "bounded_range"}, "bounded_range"),
        ({"relation": "replace", "accountant": "rdp"}, "has no Renyi bound"),
        ({"delta": 0.0}, "delta"),
        ({"checkpoint": "c", "accountant": "gdp"}, "fixed plans"),
        (
            {
                "schema": OpenSchema(
                    columns=(AGE,), settings={"max_rows_per_unit": 2, "unit": "who"}
                ),
                "data": FRAME[["age"]].assign(who=np.arange(3000) // 2),
            },
            "several rows",
        ),
    ],
)
def test_refusals_come_before_anything_is_spent(
    options: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ResearchNoise, "gaussian", None)
    monkeypatch.setattr(ResearchNoise, "laplace", None)
    with pytest.raises(DpsynthError, match=said) as caught:
        fit(**options)
    check_sentence(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_records_in_a_file_are_refused_unread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    charges = counted_charges(monkeypatch)
    FRAME.to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(DpsynthError, match="needs the records in memory"):
        fit(data=tmp_path / "d.csv", out_of_core=True)
    assert charges == []


def test_an_accountant_of_plans_needs_a_generator_that_has_one() -> None:
    with pytest.raises(UnsupportedEventError, match="or a generator that trains by DP-SGD"):
        dpsynth.synthesize(
            FRAME, schema=OPEN, generator="independent", epsilon=1.0, accountant="pld"
        )


def test_a_schedule_behind_a_part_is_scaled_to_what_is_left() -> None:
    private = columns_of(AGE)
    steps = [Measurements(share=1.0, queries=3, label="some")]
    by = Preparation(share=0.5, column_share=0.5)

    def asked(door: PrivateData) -> object:
        sigmas = door.schedule(steps) * 3
        return door.marginals([("age",)] * 3, sigmas=sigmas, label="some")

    by.reserve(private, asked)
    accountant, plan = private.ledger.accountant, private.ledger.plan
    assert [label for label, _ in plan][1:] == ["some"]
    assert 0.99 < accountant.epsilon([event for _, event in plan]) <= 1.0


def test_nothing_open_needs_no_part() -> None:
    receipt = fit(OpenSchema(columns=(SEX,)), data=FRAME[["sex"]]).receipt
    assert [entry.label for entry in receipt.entries] == ["one-way marginals", "dpsgd"]


@pytest.mark.parametrize("share", [0.0, 0.03])
def test_without_a_part_of_delta_frequent_values_cost_as_distances(share: float) -> None:
    by = Preparation(delta_share=share)
    receipt = fit(preparation=by).receipt
    event = receipt.entries[0].event
    assert 0 < event.failure < inf
    assert (event.failure < 1e-6 * DELTA) == (share == 0.0)
    assert receipt.epsilon_spent <= 1.0


def test_seeds_decide_and_release_mode_draws_other_laws() -> None:
    first, again = fit(), fit()
    assert first.schema == again.schema
    pd.testing.assert_frame_equal(first.sample(50).frame, again.sample(50).frame)
    assert fit(seed=1).schema != first.schema
    released = fit(seed=None)
    assert released.receipt.mode == "release"
    assert released.receipt.epsilon_spent <= 1.0
    assert Receipt.from_json(released.receipt.to_json()) == released.receipt


def test_output_has_the_types_of_the_input() -> None:
    given = FRAME.assign(age=FRAME["age"].astype("int16"), pay=FRAME["pay"].astype("float32"))
    assert fit(data=given).sample(40).frame.dtypes.to_dict() == given.dtypes.to_dict()


def test_tuning_stays_with_closed_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    charges = counted_charges(monkeypatch)
    with pytest.raises(InvalidValueError, match="schema"):
        tune(
            FRAME,
            schema=OPEN,  # type: ignore[arg-type]
            generator="tests.preparation.planned:Planned",
            grid={"clipping_norm": [1.0, 2.0]},
            epsilon=1.0,
            delta=DELTA,
        )
    assert charges == []
