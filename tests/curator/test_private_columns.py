"""The door to raw columns: everything is charged first, and one ledger leads to the model."""

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from dpsynth.curator import private_columns
from dpsynth.curator.cells import Cells, magnitude_edges
from dpsynth.curator.column_queries import ColumnHistogram, ColumnTree, ColumnValues
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.private_tree import PrivateTree
from dpsynth.curator.raw_columns import FrameColumns
from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.data.values import DECIMAL_CELLS, decimals_needed
from dpsynth.errors import (
    BudgetExceededError,
    DataError,
    InvalidValueError,
    LedgerError,
    PrivacyError,
    UnknownNameError,
    UnsupportedEventError,
)
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise

OPEN = OpenSchema(columns=(OpenNumber(name="x", whole=False), OpenText(name="t")))
CELLS = Cells(edges=np.array([-1.0, 0.0, 2.5, 10.0]), atoms=np.array([0.0, 7.0]))


def door(
    x: Any, t: Any = None, *, schema: OpenSchema = OPEN, accountant: str = "zcdp", **budget: Any
) -> PrivateColumns:
    frame = pd.DataFrame({"x": x, "t": ["a"] * len(x) if t is None else t})
    of = Budget(**{"epsilon": 1.0, "delta": 1e-9, **budget})
    noise = ResearchNoise(rng=np.random.default_rng(0))
    return PrivateColumns(frame, schema, of, noise=noise, accountant=accountant)


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that will say what was drawn or looked at."""
    touched = list[str]()
    drawn, records = (ResearchNoise, ("gaussian", "laplace")), (FrameColumns, ("numbers", "texts"))
    for owner, names in (drawn, records):
        for name in names:
            whole = getattr(owner, name)

            def watched(*of: Any, whole: Any = whole, name: str = name, **named: Any) -> Any:
                touched.append(name)
                return whole(*of, **named)

            monkeypatch.setattr(owner, name, watched)
    return touched


def test_cells_sort_values() -> None:
    values = np.array([-5.0, -0.5, 0.0, 1.0, 2.5, 7.0, 99.0, np.nan])
    assert CELLS.codes(values).tolist() == [0, 0, 3, 1, 2, 4, 2, 5]
    assert CELLS.size == 6


def test_decimals_and_magnitudes() -> None:
    values = np.array([1.0, 0.5, 0.25, 1e-15, 1 / 3, np.nan])
    assert decimals_needed(values).tolist() == [0, 1, 2, 15, 16, 17]
    edges = magnitude_edges(whole=True, lower=0.0, upper=100.0)
    assert edges.tolist() == [0, 1, 2, 4, 8, 16, 32, 64, 100]
    free = magnitude_edges(whole=False, lower=None, upper=None)
    assert (np.diff(free) > 0).all()
    assert free[0] == -(2.0**64)


def neighbours(rows: int, relation: Neighbouring) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield columns that differ in one unit of `rows` rows, at random and piled up."""
    rng = np.random.default_rng(1)
    values = np.array([-3.0, 0.0, 1.0, 7.0, 9.5, np.nan, 2.5])
    for piled in (False, True) * 10:
        rest = rng.choice(values, 12)
        mine = rng.choice(values, 1 if piled else rows).repeat(rows if piled else 1)
        other = rng.choice(values, 1 if piled else rows).repeat(rows if piled else 1)
        yield np.append(rest, mine), np.append(rest, other) if relation == "replace" else rest


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("asked", ["histogram", "decimals"])
def test_sensitivity_is_that_of_neighbours(
    asked: str, rows: int, relation: Neighbouring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brute force: what is counted of neighbours differs by at most what was charged for."""
    fields = {"unit": "person", "max_rows_per_unit": rows} if rows > 1 else {}
    schema = OpenSchema(columns=OPEN.columns, settings=fields)
    monkeypatch.setattr(
        "dpsynth.curator.pricing.Pricing.draw", lambda self, event, shape: np.zeros(shape)
    )
    most = 0.0
    for pair in neighbours(rows, relation):
        answers, events = [], []
        for x in pair:
            opened = door(x, schema=schema, relation=relation, **fields)
            if asked == "histogram":
                answers.append(opened.histogram("x", CELLS, sigma=1e3, label="x"))
            else:
                answers.append(opened.decimals("x", sigma=1e3))
            events.append(opened.ledger.entries[0].event)
        assert events[0] == events[1]
        moved = float(np.linalg.norm(answers[0] - answers[1]))
        assert moved <= events[0].sensitivity + 1e-12
        most = max(most, moved / events[0].sensitivity)
    assert most == pytest.approx(1.0)  # attained: no query is charged for more than it needs


def test_answers_are_near_and_each_is_charged() -> None:
    x = np.repeat([0.0, 1.0, 7.0, 9.0, np.nan], [500, 400, 300, 200, 100])
    opened = door(x, epsilon=8.0)
    noisy = opened.histogram("x", CELLS, sigma=5.0, label="spread of x")
    # Six cells of noise 5: six deviations.
    assert np.abs(noisy - [0, 400, 200, 500, 300, 100]).max() < 30
    assert opened.decimals("x", sigma=5.0).shape == (DECIMAL_CELLS,)
    labels = [entry.label for entry in opened.ledger.entries]
    assert labels == ["spread of x", "decimals of x"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda opened: opened.histogram("x", CELLS, sigma=5.0, label="x"),
        lambda opened: opened.decimals("x", sigma=5.0),
        lambda opened: opened.frequent("x", sigma=5.0, parts=1),
        lambda opened: opened.tree("x", 0.0, 500.0, amount=0.01, narrowest=1.0),
    ],
    ids=["histogram", "decimals", "frequent", "tree"],
)
def test_a_spent_budget_refuses_everything(
    ask: Callable[[PrivateColumns], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = door(np.arange(500.0))
    opened.histogram("x", CELLS, sigma=opened.sigma_for(opened.remaining * 0.999999), label="all")
    spent = opened.ledger.entries
    touched = watch(monkeypatch)
    with pytest.raises(BudgetExceededError):
        ask(opened)
    assert opened.ledger.entries == spent
    assert touched == [], "no record was looked at, and nothing drawn"


@pytest.mark.parametrize(("value", "end"), [(-20.0, 0.0), (20.0, 8.0), (8.0, 8.0), (0.0, 0.0)])
def test_a_tree_counts_what_lies_outside_at_its_ends(value: float, end: float) -> None:
    """A thousand records, noise of a few: intervals are halved there down to the narrowest."""
    opened = door([value] * 1000, epsilon=8.0)
    edges = opened.tree("x", 0.0, 8.0, amount=0.9 * opened.remaining, narrowest=0.5)
    assert {0.0, 0.5, 1.0, 2.0, 4.0, 8.0} <= {abs(edge - end) for edge in edges}


def test_each_decision_of_a_tree_in_release_mode_has_a_draw_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several are made at once there: none is used twice, and none is passed over."""
    drawn, used = list[float](), list[float]()

    def laplace(self: ReleaseNoise, scale: float, size: int, *, law: NoiseLaw) -> Any:
        made = np.arange(len(drawn), len(drawn) + size, dtype=np.float64) % 7 - 3
        drawn.extend(made.tolist())
        return made

    def grow(self: PrivateTree, *ends: Any, draw: Callable[[], float], **named: Any) -> list[float]:
        used.extend(draw() for _ in range(3000))
        return [0.0, 8.0]

    monkeypatch.setattr(ReleaseNoise, "laplace", laplace)
    monkeypatch.setattr(PrivateTree, "grow", grow)
    frame = pd.DataFrame({"x": [1.0], "t": ["a"]})
    opened = PrivateColumns(frame, OPEN, Budget(epsilon=1.0, delta=1e-9), noise=ReleaseNoise())
    opened.tree("x", 0.0, 8.0, amount=0.01, narrowest=0.5)
    assert used == drawn[:3000]
    assert len(drawn) < 4200


def test_the_model_goes_on_with_the_same_ledger() -> None:
    opened = door(np.arange(500.0), epsilon=2.0)
    opened.histogram("x", CELLS, sigma=50.0, label="spread of x")
    schema = Schema(
        columns=(
            IntegerColumn(name="x", lower=0, upper=499, bins=5),
            CategoricalColumn(name="t", categories=("a",)),
        )
    )
    private = opened.private_data(schema)
    assert private.ledger is opened.ledger
    before = private.remaining
    private.marginal(("x",), sigma=50.0)
    assert opened.remaining == private.remaining < before
    assert [e.label for e in private.receipt().entries] == ["spread of x", "marginal x"]


@pytest.mark.parametrize("accountant", ["pld", "bounded_range", "rdp"])
def test_plans_are_reserved_first(accountant: str) -> None:
    opened = door([1.0], accountant=accountant)
    with pytest.raises(UnsupportedEventError, match="fixed plans only"):
        opened.sigma_for(0.1)
    cells = Cells(edges=np.array([0.0, 1.0, 2.0]), atoms=np.array([]))
    with pytest.raises(LedgerError, match="reserved first"):
        opened.histogram("x", cells, sigma=5.0, label="x")
    assert opened.ledger.entries == ()


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (["12 kg"], "'12 kg', but values must be numbers"),
        ([1.0, np.inf], "must be finite"),
        ([True, 2], "must be"),
        ([[1]], "must be"),
    ],
)
def test_bad_values_are_refused_before_anything_is_spent(x: list[object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        door(x)


def test_too_many_rows_and_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no rows"):
        door([])
    monkeypatch.setattr(private_columns, "ROW_CEILING", 4)
    assert door([1.0] * 3)
    with pytest.raises(DataError, match="too many rows"):
        door([1.0] * 4)


def test_whole_numbers_are_checked() -> None:
    schema = OpenSchema(
        columns=(OpenNumber(name="x", whole=True, missing=False), OpenText(name="t"))
    )
    for value, said in ((1.5, "whole numbers"), (2.0**60, "within 2"), (np.nan, "missing = false")):
        with pytest.raises(DataError, match=said):
            door([1.0, value], schema=schema)


def test_misuse_is_refused() -> None:
    opened = door([1234.5])
    with pytest.raises(PrivacyError):
        pickle.dumps(opened)
    assert "1234" not in repr(opened)
    with pytest.raises(InvalidValueError, match="unit"):
        door([1.0], unit="person", max_rows_per_unit=2)
    with pytest.raises(UnknownNameError):
        door([1.0], schema=OpenSchema(columns=(*OPEN.columns, OpenText(name="z"))))


def test_of_a_unit_as_many_rows_are_asked_about_as_the_budget_allows() -> None:
    fields = {"unit": "who", "max_rows_per_unit": 2}
    schema = OpenSchema(columns=OPEN.columns, settings=fields)
    frame = pd.DataFrame({"x": [1.0] * 900, "t": ["a"] * 900, "who": np.arange(900) // 9})
    opened = PrivateColumns(
        frame,
        schema,
        Budget(epsilon=8.0, delta=1e-9, **fields),  # type: ignore[arg-type]
        noise=ResearchNoise(rng=np.random.default_rng(0)),
    )
    noisy = opened.histogram("x", CELLS, sigma=3.0, label="x")
    # 100 people with two rows each, noise 3: five deviations.
    assert abs(noisy[1] - 200) < 15


def test_an_observer_hears_of_every_charge_before_its_answer_and_of_what_follows() -> None:
    heard: list[Observation] = []
    frame = pd.DataFrame({"x": [1.0, 2.0, 7.0] * 20, "t": ["a", "b", "a"] * 20})
    private = PrivateColumns(
        frame,
        OPEN,
        Budget(epsilon=8.0, delta=1e-3),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
        observer=heard.append,
    )
    private.histogram("x", CELLS, sigma=9.0, label="cells")
    private.decimals("x", sigma=9.0)
    private.frequent("t", sigma=9.0, parts=1)
    private.tree("x", 0.0, 8.0, amount=0.1, narrowest=1.0)
    closed = Schema(
        columns=(
            FloatColumn(name="x", lower=0.0, upper=8.0, bins=2),
            CategoricalColumn(name="t", categories=("a", "b")),
        )
    )
    private.private_data(closed).count(sigma=9.0)
    charged = [(entry.label, entry.event) for entry in private.ledger.entries]
    assert [(told.label, told.event) for told in heard] == charged
    records = FrameColumns(OPEN, frame, None)
    cells, decimals, values, tree, _ = (told.query for told in heard)
    assert isinstance(cells, ColumnHistogram)
    assert isinstance(decimals, ColumnHistogram)
    assert isinstance(values, ColumnValues)
    assert isinstance(tree, ColumnTree)
    assert cells.exact(records).tolist() == [0, 40, 0, 0, 20, 0]
    assert decimals.exact(records)[0] == 60
    assert values.exact(records) == {"a": 40, "b": 20}
