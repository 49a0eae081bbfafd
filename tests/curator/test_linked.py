"""Two tables, one ledger: a whole unit moves what its rows bound, and both parts are paid for."""

import copy
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.linked import LinkedPrivateData
from dpsynth.curator.queries import MarginalQuery
from dpsynth.curator.unit import kept_rows
from dpsynth.data.encoding import Codec
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.linked_tables import LinkedTables
from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import (
    BudgetExceededError,
    InvalidValueError,
    PrivacyError,
    UnsupportedEventError,
)
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise
from dpsynth.privacy.receipt import Receipt
from tests.linked.panels import LINKED, panel


def schema(k: int) -> LinkedSchema:
    events = Schema(
        unit="who",
        max_rows_per_unit=k,
        columns=(
            IntegerColumn(name="t", lower=0, upper=3),
            IntegerColumn(name="v", lower=0, upper=1),
        ),
    )
    units = Schema(columns=(CategoricalColumn(name="u", categories=("a", "b")),))
    return LinkedSchema(events=events, units=units, time="t", max_events=4)


def budget(relation: Neighbouring = Neighbouring.ADD_REMOVE, k: int = 2) -> Budget:
    return Budget(epsilon=1, delta=1e-9, relation=relation, unit="patient", max_rows_per_unit=k)


def tables(k: int, *people: tuple[str, str, list[tuple[int, int]]]) -> LinkedTables:
    units = pd.DataFrame([(who, u) for who, u, _ in people], columns=["who", "u"])
    rows = [(who, *row) for who, _, own in people for row in own]
    return LinkedTables(
        schema=schema(k), units=units, events=pd.DataFrame(rows, columns=["who", "t", "v"])
    )


def counted(k: int, table: Table, owner: dict[int, int]) -> np.ndarray:
    """Return the codes that a curator counts; rows that units share have the same words."""
    assert table.units is not None
    words = np.empty(len(table), dtype=np.uint64)
    for unit in set(table.units.tolist()):
        own = table.units == unit
        words[own] = np.random.default_rng(owner[unit]).integers(2**62, size=own.sum())
    return Codec(schema=table.schema).encode(table)[kept_rows(table.units, k, words)]


OTHERS = (
    ("p", "a", [(0, 1), (1, 0), (2, 1), (3, 1)]),
    ("q", "b", [(2, 0)]),
    ("r", "a", [(0, 0), (0, 1), (1, 1)]),
)
LIVES = [
    (u, [(t, v) for t, v in zip(times, values, strict=True)])
    for u in ("a", "b")
    for times in ((), (1,), (0, 3), (0, 1, 2), (0, 1, 2, 3), (1, 1, 1, 1, 1))
    for values in product((0, 1), repeat=len(times))
    if sum(values) in (0, 1, len(times))
]


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_a_unit_with_all_its_events_moves_no_answer_by_more_than_declared(
    relation: Neighbouring, k: int
) -> None:
    """Each of 50 lives against none, or against another; others stay as they are."""
    worlds = [tables(k, *OTHERS)]
    worlds += [tables(k, ("new", u, life), *OTHERS) for u, life in LIVES]
    # Numbers of units differ by one once somebody comes first; the words must follow the person.
    owners = [{0: 1, 1: 2, 2: 3}] + [{0: 99, 1: 1, 2: 2, 3: 3}] * len(LIVES)
    known = Budget(epsilon=1, delta=1e-9, relation=relation, unit="who", max_rows_per_unit=k)
    for part, rows in (("starts", 1), ("transitions", k)):
        domain = getattr(schema(k), part).domain
        codes = [counted(rows, getattr(w, part), o) for w, o in zip(worlds, owners, strict=True)]
        scaled = replace(known, max_rows_per_unit=rows)
        pair = ("u", "number of events")
        shape = tuple(domain.sizes[a] for a in pair)
        for query in (
            MarginalQuery(clique=domain.attributes[-2:]),
            MarginalQuery(clique=pair),
            InteractionQuery(clique=pair, shape=shape),
        ):
            answers = np.array([query.exact(c, domain).ravel() for c in codes], dtype=np.float64)
            first = answers[:1] if relation is Neighbouring.ADD_REMOVE else answers[1:]
            worst = max(float(np.linalg.norm(answers[1:] - a, axis=1).max()) for a in first)
            assert worst <= query.sensitivity(scaled) * (1 + 1e-12)
            assert worst > 0.8 * query.sensitivity(scaled)  # it is not vacuous
            if rows > 1:  # the planted bug: transitions priced as if a unit had one
                single = replace(known, max_rows_per_unit=1)
                assert worst > query.sensitivity(single) * (1 + 1e-9)


def door(seed: int = 0, share: float = 0.25, accountant: str = "gdp") -> LinkedPrivateData:
    units, events = panel()
    return LinkedPrivateData(
        LinkedTables(schema=LINKED, events=events, units=units),
        budget() if accountant != "pure" else replace(budget(), delta=0.0),
        noise=ResearchNoise(rng=np.random.default_rng(seed)),
        units_share=share,
        accountant=accountant,
    )


@pytest.mark.parametrize("accountant", ["gdp", "zcdp", "pure"])
def test_both_parts_are_charged_before_anything_is_asked(accountant: str) -> None:
    private = door(accountant=accountant)
    ledger = private.ledger
    assert [entry.label for entry in ledger.entries] == ["units", "events"]
    assert ledger.spent <= ledger.capacity
    assert ledger.remaining <= 1e-9 * ledger.capacity
    assert private.units.remaining == pytest.approx(0.25 * ledger.capacity, rel=1e-9)
    assert private.events.remaining == pytest.approx(0.75 * ledger.capacity, rel=1e-9)
    for part in (private.units, private.events):
        with pytest.raises(BudgetExceededError):
            part.count(sigma=part.sigma_for(2 * part.remaining))
        part.count(sigma=part.sigma_for(part.remaining))
    assert private.receipt().epsilon_spent <= 1.0


def test_a_row_of_units_is_priced_as_one_and_transitions_as_k() -> None:
    private = door()
    private.units.marginal(("sex",), sigma=90.0)
    assert private.units.ledger.entries[0].event.sensitivity == 1.0  # type: ignore[attr-defined]
    private.events.marginal(("ward",), sigma=90.0)
    assert private.events.ledger.entries[0].event.sensitivity == 2.0  # type: ignore[attr-defined]


def test_receipts_state_the_unit_and_read_back() -> None:
    private = door()
    private.units.count(sigma=20.0)
    for receipt in (private.receipt(), private.units.receipt(), private.events.receipt()):
        assert receipt.budget.unit == "patient"
        assert Receipt.from_json(receipt.to_json()).to_json() == receipt.to_json()
        assert receipt.unprotected == ()
    assert "one patient, at most 2 row(s) each" in private.receipt().to_json()


def test_the_receipt_names_what_was_drafted_from_either_table() -> None:
    units, events = panel()
    assert LINKED.units is not None
    drafted = replace(
        LINKED,
        units=replace(LINKED.units, inferred=("sex.categories",)),
        events=replace(LINKED.events, inferred=("ward.categories",)),
    )
    private = LinkedPrivateData(
        LinkedTables(schema=drafted, events=events, units=units),
        budget(),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
        units_share=0.5,
    )
    assert private.receipt().unprotected == ("sex.categories", "ward.categories")


def test_what_cannot_be_shared_out_is_refused() -> None:
    for accountant in ("pld", "bounded_range"):
        with pytest.raises(UnsupportedEventError, match="two tables under one budget"):
            door(accountant=accountant)
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(InvalidValueError, match="units_share"):
            door(share=share)
    units, events = panel()
    data = LinkedTables(schema=LINKED, events=events, units=units)
    for wrong in (replace(budget(), unit="person"), budget(k=1)):
        with pytest.raises(InvalidValueError):
            LinkedPrivateData(data, wrong, noise=ReleaseNoise(), units_share=0.5)
    with pytest.raises(PrivacyError):
        copy.copy(door())


@pytest.mark.parametrize("k", [1, 2])
def test_the_number_of_units_is_public_under_replace_and_that_of_transitions_is_not(k: int) -> None:
    units, events = panel()
    schema = replace(LINKED, events=replace(LINKED.events, max_rows_per_unit=k))
    private = LinkedPrivateData(
        LinkedTables(schema=schema, events=events, units=units),
        budget(Neighbouring.REPLACE, k),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
        units_share=0.5,
    )
    assert private.units.public_rows == len(units)
    assert private.events.public_rows is None
    assert private.events.merged({"ward": (0, 0, 1)}).public_rows is None
