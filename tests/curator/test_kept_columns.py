"""Answers about columns that are kept: once recalled they are charged for, and answer no other."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.errors import BudgetExceededError, LedgerError
from tests.curator.test_private_columns import CELLS, door, watch

Ask = Callable[[PrivateColumns], Any]
Parts = dict[str, bytes]

ASKS: dict[str, Ask] = {
    "histogram": lambda opened: opened.histogram("x", CELLS, sigma=9.0, label="x"),
    "decimals": lambda opened: opened.decimals("x", sigma=9.0),
    "texts": lambda opened: opened.frequent("t", sigma=9.0, parts=1),
    "numbers": lambda opened: opened.frequent("x", sigma=9.0, parts=1),
    "tree": lambda opened: opened.tree("x", 0.0, 8.0, amount=0.01, narrowest=1.0),
}


def kept_by(parts: Parts, **budget: Any) -> PrivateColumns:
    """Return a door that goes on from `parts`, and writes there."""

    def write(kept: Mapping[str, bytes]) -> None:
        parts.update(kept)

    opened = door([1.0, 2.0, 7.0] * 100, ["a", "b", "a"] * 100, **budget)
    opened.keep_in(dict(parts), write)
    return opened


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_what_is_recalled_is_charged_and_looks_at_no_record(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: Parts = {}
    first = kept_by(parts)
    given = ask(first)
    touched = watch(monkeypatch)
    again = kept_by(parts)
    np.testing.assert_equal(ask(again), given)
    assert touched == []
    assert again.ledger.entries == first.ledger.entries
    assert again.ledger.spent > 0


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_a_spent_budget_recalls_draws_and_keeps_nothing(
    ask: Ask, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: Parts = {}
    if known:
        ask(kept_by(parts))
    before = dict(parts)
    poor = kept_by(parts, epsilon=1e-3)
    touched = watch(monkeypatch)
    with pytest.raises(BudgetExceededError):
        ask(poor)
    assert touched == []
    assert poor.ledger.entries == ()
    assert parts == before


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_an_answer_is_for_no_other_question(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    others: list[Ask] = [
        lambda opened: opened.histogram("x", CELLS, sigma=8.0, label="x"),
        lambda opened: opened.histogram("x", CELLS, sigma=9.0, label="y"),
    ]
    parts: Parts = {}
    ask(kept_by(parts))
    before, touched = dict(parts), watch(monkeypatch)
    for other in others:
        with pytest.raises(LedgerError, match="continues with"):
            other(kept_by(parts))
    assert touched == []
    assert parts == before
