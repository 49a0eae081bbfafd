"""Constraints on columns that were open hold in every row, whatever generator draws it and however
little budget has bought the columns."""

import warnings
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.data.constraints import Combinations, Determines, Forbidden, Ordered, Within
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import CategoricalColumn
from dpsynth.registry import GENERATORS
from dpsynth.synthesis import Synthesis
from tests.conformance.short import narrow
from tests.conformance.test_generators import DPSGD, NAMES, NEURAL, needs_torch

LANDS = {"Oslo": "Norway", "Bergen": "Norway", "Rome": "Italy"}

SCHEMA = OpenSchema(
    columns=(
        OpenText(name="city", missing=False),
        OpenText(name="land"),
        OpenNumber(name="age", whole=True, missing=False),
        CategoricalColumn(name="married", categories=("no", "yes")),
        OpenNumber(name="admitted", whole=False, lower=0.0, missing=False),
        OpenNumber(name="left", whole=False, binning="quantile"),
        OpenNumber(name="rooms", whole=True, missing=False),
    ),
    settings={
        "constraints": (
            Determines(columns=("city",), determined="land", mapping=tuple(LANDS.items())),
            Forbidden(when={"age": "<18", "married": "yes"}),
            Ordered(lower="admitted", upper="left", strict=True),
            Within(when={"age": ">=67"}, then={"rooms": "1..3", "city": "!=Rome"}),
            Combinations(columns=("married", "left"), allowed=(("no", "<35.5"), ("yes", ">=0"))),
        ),
    },
)


def broken(frame: pd.DataFrame) -> pd.Series:
    """The constraints again, in pandas."""
    city, land = frame["city"].astype(object), frame["land"].astype(object)
    wrong = city.isin(list(LANDS)) & land.notna() & (land != city.map(LANDS))
    wrong |= (frame["age"] < 18) & (frame["married"] == "yes")
    wrong |= frame["admitted"] >= frame["left"]
    wrong |= (frame["age"] >= 67) & (~frame["rooms"].between(1, 3) | (city == "Rome"))
    wrong |= (frame["married"] == "no") & (frame["left"] >= 35.5)
    return wrong | (frame["left"] < 0)


@lru_cache(1)
def records() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 4000
    city = rng.choice(["Oslo", "Rome", "Wien", "Ulm", "Bergen"], n, p=[0.4, 0.3, 0.2, 0.099, 0.001])
    land = pd.Series(city).map({**LANDS, "Wien": "Austria", "Ulm": "Germany"})
    admitted = np.round(rng.exponential(9, n), 2)
    frame = pd.DataFrame(
        {
            "city": city,
            "land": land.where(rng.random(n) < 0.9, None),
            "age": np.minimum(rng.gamma(4, 9, n), 99).astype(int),
            "married": rng.choice(["no", "yes"], n),
            "admitted": admitted,
            "left": np.where(
                rng.random(n) < 0.1, np.nan, admitted + np.round(0.01 + rng.exponential(4, n), 2)
            ),
            "rooms": rng.integers(0, 6, n),
        }
    )
    return frame[~broken(frame)].reset_index(drop=True)


@lru_cache(None)
def fit(name: str, epsilon: float) -> Synthesis:
    needs_torch(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # texts that no budget finds
        return dpsynth.synthesize(
            records(),
            schema=SCHEMA,
            generator=narrow(name),
            epsilon=epsilon,
            accountant="pld" if name in DPSGD else "zcdp",
            seed=2,
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("epsilon", [0.01, 2.0])
def test_every_row_keeps_every_constraint(name: str, epsilon: float, tmp_path) -> None:
    model = fit(name, epsilon)
    assert not broken(model.sample(3000).frame).any()
    model.save(tmp_path / "model")
    assert not broken(Synthesis.load(tmp_path / "model").sample(500).frame).any()
    assert model.receipt.epsilon_spent <= epsilon
    assert model.receipt.accountant == ("pld" if name in DPSGD else "zcdp")


@pytest.mark.parametrize("name", [name for name in GENERATORS if name not in NEURAL])
def test_conditional_rows_keep_them_too(name: str) -> None:
    frame = fit(name, 2.0).sample(500, where={"married": "yes", "land": "Norway"}).frame
    assert not broken(frame).any()
    assert (frame["land"] == "Norway").all()


def test_what_constraints_name_is_a_category_though_nobody_found_it() -> None:
    """Four records are of Bergen; without the constraint no budget of this size finds it."""
    assert (records()["city"] == "Bergen").sum() < 8
    for epsilon in (0.01, 2.0):
        city = fit("independent", epsilon).schema.column("city")
        assert isinstance(city, CategoricalColumn)
        assert {"Oslo", "Rome", "Bergen", "other"} <= set(city.categories)
    assert "Wien" in city.categories
