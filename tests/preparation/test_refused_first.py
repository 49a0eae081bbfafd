"""What contradicts an open schema is refused before anything of it is bought."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.curator.knowledge import check_possible
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.data.columns import IntegerColumn
from dpsynth.data.constraints import Forbidden, Ordered, Within
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema, parse_schema
from dpsynth.errors import DpsynthError, InvalidValueError, MissingExtraError, SchemaError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.doors import counted_charges

OPEN = OpenNumber(name="a", whole=True)
B, C = (IntegerColumn(name=name, lower=0, upper=3) for name in "bc")
ORDERED = Ordered(lower="b", upper="c")
FRAME = pd.DataFrame({"a": np.arange(99), "b": 3, "c": 0})


@pytest.mark.parametrize(
    ("settings", "relation", "said"),
    [
        ({"constraints": (ORDERED,)}, "add_remove", "constraint 1 of the schema"),
        (
            {"constraints": (Forbidden(when={"b": "present"}),)},  # type: ignore[arg-type]
            "add_remove",
            "no possible record",
        ),
        (
            {"constraints": (ORDERED,), "on_violation": "drop"},
            "add_remove",
            "no rows that keep the constraints",
        ),
        (
            {"constraints": (ORDERED,), "on_violation": "drop"},
            "replace",
            "for a schema that drops records",
        ),
        ({"public_rows": 98}, "add_remove", "public_rows = 98"),
        ({"constraints": (Ordered(lower="a", upper="b"),)}, "add_remove", "constraint 1 of the"),
        (
            {"constraints": (Within(when={"b": 3}, then={"a": ">=7.5"}),)},
            "add_remove",
            r"'a': 0, 'b': 3\}, but constraint 1 of the schema",
        ),
        (
            {
                "constraints": (
                    Forbidden(when={"a": ">1"}),
                    Forbidden(when={"a": ("missing", "<2")}),
                )
            },
            "add_remove",
            "no possible record",
        ),
    ],
)
def test_records_that_contradict_what_is_declared(
    monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, Any], relation: str, said: str
) -> None:
    charges = counted_charges(monkeypatch)
    schema = OpenSchema(columns=(OPEN, B, C), settings=settings)
    with pytest.raises(DpsynthError, match=said):
        dpsynth.synthesize(
            FRAME, schema=schema, generator="independent", epsilon=1.0, relation=relation
        )
    assert charges == []


@pytest.mark.parametrize("opened", [True, False], ids=["open", "closed"])
def test_records_leave_before_rows_of_a_unit_are_sampled(opened: bool) -> None:
    """One row in fifty of each unit keeps the constraint, and one a unit is sampled."""
    units, rows = 300, 50
    frame = pd.DataFrame(
        {
            "who": np.repeat(np.arange(units), rows),
            "a": np.tile(np.arange(rows), units),
            "b": np.tile(np.arange(rows) > 0, units) * 3,
            "c": 1,
        }
    )
    first = OPEN if opened else IntegerColumn(name="a", lower=0, upper=999, bins=10)
    settings: dict[str, Any] = {"constraints": (ORDERED,), "on_violation": "drop", "unit": "who"}
    schema = OpenSchema(columns=(first, B, C), settings={**settings, "max_rows_per_unit": 1})
    model = dpsynth.synthesize(
        frame, schema=schema, generator="independent", epsilon=50.0, delta=1e-6, seed=0
    ).model
    assert model.total == pytest.approx(units, abs=5)


@pytest.mark.parametrize("name", ["margnet", "dpmerf", "pate_gan", "dpvae"])
def test_a_generator_whose_modules_are_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    charges = counted_charges(monkeypatch)
    monkeypatch.setattr("dpsynth.generators.base.find_spec", lambda module: None)
    schema = OpenSchema(columns=(OPEN, B, C))
    with pytest.raises(MissingExtraError, match=rf"'{name}'.*dpsynth\[neural\]"):
        dpsynth.synthesize(FRAME, schema=schema, generator=name, epsilon=1.0)
    assert charges == []


def test_constraints_on_texts_of_which_there_may_be_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    charges = counted_charges(monkeypatch)
    rule = Forbidden(when=dict.fromkeys("tuv", "x"))
    records = pd.DataFrame(dict.fromkeys("tuv", ["y", "z"] * 50))
    for most, fits in ((1000, False), (100, True)):
        columns = tuple(OpenText(name=name, most=most) for name in "tuv")
        schema = OpenSchema(columns=columns, settings={"constraints": (rule,)})
        if fits:
            check_possible(schema)
            continue
        with pytest.raises(DpsynthError, match="have fewer codes"):
            dpsynth.synthesize(records, schema=schema, generator="independent", epsilon=1.0)
    assert charges == []


@pytest.mark.parametrize(
    "setting", ["unit = 'p'", "max_rows_per_unit = 0", "on_violation = 'x'", "public_rows = 0"]
)
def test_settings_are_looked_at_where_every_column_is_open(setting: str) -> None:
    with pytest.raises(SchemaError):
        parse_schema(f"{setting}\n[[column]]\nname = 'a'\nkind = 'integer'\n")


def test_a_smaller_bound_in_the_budget() -> None:
    settings = {"unit": "b", "max_rows_per_unit": 3}
    schema = OpenSchema(columns=(OPEN, B, C), settings=settings)
    noise = ResearchNoise(rng=np.random.default_rng(0))
    budget = Budget(epsilon=1.0, delta=1e-6, unit="b", max_rows_per_unit=2)
    with pytest.raises(InvalidValueError, match="at least the schema's, 3"):
        PrivateColumns(FRAME, schema, budget, noise=noise)


@pytest.mark.parametrize(
    ("public", "said"),
    [
        ("none.csv", "there is no such file"),
        (FRAME[["a", "b"]], "unknown column of the table 'c'"),
        (FRAME.assign(a="x"), "column 'a' has 'x', but values must be numbers"),
        (FRAME.assign(a=0.5), "column 'a' has 0.5, but values must be whole numbers"),
        (FRAME.assign(a=None), "column 'a' has nan, but its schema says missing = false"),
        (FRAME.assign(b=9), "column 'b' has 9, but values must lie between 0 and 3"),
        (FRAME[:0], "no rows"),
    ],
)
def test_a_mistake_in_a_public_table(
    monkeypatch: pytest.MonkeyPatch, public: Any, said: str
) -> None:
    charges = counted_charges(monkeypatch)
    schema = OpenSchema(columns=(replace(OPEN, missing=False), B, C))
    with pytest.raises(DpsynthError, match=said) as caught:
        dpsynth.synthesize(
            FRAME, schema=schema, generator="public_prior", epsilon=1.0, public=public
        )
    assert charges == []
    assert caught.value.__notes__ == ["of the public table"]
