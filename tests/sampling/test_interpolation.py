"""What a model says of its bins shapes the values within them, in every sample alike."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

import dpsynth
from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.schema import Schema
from dpsynth.data.values import value_law
from dpsynth.generators.base import KnownLaws, SyntheticModel
from dpsynth.preparation.prepare import Preparation
from dpsynth.sampling.interpolation import with_interpolated_values
from dpsynth.synthesis import Synthesis

SCHEMA = Schema(
    columns=(
        FloatColumn(name="income", lower=0.0, upper=8.0, bins=16, missing=True),
        IntegerColumn(name="visits", lower=0, upper=639, bins=16),
        IntegerColumn(name="age", lower=0, upper=99),
        CategoricalColumn(name="sex", categories=("f", "m")),
    )
)
BINNED = ("income", "visits")
ROWS = 6000


def records(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    income = pd.Series(np.minimum(rng.gamma(4.0, 0.6, ROWS), 8.0))
    return pd.DataFrame(
        {
            "income": income.mask(rng.random(ROWS) < 0.05),
            "visits": np.minimum(rng.exponential(80.0, ROWS), 639).astype(int),
            "age": rng.integers(0, 100, ROWS),
            "sex": rng.choice(["f", "m"], ROWS),
        }
    )


def fitted(generator: str = "independent", **given: Any) -> Synthesis:
    given.setdefault("preparation", Preparation(most_spread=0))
    return dpsynth.synthesize(
        records(), schema=SCHEMA, generator=generator, epsilon=4.0, seed=3, **given
    )


def uniform(found: Synthesis) -> Synthesis:
    """Return the model with values uniform within bins."""
    columns = tuple(
        c if isinstance(c, CategoricalColumn) else replace(c, pieces=())
        for c in found.schema.columns
    )
    schema = replace(found.schema, columns=columns)
    return replace(found, model=replace(found.model, schema=schema))  # type: ignore[type-var]


def pieces(found: Synthesis, name: str) -> Any:
    return found.schema.column(name).pieces  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("generator", "given"),
    [
        ("independent", {}),
        ("mst", {"preparation": None}),
        ("independent", {"preparation": Preparation(spread_share=0)}),
        ("privbayes", {}),
        ("residual", {}),
    ],
)
def test_bins_without_a_bought_spread_get_a_curve(generator: str, given: dict[str, Any]) -> None:
    found = fitted(generator, **given)
    assert not any("spread" in entry.label for entry in found.receipt.entries)
    assert all(pieces(found, name) for name in BINNED)
    assert pieces(found, "age") == ()
    assert found.schema.columns == SCHEMA.columns  # codes mean the same


def test_records_out_of_memory_get_the_same_curve(tmp_path: Path) -> None:
    records().to_parquet(tmp_path / "rows.parquet")
    path = tmp_path / "rows.parquet"
    found = [
        dpsynth.synthesize(
            path,
            schema=SCHEMA,
            generator="independent",
            epsilon=4.0,
            seed=3,
            out_of_core=elsewhere,
            preparation=Preparation(spread_share=0),
        )
        for elsewhere in (False, True)
    ]
    assert pieces(found[0], "income") == pieces(found[1], "income") != ()


def test_codes_and_values_of_their_own_do_not_move() -> None:
    curved, flat = fitted(), uniform(fitted())
    seeds = [np.random.default_rng(5) for _ in range(2)]
    codes = [m.model.sample_codes(3000, rng=g) for m, g in zip((curved, flat), seeds, strict=True)]
    assert np.array_equal(codes[0], codes[1])
    drawn = [m.sample(3000).frame for m in (curved, flat)]
    for name in ("age", "sex"):
        assert drawn[0][name].equals(drawn[1][name])
    assert not drawn[0]["income"].equals(drawn[1]["income"])
    assert drawn[0]["visits"].dtype == np.int64
    assert np.array_equal(drawn[0]["income"].isna(), drawn[1]["income"].isna())


def test_saved_models_agree_and_so_do_conditions(tmp_path: Path) -> None:
    found = fitted()
    found.save(tmp_path / "model.zip")
    again = Synthesis.load(tmp_path / "model.zip")
    assert all(pieces(again, name) == pieces(found, name) for name in BINNED)
    assert again.sample(2000).frame.equals(found.sample(2000).frame)
    where = {"income": (0.6, 0.9)}
    assert again.sample(500, where=where).frame.equals(found.sample(500, where=where).frame)


# 40,000 rows, seed 0, alpha = 1e-4 over 10 cells. The control expects the uniform law.
@pytest.mark.statistical
@pytest.mark.parametrize("name", BINNED)
def test_conditions_within_a_bin_are_exact(name: str) -> None:
    found = fitted()
    low, high = (0.05, 0.45) if name == "income" else (4, 33)
    stop = high if name == "income" else high + 1
    rng = np.random.default_rng(0)
    drawn = found.sample(40_000, where={name: (low, high)}, rng=rng).frame[name].to_numpy()
    assert ((drawn >= low) & (drawn <= high)).all()
    cells = np.linspace(low, stop, 11)
    if name == "visits":
        cells = np.ceil(cells)
    counts = np.histogram(drawn, cells)[0]
    column: Any = found.schema.column(name)

    def share(start: float, end: float) -> float:
        last = end if name == "income" else end - 1
        return float(value_law(column, (start, last)).mass[0])

    law = np.array([share(a, b) for a, b in pairwise(cells)])
    flat = np.diff(cells)
    assert chisquare(counts, counts.sum() * law / law.sum()).pvalue > 1e-4
    assert chisquare(counts, counts.sum() * flat / flat.sum()).pvalue < 1e-12
    total = found.sample(where={name: (low, high)}, rng=rng)
    whole: Any = found.model
    expected = whole.marginal((name,))[0] * share(low, stop)
    assert abs(len(total) - expected) <= 1


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Opaque(SyntheticModel):
    """A law that only its samples tell."""

    schema: Schema = SCHEMA
    total: float = 50.0

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        first = np.minimum(rng.geometric(0.2, n) - 1, 15)
        return np.stack([first, first, np.zeros(n, np.int64), np.zeros(n, np.int64)], axis=1)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(schema=schema)


def test_a_model_that_only_draws_is_counted_and_the_stream_is_left_alone() -> None:
    rng, other = np.random.default_rng(1), np.random.default_rng(1)
    found = with_interpolated_values(Opaque(), rng=rng)
    assert rng.random() == other.random()
    income: Any = found.schema.column("income")
    start = [weight for low, _, weight in income.pieces if low < 0.5]
    assert start == sorted(start, reverse=True)
    assert len(start) > 1


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Slow(SyntheticModel, KnownLaws):
    """A law of single columns that is known, and whose rows are not to be drawn for it."""

    schema: Schema = SCHEMA
    total: float = 50.0

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        raise AssertionError("drawn")

    def one_way(self, attribute: str) -> NDArray[np.float64]:
        return np.power(0.8, np.arange(self.schema.domain.sizes[attribute], dtype=np.float64))

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(schema=schema)


def test_no_rows_are_drawn_where_columns_are_known_or_have_pieces() -> None:
    rng = np.random.default_rng(1)
    slow = Slow()
    found = with_interpolated_values(slow, rng=rng)
    income: Any = found.schema.column("income")
    assert len(income.pieces) > 1
    # Once every bin has its pieces, nothing is asked for at all.
    assert with_interpolated_values(found, rng=rng) is found


def area(real: Any, drawn: Any) -> float:
    """Return how well boosted trees tell `drawn` from `real`, as an area under the curve."""
    x, y = np.concatenate([real, drawn])[:, None], np.repeat([0, 1], [len(real), len(drawn)])
    # Every leaf small enough to see a bin; a few trees see steps as well as many.
    settings: dict[str, Any] = {"random_state": 0, "max_iter": 30, "early_stopping": False}
    model = HistGradientBoostingClassifier(**settings)
    order = np.random.default_rng(0).permutation(len(y))
    scores: Any = cross_val_predict(model, x[order], y[order], cv=2, method="predict_proba")
    return float(roc_auc_score(y[order], scores[:, 1]))


def test_trees_see_steps_of_uniform_bins_and_mid_points_but_not_the_curve() -> None:
    """6,000 rows a side, seed 3, exponential: three figures in a row, apart by more than .01."""
    found = fitted()
    flat = uniform(found)
    real = records(seed=1)["visits"].to_numpy()
    curved, stepped = (m.sample(ROWS).frame["visits"].to_numpy() for m in (found, flat))
    middle = stepped // 40 * 40 + 20
    assert area(real, curved) + 0.01 < area(real, stepped) < 0.6
    assert area(real, middle) > 0.95
