"""What a part was spent on is told in shares of its charge, and never counted once more."""

import json
import re
from math import sqrt
from typing import Any

import pytest

from dpsynth.errors import DpsynthError, LedgerError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.breakdown import NOTE, breakdown
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import DpSgdEvent, GaussianEvent, GdpEvent, PureEvent, ZcdpEvent
from dpsynth.privacy.filters import part_of
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.receipt import Receipt

PART = GdpEvent(mu=0.2)
SGD = DpSgdEvent(noise_multiplier=4.0, sample_rate=0.1, steps=10)
ASKED = (
    ("bounds of age", GaussianEvent(sigma=10.0, sensitivity=1.0)),
    ("tree of age", PureEvent(epsilon=0.05)),
    ("spread of age", GaussianEvent(sigma=1.0 / sqrt(0.02), sensitivity=1.0)),
)


def planned(*, opened: bool = True) -> Ledger:
    """Return a ledger whose first charge was a part, of which a seventh is left."""
    accountant = make_accountant("pld", Budget(epsilon=2.0, delta=1e-6))
    ledger = Ledger(accountant, ahead=(("preparation of 1 columns", PART),))
    ledger.reserve([("dpsgd", SGD)])
    part = Ledger(part_of(accountant, PART))
    if opened:
        ledger.opened(part, "preparation of 1 columns", PART)
    for label, event in ASKED:
        part.charge(label, event)
    ledger.charge("dpsgd", SGD)
    return ledger


def test_shares_are_those_of_mu_squared() -> None:
    (found,) = planned().breakdowns()
    assert (found.entry, found.currency) == (0, "mu^2")
    assert found.amount == pytest.approx(0.04)
    shares = [each.share for each in found.purchases]
    assert shares[::2] == pytest.approx([0.25, 0.5])
    pure = make_accountant("gdp", Budget(epsilon=2.0, delta=1e-6)).cost(ASKED[1][1]) / 0.04
    assert shares[1] == pytest.approx(pure)
    assert found.unused == pytest.approx(0.25 - pure)


def test_a_part_costs_the_same_whatever_is_told_of_it() -> None:
    told, silent = planned(), planned(opened=False)
    assert told.to_json() == silent.to_json()
    receipts = [ledger.receipt(mode="release") for ledger in (told, silent)]
    for field in ("ledger", "entries", "spent", "epsilon_spent", "capacity"):
        assert getattr(receipts[0], field) == getattr(receipts[1], field)
    records = [json.loads(receipt.to_json()) for receipt in receipts]
    assert records[0].pop("within")
    assert records[0] == records[1]


def test_text_cannot_be_added_up_to_more_than_the_entry() -> None:
    receipt = planned().receipt(mode="release")
    lines = receipt.summary().splitlines()
    numbered = [line for line in lines if re.match(r" +\d+  \S+ ", line)]
    assert len(numbered) == len(receipt.entries) == 2, "sub-lines have no number and no cost"
    at = lines.index(numbered[0])
    assert "all within this line's mu 0.2, nothing of it in addition" in lines[at + 1]
    below = lines[at + 2 : lines.index(numbered[1])]
    assert all(line.startswith("         of which ") for line in below)
    percents = [float(found) for found in re.findall(r"([\d.]+)%", "\n".join(below))]
    assert sum(percents) == pytest.approx(100.0, abs=0.02)
    assert [line.split()[-1] for line in below] == ["age", "age", "age", "used"]
    assert "mu 0.1 " in below[0]
    assert "one cost for all of it" in receipt.summary()


def test_json_says_so_too_and_has_no_cost_below_the_entry() -> None:
    receipt = planned().receipt(mode="release")
    assert Receipt.from_json(receipt.to_json()) == receipt
    (within,) = json.loads(receipt.to_json())["within"]
    assert within["note"] == NOTE
    assert "cost" not in json.dumps(within)
    assert sum(each["share_of_entry"] for each in within["of_which"]) <= 1.0
    assert len(json.loads(receipt.to_json())["ledger"]["entries"]) == 2


@pytest.mark.parametrize(
    ("name", "part", "event"),
    [
        ("zcdp", ZcdpEvent(rho=0.02), GaussianEvent(sigma=10.0, sensitivity=1.0)),
        ("gdp", GdpEvent(mu=0.2), GaussianEvent(sigma=10.0, sensitivity=1.0)),
        ("pure", PureEvent(epsilon=0.2), PureEvent(epsilon=0.05)),
    ],
)
def test_parts_of_filters_are_told_in_their_currency(name: str, part: Any, event: Any) -> None:
    delta = 0.0 if name == "pure" else 1e-6
    accountant = make_accountant(name, Budget(epsilon=2.0, delta=delta))
    found = breakdown(3, part, [("one", event), ("two", event)], accountant)
    assert found.currency == accountant.currency
    assert [each.share for each in found.purchases] == pytest.approx([0.25] * 2, rel=1e-6)
    assert any("50.00%" in line and "not used" in line for line in found.lines())


def test_charges_in_between_leave_a_breakdown_with_its_entry() -> None:
    accountant = make_accountant("gdp", Budget(epsilon=2.0, delta=1e-6))
    ledger, event = Ledger(accountant), GdpEvent(mu=0.1)
    for label in ("one", "two", "two"):
        ledger.charge(label, event)
    parts = [Ledger(part_of(accountant, event)) for _ in range(3)]
    for part, label, asked in zip(parts, ("two", "one", "two"), "abc", strict=True):
        ledger.opened(part, label, event)
        part.charge(asked, GdpEvent(mu=0.05))
    told = {one.entry: one.purchases[0].label for one in ledger.breakdowns()}
    assert told == {0: "b", 1: "c", 2: "a"}


def test_one_question_for_a_whole_part_needs_no_line() -> None:
    event = GaussianEvent(sigma=5.0, sensitivity=1.0)
    accountant = make_accountant("gdp", Budget(epsilon=2.0, delta=1e-6))
    assert breakdown(0, GdpEvent(mu=0.2), [("5 marginals", event)], accountant).lines() == []


def test_more_than_the_part_is_refused() -> None:
    accountant = make_accountant("pld", Budget(epsilon=2.0, delta=1e-6))
    with pytest.raises(LedgerError, match="costs more"):
        breakdown(0, GdpEvent(mu=0.1), ASKED, accountant)


def _entry(within: list[Any]) -> None:
    within[0]["entry"] = 1


def _beyond(within: list[Any]) -> None:
    within[0]["entry"] = 7


def _share(within: list[Any]) -> None:
    within[0]["of_which"][0]["share_of_entry"] = 0.2


def _event(within: list[Any]) -> None:
    within[0]["of_which"][0]["event"]["sigma"] = 3.0


def _left_out(within: list[Any]) -> None:
    within[0]["of_which"].pop()


def _amount(within: list[Any]) -> None:
    within[0]["amount_of_entry"] = 0.05


def _currency(within: list[Any]) -> None:
    within[0]["currency"] = "rho"


def _twice(within: list[Any]) -> None:
    within.append(within[0])


def _note(within: list[Any]) -> None:
    within[0]["note"] = "charged in addition"


@pytest.mark.parametrize(
    "edit", [_entry, _beyond, _share, _event, _left_out, _amount, _currency, _twice, _note]
)
def test_an_edited_breakdown_is_refused(edit: Any) -> None:
    record = json.loads(planned().receipt(mode="release").to_json())
    edit(record["within"])
    with pytest.raises(DpsynthError):
        Receipt.from_json(json.dumps(record))
