"""Receipts: what they state, that they survive a file, and that they cannot drift from a ledger."""

import json
import pickle
from dataclasses import replace

import pytest

from dpsynth.errors import DpsynthError, InvalidValueError, LedgerError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import ExponentialEvent, GaussianEvent, NoiseLaw
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.receipt import Receipt, make_receipt
from dpsynth.privacy.rounding import rounded_up
from dpsynth.privacy.statement import claim_statement


def spent_ledger() -> Ledger:
    budget = Budget(
        epsilon=1, delta=1e-9, relation=Neighbouring.REPLACE, unit="person", max_rows_per_unit=3
    )
    ledger = Ledger(make_accountant("zcdp", budget))
    noise = GaussianEvent(
        sigma=40, sensitivity=2**0.5, law=NoiseLaw.DISCRETE, sampling_distance=1e-17
    )
    ledger.charge("one-way", noise)
    ledger.charge("choice", ExponentialEvent(epsilon=0.05))
    return ledger


@pytest.fixture(params=["research", "release"])
def receipt(request: pytest.FixtureRequest) -> Receipt:
    return make_receipt(
        spent_ledger(),
        mode=request.param,
        unprotected=["bounds of 'age'"],
        justification="the smallest at which the pilot was useful",
        created="2026-01-02",
    )


def test_a_receipt_sums_to_its_ledger() -> None:
    ledger = spent_ledger()
    receipt = ledger.receipt(mode="release", unprotected=("bounds",))
    assert receipt.spent == ledger.spent == sum(entry.cost for entry in receipt.entries)
    assert receipt.epsilon_spent == ledger.epsilon_spent() <= receipt.budget.epsilon
    assert receipt.capacity == ledger.capacity
    assert receipt.delta == 1e-9
    assert receipt.unprotected == ("bounds",)
    assert {"python", "numpy", "dp-accounting"} <= set(receipt.versions)


def test_receipts_survive_json_and_pickle(receipt: Receipt) -> None:
    assert Receipt.from_json(receipt.to_json()) == receipt
    assert Receipt.from_json(json.dumps(json.loads(receipt.to_json()), indent=2)) == receipt
    assert pickle.loads(pickle.dumps(receipt)) == receipt


def test_seeded_noise_is_marked_everywhere(receipt: Receipt) -> None:
    seeded = receipt.mode == "research"
    assert receipt.not_for_release is seeded
    assert json.loads(receipt.to_json())["not_for_release"] is seeded
    assert ("NOT FOR RELEASE" in receipt.summary()) is seeded
    assert ("not for release" in claim_statement(receipt)["randomness"]) is seeded


def test_the_summary_says_what_was_promised_spent_and_left_out(receipt: Receipt) -> None:
    text = receipt.summary()
    for part in ("(1, 1e-09)", "one person replaced", "zcdp", "one-way", "choice", "bounds of"):
        assert part in text


def test_what_was_spent_is_stated_rounded_up_and_within_the_budget() -> None:
    ledger = Ledger(make_accountant("zcdp", Budget(epsilon=0.02, delta=1e-9)))
    ledger.charge("all", GaussianEvent(sigma=ledger.capacity**-0.5))
    receipt = replace(ledger.receipt(mode="release"), epsilon_spent=0.020000000000000014)
    assert json.loads(receipt.to_json())["epsilon_spent"] == receipt.epsilon_spent
    for text in (receipt.summary(), claim_statement(receipt)["guarantee"]):
        assert "epsilon 0.02 " in text
        assert "0.0200" not in text
    third = Ledger(make_accountant("zcdp", Budget(epsilon=1 / 3, delta=1e-9)))
    third.charge("half", GaussianEvent(sigma=third.capacity**-0.5))
    whole = third.receipt(mode="release")
    assert "(0.333334, 1e-09)-differential" in whole.summary()
    stated = float(whole.epsilon_stated)
    assert whole.epsilon_spent <= stated < whole.epsilon_spent * (1 + 1e-5)
    assert len(whole.epsilon_stated) <= 8
    assert f"spent epsilon {whole.epsilon_stated} " in whole.summary()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.1, "0.1"),
        (1 / 3, "0.333334"),
        (0.020000000000000014, "0.0200001"),
        (1, "1"),
        (10.0, "10"),
        (123456.2, "123457"),
        (1e-9, "1e-09"),
        (1.2345671e-9, "1.23457e-09"),
    ],
)
def test_numbers_are_rounded_up(value: float, text: str) -> None:
    assert rounded_up(value) == text


def test_digits_may_be_fewer() -> None:
    assert rounded_up(0.750001, digits=4) == "0.7501"
    assert rounded_up(0.7501, digits=4) == "0.7501"


def test_the_statement_answers_every_question_of_a_claim(receipt: Receipt) -> None:
    statement = claim_statement(receipt)
    assert set(statement) == {
        "unit",
        "relation",
        "guarantee",
        "scope",
        "post_processing",
        "trust_model",
        "mechanisms",
        "randomness",
        "side_channels",
        "justification",
        "subgroup_error",
        "access",
        "domain",
        "accounting",
    }
    assert all(statement.values())
    assert "at most 3 row" in statement["unit"]
    assert "GaussianEvent" in statement["mechanisms"]
    assert "pilot" in statement["justification"]
    assert "bounds of 'age'" in statement["domain"]
    silent = make_receipt(spent_ledger(), mode="release")
    assert claim_statement(silent)["justification"] == "not stated"
    assert "none declared" in claim_statement(silent)["domain"]


def test_sampling_is_said_to_be_free(receipt: Receipt) -> None:
    for text in (receipt.summary(), claim_statement(receipt)["post_processing"]):
        for part in ("cost", "nothing", "conditional", "balanced", "counterfactual"):
            assert part in text


def test_a_receipt_of_an_earlier_version_is_read(receipt: Receipt) -> None:
    record = json.loads(receipt.to_json())
    record["statement"].pop("post_processing")
    assert Receipt.from_json(json.dumps(record)) == receipt
    promise = record["statement"]["guarantee"].partition("epsilon")[0]
    exact = f"{promise}epsilon {receipt.epsilon_spent!r} was spent"
    assert record["statement"]["guarantee"] != exact
    record["statement"]["guarantee"] = exact
    assert Receipt.from_json(json.dumps(record)) == receipt
    for edit in ({"post_processing": "everything is free"}, {"scope": "all"}):
        with pytest.raises(LedgerError):
            Receipt.from_json(json.dumps({**record, "statement": {**record["statement"], **edit}}))
    with pytest.raises(LedgerError):
        Receipt.from_json(json.dumps({**record, "statement": "none"}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spent", 0.0),
        ("epsilon_spent", 0.1),
        ("epsilon_spent", "little"),
        ("capacity", 9.0),
        ("delta", 0.0),
        ("accountant", "gdp"),
        ("not_for_release", False),
        ("mode", "release "),
        ("budget", {"epsilon": 0.5}),
        ("versions", ["1"]),
        ("unprotected", "nothing"),
        ("format", "dpsynth-receipt-0"),
    ],
)
def test_an_edited_receipt_is_refused(field: str, value: object) -> None:
    record = json.loads(make_receipt(spent_ledger(), mode="research").to_json())
    record[field] = value
    with pytest.raises(DpsynthError):
        Receipt.from_json(json.dumps(record))


def test_a_receipt_of_an_edited_ledger_is_refused() -> None:
    record = json.loads(make_receipt(spent_ledger(), mode="research").to_json())
    record["ledger"]["entries"].pop()
    with pytest.raises(LedgerError):
        Receipt.from_json(json.dumps(record))


def test_a_claimed_epsilon_that_the_events_do_not_have_is_refused() -> None:
    """The statement repeats it, so that both must be forged; it is recomputed all the same."""
    text = make_receipt(spent_ledger(), mode="research").to_json()
    honest = repr(json.loads(text)["epsilon_spent"])
    with pytest.raises(LedgerError):
        Receipt.from_json(text.replace(honest, "0.001"))


def test_modes_are_two() -> None:
    with pytest.raises(InvalidValueError, match="mode"):
        make_receipt(spent_ledger(), mode="secret")  # type: ignore[arg-type]
    for text in ("", "[]", "{}", "nonsense"):
        with pytest.raises(InvalidValueError):
            Receipt.from_json(text)


def test_an_empty_ledger_has_a_receipt() -> None:
    receipt = Ledger(make_accountant("pure", Budget(epsilon=1, delta=0))).receipt(mode="release")
    assert receipt.epsilon_spent == receipt.spent == 0.0
    assert Receipt.from_json(receipt.to_json()) == receipt
