"""Constraints on open columns: a record that keeps them keeps them whatever is bought."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.clock import Clock
from dpsynth.data.columns import CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.constraints import (
    Combinations,
    Constraint,
    Determines,
    Forbidden,
    Ordered,
    Within,
)
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_rules import most_codes, named_texts
from dpsynth.data.open_schema import OpenSchema, parse_schema
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, SchemaError

CITY = OpenText(name="city")
LAND = OpenText(name="land", other="elsewhere")
A, B = (OpenNumber(name=name, whole=True) for name in "ab")
C = OpenNumber(name="c", whole=False)
D = OpenNumber(name="d", whole=False, lower=0.0, missing=False)
E = IntegerColumn(name="e", lower=-5, upper=12, bins=2)
COLUMNS = (CITY, LAND, A, B, C, D, E)

CONSTRAINTS: dict[str, tuple[Constraint, ...]] = {
    "zeros": (Forbidden(when={"city": ("Oslo", "Rome"), "a": ">=7"}),),
    "not": (Forbidden(when={"city": "!=Oslo", "c": "<-3.5"}),),
    "ranges": (Within(when={"a": "<-2"}, then={"c": ">=1.5, <=4", "land": "Norway"}),),
    "texts": (
        Determines(
            columns=("city",), determined="land", mapping=(("Oslo", "Norway"), ("Rome", "Italy"))
        ),
    ),
    "numbers": (Combinations(columns=("a", "d"), allowed=(("<0", "<=2.5"), (">=0", ">1"))),),
    "missing": (Forbidden(when={"land": "missing", "city": "present"}),),
    "order": (Ordered(lower="a", upper="b"),),
    "strict": (Ordered(lower="a", upper="b", strict=True),),
    "mixed": (Ordered(lower="a", upper="c", strict=True), Ordered(lower="c", upper="b")),
    "declared": (Ordered(lower="e", upper="a", strict=True), Ordered(lower="d", upper="e")),
    "known bound": (Ordered(lower="c", upper="d", strict=True),),
    "all": (
        Ordered(lower="a", upper="b", strict=True),
        Ordered(lower="b", upper="c"),
        Within(when={"a": ">4"}, then={"city": ("Oslo", "Bonn")}),
        Forbidden(when={"c": "<-1", "e": ">3"}),
    ),
}


def frame(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    def some(values: Any) -> pd.Series:
        return pd.Series(values).where(rng.random(rows) > 0.1)

    return pd.DataFrame(
        {
            "city": some(rng.choice(["Oslo", "Rome", "Bonn", "Ulm", "other", "Wien"], rows)),
            "land": some(rng.choice(["Norway", "Italy", "Spain", "Malta"], rows)),
            "a": some(rng.integers(-9, 10, rows)),
            "b": some(rng.integers(-9, 10, rows)),
            "c": some(np.round(rng.normal(0, 5, rows), 1)),
            "d": np.round(rng.exponential(4, rows), 1),
            "e": rng.integers(-5, 13, rows),
        }
    )


def bought(rng: np.random.Generator) -> list[Any]:
    """Columns as a purchase may leave them, however badly."""

    def texts(column: OpenText, known: list[str]) -> CategoricalColumn:
        found = sorted(rng.choice(known, rng.integers(0, 3), replace=False).tolist())
        return CategoricalColumn(
            name=column.name,
            categories=(*found, column.other),
            missing=True,
            on_invalid="other",
            other=column.other,
        )

    def ends(lower: float | None) -> tuple[float, float]:
        low, high = sorted(rng.integers(-9, 10, 2).tolist())
        return (low, high) if lower is None else (lower, max(high, lower))

    numbers: list[Any] = []
    for column in (A, B, C, D):
        low, high = ends(column.lower)
        known: dict[str, Any] = {"name": column.name, "missing": column.missing}
        if column.whole:
            made: Any = IntegerColumn(lower=int(low), upper=int(high), on_invalid="clip", **known)
        else:
            low, high = low - (column.lower is None) / 2, high + 0.5
            decimals = [None, 0, 1][rng.integers(3)]
            made = FloatColumn(
                lower=low, upper=high, bins=2, decimals=decimals, on_invalid="clip", **known
            )
        numbers.append(made)
    cities = texts(CITY, ["Oslo", "Bonn", "Ulm", "missing", "!=Oslo"])
    return [cities, texts(LAND, ["Norway", "Spain", "missing"]), *numbers, E]


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_record_that_keeps_them_keeps_them_in_any_bought_column(name: str) -> None:
    """40 random purchases, 300 records each (seed 0): those that a stand-in keeps are all kept."""
    rng = np.random.default_rng(0)
    settings = {"constraints": CONSTRAINTS[name], "on_violation": "drop"}
    schema = OpenSchema(columns=COLUMNS, settings=settings)
    lost = moved = 0
    for _ in range(40):
        records, columns = frame(rng, 300), bought(rng)
        rules = schema.declared.rules
        values = {c.name: values_of(c, records) for c in schema.declared.columns}
        kept = ~np.logical_or.reduce(rules.broken(rules.values(values)))
        assert 0 < kept.sum() < 300
        closed = schema.closed(columns)
        left = Table.from_frame(closed, records[kept].reset_index(drop=True))
        assert len(left) == kept.sum()
        assert closed.rules.impossible.keys() == rules.impossible.keys()
        for before, after, most in zip(
            schema.columns, closed.columns, schema.largest.shape, strict=True
        ):
            assert after.size <= most, before.name
        # The control: without what the constraints ask of the columns some would be lost.
        try:
            plain = Schema(columns=tuple(columns), **settings)
            lost += len(Table.from_frame(plain, records[kept])) < kept.sum()
        except (SchemaError, DataError, LookupError):
            lost += 1
        moved += closed.columns != tuple(columns)
    assert moved > 0
    assert lost > 0 or name in ("missing", "known bound")


def values_of(column: Any, records: pd.DataFrame) -> Any:
    return Table.from_frame(Schema(columns=(column,)), records[[column.name]]).values(column.name)


def test_words_of_conditions_are_no_categories() -> None:
    """A text "missing" that many share must not turn a rule on missing values into one on it."""
    named = named_texts(CITY, CONSTRAINTS["missing"])
    assert (named.values, named.words) == ((), {"present"})
    named = named_texts(
        CITY, (Forbidden(when={"city": ("!= Oslo", "Rome", " missing", 5), "a": "!=3"}),)
    )
    assert named.values == ("5", "Oslo", "Rome")
    assert named.words == {"!= Oslo", " Oslo", " missing"}
    schema = OpenSchema(columns=COLUMNS, settings={"constraints": CONSTRAINTS["missing"]})
    column = CategoricalColumn(
        name="land",
        categories=("missing", "Norway", "elsewhere"),
        missing=True,
        on_invalid="other",
        other="elsewhere",
    )
    columns = bought(np.random.default_rng(0))
    columns[1] = column
    found = schema.closed(columns).column("land")
    assert isinstance(found, CategoricalColumn)
    assert found.categories == ("Norway", "elsewhere")


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        (Forbidden(when={"land": "elsewhere"}), "cannot name what stands for all texts"),
        (Forbidden(when={"d": "<0"}), "no value of the column meets it"),
        (Forbidden(when={"d": "missing"}), "never missing"),
        (Forbidden(when={"a": "young"}), "a condition on numbers"),
        (Ordered(lower="a", upper="city"), "only numbers have an order"),
    ],
)
def test_mistakes_are_seen_before_anything_is_bought(constraint: Constraint, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        OpenSchema(columns=COLUMNS, settings={"constraints": (constraint,)})


def test_times_and_dtypes_end_somewhere() -> None:
    day = OpenNumber(name="day", whole=True, clock=Clock(kind="date"))
    small = OpenNumber(name="n", whole=True, dtype="Int8")
    rules = (Forbidden(when={"day": ">=2020-07-01", "n": ">100"}),)
    schema = OpenSchema(columns=(day, small), settings={"constraints": rules})
    records = pd.DataFrame({"day": ["2020-06-30", "2020-07-01"], "n": [127, 101]})
    with pytest.raises(DataError, match="constraint 1 of the schema"):
        Table.from_frame(schema.declared, records)
    Table.from_frame(schema.declared, records[:1])
    columns = (
        IntegerColumn(name="day", lower="2021-01-01", upper="2021-02-01", clock=day.clock),  # type: ignore[arg-type]
        IntegerColumn(name="n", lower=0, upper=31, missing=True),
    )
    first, second = schema.closed(columns).columns
    assert isinstance(first, IntegerColumn)
    assert isinstance(second, IntegerColumn)
    assert day.clock is not None
    assert day.clock.text(first.lower) == "2020-06-30"
    assert second.upper == 101
    assert OpenNumber(name="n", whole=True, dtype="Int8").reach == (-128, 127)
    assert day.clock.text(day.reach[0]) == "0001-01-01"
    assert day.clock.text(day.reach[1]) == "9999-12-31"


def test_a_schema_file_gives_them_back() -> None:
    schema = OpenSchema(columns=COLUMNS, settings={"constraints": CONSTRAINTS["all"]})
    assert parse_schema(schema.to_toml()) == schema
    again = schema.closed(bought(np.random.default_rng(3)))
    assert Schema.from_toml(again.to_toml()) == again


def test_the_most_codes_of_a_text_count_what_constraints_name() -> None:
    schema = OpenSchema(columns=(OpenText(name="city", most=3), A))
    assert most_codes(schema.columns[0], schema.declared.columns[0]) == 3 + 2
