"""Open schemas are closed for a price, near what the records are."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import dpsynth
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.data.clock import Clock
from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.constraints import Forbidden
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import DataError, InvalidValueError
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import ResearchNoise
from tests.doors import counted_charges

ROWS = 20_000


def closed(
    columns: list[OpenColumn], frame: pd.DataFrame, epsilon: float = 1.0
) -> tuple[Schema, Any]:
    private = PrivateColumns(
        frame,
        OpenSchema(columns=tuple(columns)),
        Budget(epsilon=1.0, delta=1e-9),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
    )
    return Preparation(column_share=0.1, share=0.5).closed(private), private.ledger


def test_bounds_hold_the_records_and_little_more() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "wide": rng.lognormal(8, 1, ROWS),
            "small": rng.normal(0, 1e-4, ROWS),
            "whole": rng.integers(-300, 5000, ROWS),
            "few": rng.integers(0, 40, ROWS),
        }
    )
    whole = {"wide": False, "small": False, "whole": True, "few": True}
    schema, _ = closed([OpenNumber(name=n, whole=w) for n, w in whole.items()], frame)
    for column in schema.columns:
        assert not isinstance(column, CategoricalColumn)
        values = frame[column.name]
        inside = values.between(column.lower, column.upper).mean()
        assert inside > 0.98
        assert column.upper - column.lower < 2.2 * (values.quantile(0.999) - values.quantile(0.001))
    few = schema.column("few")
    assert isinstance(few, IntegerColumn)
    assert few.size == 64 + 1
    assert few.upper == 63


@pytest.mark.parametrize(
    ("values", "dtype", "least", "most"),
    [
        ([-(2**53) + 1, 2**53 - 1], None, -(2**53) + 1, 2**53 - 1),
        ([0, 255], "uint8", 0, 255),
        ([-128, 127], "int8", -128, 127),
        ([-3, 90], "Int8", -4, 127),
    ],
)
def test_bounds_are_what_a_dtype_holds(
    values: list[int], dtype: str | None, least: int, most: int
) -> None:
    column = OpenNumber(name="x", whole=True, dtype=dtype, missing=dtype is None)
    schema, _ = closed([column], pd.DataFrame({"x": values * (ROWS // 2)}))
    found = schema.column("x")
    assert isinstance(found, IntegerColumn)
    assert least <= found.lower <= values[0]
    assert values[1] <= found.upper <= most


def test_known_bounds_stay() -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).exponential(10, ROWS)})
    schema, _ = closed([OpenNumber(name="x", whole=False, lower=0.0, upper=1000.0)], frame)
    column = schema.column("x")
    assert isinstance(column, FloatColumn)
    assert (column.lower, column.upper) == (0.0, 1000.0)


@pytest.mark.parametrize("binning", ["width", "quantile", "privtree"])
def test_frequent_values_get_bins_and_spread_is_near(binning: Any) -> None:
    rng = np.random.default_rng(0)
    x = np.where(rng.random(ROWS) < 0.5, 0.0, np.round(rng.gamma(2, 50, ROWS), 2))
    schema, ledger = closed(
        [OpenNumber(name="x", whole=False, binning=binning)], pd.DataFrame({"x": x})
    )
    column = schema.column("x")
    assert isinstance(column, FloatColumn)
    assert column.decimals == 2
    assert (0.0, 0.0) in [(low, high) for low, high, _ in column.pieces]
    low, high, weight = np.array(column.pieces).T
    beyond = np.clip((high - 100) / np.where(high > low, high - low, 1), 0, 1)
    share = (weight * np.where(high > low, beyond, low >= 100)).sum() / weight.sum()
    # Intervals of equal width lose a thin tail in their noise; a tree does not.
    near = 0.015 if binning == "privtree" else 0.04
    assert share == pytest.approx((x >= 100).mean(), abs=near)
    labels = [entry.label for entry in ledger.entries]
    tree = ["tree of x"] if binning == "privtree" else []
    assert labels == ["bounds of x", "frequent values of x", *tree, "spread of x", "decimals of x"]


@pytest.mark.parametrize(
    ("bounds", "decimals", "wanted"),
    [((0.0, 10.0), 2, 2), ((3.5, 3.5), 1, 1), ((0.0, 10.0), None, 0)],
    ids=["declared", "constant", "bought"],
)
def test_decimals_stay_where_no_value_is_found(
    bounds: tuple[float, float], decimals: int | None, wanted: int
) -> None:
    column = OpenNumber(
        name="x", whole=False, lower=bounds[0], upper=bounds[1], decimals=decimals, missing=True
    )
    schema, _ = closed([column], pd.DataFrame({"x": [np.nan] * 100}))
    found = schema.column("x")
    assert isinstance(found, FloatColumn)
    assert found.pieces == ()
    assert found.decimals == wanted


def test_texts_become_categories_and_identifiers_warn() -> None:
    rng = np.random.default_rng(0)
    city = rng.choice(["Oslo", "Rome", "Bonn"], ROWS, p=[0.6, 0.3, 0.1])
    frame = pd.DataFrame({"city": city, "who": [f"person {i}" for i in range(ROWS)]})
    with pytest.warns(UserWarning, match="'who' has no text that enough records share"):
        schema, _ = closed([OpenText(name="city"), OpenText(name="who")], frame)
    first, second = schema.columns
    assert isinstance(first, CategoricalColumn)
    assert isinstance(second, CategoricalColumn)
    assert first.categories == ("Bonn", "Oslo", "Rome", "other")
    assert second.categories == ("other",)


def test_times_are_bought_too() -> None:
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 2000, ROWS), unit="D")
    column = OpenNumber(name="d", whole=True, clock=Clock(kind="date"))
    schema, _ = closed([column], pd.DataFrame({"d": days}))
    found = schema.column("d")
    assert isinstance(found, IntegerColumn)
    assert found.clock == Clock(kind="date")
    assert found.lower <= 16436 + 20
    assert found.upper >= 16436 + 1980


def test_no_more_is_spent_than_the_shares_say() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=ROWS), "t": ["a"] * ROWS})
    private = PrivateColumns(
        frame,
        OpenSchema(columns=(OpenNumber(name="x", whole=False), OpenText(name="t"))),
        Budget(epsilon=1.0, delta=1e-9),
        noise=ResearchNoise(rng=rng),
    )
    Preparation(share=0.5, column_share=0.04).closed(private)
    spent = private.ledger.spent / private.ledger.capacity
    assert 0.06 < spent <= 0.08
    for field in ("share", "column_share", "spread_share", "most_spread"):
        with pytest.raises(InvalidValueError, match=field):
            Preparation(**{field: 1.0})


def test_without_a_delta_no_values_are_looked_for() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=ROWS)})
    for column in (
        OpenNumber(name="x", whole=False),
        FloatColumn(name="x", lower=-9.0, upper=9.0),
    ):
        model = dpsynth.synthesize(
            frame,
            schema=OpenSchema(columns=(column,)),
            generator="independent",
            epsilon=2.0,
            delta=0.0,
            accountant="pure",
            seed=0,
        )
        labels = [entry.label for entry in model.receipt.entries]
        assert "spread of x" in labels
        assert "frequent values of x" not in labels
    with pytest.raises(InvalidValueError, match="it must be above 0, since the texts"):
        dpsynth.synthesize(
            pd.DataFrame({"t": ["a"]}),
            schema=OpenSchema(columns=(OpenText(name="t"),)),
            generator="independent",
            epsilon=2.0,
            delta=0.0,
            accountant="pure",
            seed=0,
        )


def test_delta_is_set_aside_for_open_columns_that_look_for_values() -> None:
    """Forty texts of 25 to 220 records: more of them are found, in noise of nearly the same size
    (seed 0)."""
    n = [25 + 5 * i for i in range(40)]
    texts = [f"t{i}" for i, times in enumerate(n) for _ in range(times)]
    frame = pd.DataFrame({"t": texts, "x": np.arange(len(texts)) % 640 / 4})
    x = FloatColumn(name="x", lower=0.0, upper=160.0)
    looks: OpenColumn = OpenText(name="t")
    known = CategoricalColumn(name="t", categories=tuple(f"t{i}" for i in range(40)))
    plain: OpenColumn = OpenNumber(name="x", whole=False, atoms=False)

    def ledger(columns: Any, share: float) -> tuple[Any, int]:
        preparation = Preparation(delta_share=share)
        model = dpsynth.synthesize(
            frame,
            schema=OpenSchema(columns=columns),
            generator="independent",
            epsilon=3.0,
            delta=1e-7,
            seed=0,
            preparation=preparation,
        )
        return Ledger.from_json(model.receipt.ledger), model.schema.column("t").size

    before, few = ledger((looks, x), 0.0)
    after, many = ledger((looks, x), 0.03)
    assert (before.accountant.set_aside, after.accountant.set_aside) == (0.0, 0.03 * 1e-7)
    assert 4 < few < many - 2 < 38
    assert after.epsilon_spent() <= 3.0
    # Columns that are closed, or that look for nothing, need no part of delta.
    assert ledger((known, x), 0.03)[0].accountant.set_aside == 0.0
    assert ledger((known, plain), 0.03)[0].accountant.set_aside == 0.0
    with pytest.raises(InvalidValueError, match="delta_share"):
        Preparation(delta_share=1.0)


def test_a_generator_of_plans_fits_an_open_schema_under_a_filter() -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=500), "t": ["a"] * 500})
    schema = OpenSchema(columns=(OpenNumber(name="x", whole=False), OpenText(name="t")))
    model = dpsynth.synthesize(frame, schema=schema, generator="mst", epsilon=2.0, seed=0)
    assert model.receipt.accountant == "zcdp"


def test_a_record_that_breaks_a_constraint_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    charged = counted_charges(monkeypatch)
    schema = Schema(
        columns=(
            FloatColumn(name="x", lower=0.0, upper=8.0, bins=4),
            IntegerColumn(name="n", lower=0, upper=3),
        ),
        constraints=(Forbidden(when={"x": "<2", "n": "3"}),),  # type: ignore[arg-type]
    )
    frame = pd.DataFrame({"x": [1.0, 5.0], "n": [3, 1]})
    with pytest.raises(DataError, match="forbids it"):
        dpsynth.synthesize(frame, schema=schema, generator="independent", epsilon=1.0, seed=0)
    assert charged == []
    kept = frame.assign(n=[1, 3])
    dpsynth.synthesize(kept, schema=schema, generator="independent", epsilon=1.0, seed=0)
    assert len(charged) == 3  # values, their spread, and the marginals


def area(real: Any, synthetic: Any) -> float:
    """Return the area under the curve of boosted trees that tell `synthetic` from `real`."""
    x = np.concatenate([real, synthetic])[:, None]
    y = np.repeat([0, 1], [len(real), len(synthetic)])
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = HistGradientBoostingClassifier(random_state=0)
    scores: Any = cross_val_predict(model, x, y, cv=folds, method="predict_proba")
    return float(roc_auc_score(y, scores[:, 1]))


@pytest.mark.slow
@pytest.mark.parametrize("is_open", [False, True])
def test_trees_cannot_tell_bins(is_open: bool) -> None:
    """Every numeric column of randhie at epsilon 10; mid-points of bins are told apart."""
    table = dpsynth.DATASETS.get("randhie")().table
    numeric = [c for c in table.schema.columns if not isinstance(c, CategoricalColumn)]
    schema: Any = table.schema
    if is_open:
        columns = [
            OpenNumber(name=c.name, whole=isinstance(c, IntegerColumn), missing=False)
            if c in numeric
            else c
            for c in table.schema.columns
        ]
        schema = OpenSchema(columns=tuple(columns))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dpsynth.synthesize(
            table.frame, schema=schema, generator="independent", epsilon=10.0, seed=0
        )
    synthetic, real = model.sample(len(table)).frame, table.frame
    for column in numeric:
        name = column.name
        assert area(real[name].to_numpy(), synthetic[name].to_numpy()) <= 0.55, name
    middle = np.floor(real["lpi"].to_numpy() * 4) / 4 + 0.125
    assert area(real["lpi"].to_numpy(), middle) > 0.95
