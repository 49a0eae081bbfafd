"""Schemas as TOML and as Python, equal both ways; misspelt keys name close ones."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.schema import Schema
from dpsynth.errors import FileError, SchemaError, UnknownNameError

AGE = IntegerColumn(name="age", lower=0, upper=100)

TOML = """
public_rows = 1000
unit = "person"
max_rows_per_unit = 3

[[column]]
name = "age"
kind = "integer"
lower = 0
upper = 100
bins = 20
on_invalid = "clip"

[[column]]
name = "sex"
kind = "categorical"
categories = ["f", "m", "x"]
missing = true
on_invalid = "other"
other = "x"

[[column]]
name = "height"
kind = "float"
lower = 0
upper = 2.5
"""

PYTHON = Schema(
    columns=(
        IntegerColumn(name="age", lower=0, upper=100, bins=20, on_invalid="clip"),
        CategoricalColumn(
            name="sex", categories=("f", "m", "x"), missing=True, on_invalid="other", other="x"
        ),
        FloatColumn(name="height", lower=0.0, upper=2.5),
    ),
    public_rows=1000,
    unit="person",
    max_rows_per_unit=3,
)

NAMES = st.text(min_size=1, max_size=8)


def columns(name: str) -> st.SearchStrategy[Column]:
    categories = st.one_of(
        st.lists(st.text(min_size=1), min_size=1, unique=True),
        st.lists(st.integers(1 - 2**53, 2**53 - 1), min_size=1, unique=True),
        st.lists(st.booleans(), min_size=1, unique=True),
    )
    numeric: dict[str, Any] = {
        "name": st.just(name),
        "missing": st.booleans(),
        "on_invalid": st.sampled_from(["error", "clip"]),
    }
    return st.one_of(
        st.builds(
            lambda chosen, missing, other: CategoricalColumn(
                name=name,
                categories=tuple(chosen),
                missing=missing,
                on_invalid="other" if other else "error",
                other=chosen[0] if other else None,
            ),
            categories,
            st.booleans(),
            st.booleans(),
        ),
        st.builds(
            IntegerColumn,
            lower=st.integers(-(10**9), 0),
            upper=st.integers(9, 10**9),
            bins=st.one_of(st.none(), st.integers(1, 10)),
            **numeric,
        ),
        st.builds(
            FloatColumn,
            lower=st.floats(-1e20, -1e-20),
            upper=st.floats(0, 1e20),
            bins=st.integers(1, 99),
            **numeric,
        ),
    )


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    unit = draw(st.one_of(st.just("record"), NAMES))
    return Schema(
        columns=tuple(draw(columns(name)) for name in names),
        public_rows=draw(st.one_of(st.none(), st.integers(1, 10**12))),
        unit=unit,
        max_rows_per_unit=1 if unit == "record" else draw(st.integers(1, 99)),
        inferred=tuple(draw(st.lists(NAMES, max_size=3))),
    )


def test_toml_and_python_describe_the_same_schema() -> None:
    assert Schema.from_toml(TOML) == PYTHON


@given(schema=schemas())
@settings(max_examples=60, deadline=None)
def test_every_schema_survives_toml(schema: Schema) -> None:
    again = Schema.from_toml(schema.to_toml())
    assert again == schema
    assert [type(c) for c in again.columns] == [type(c) for c in schema.columns]
    for old, new in zip(schema.columns, again.columns, strict=True):
        assert repr(old) == repr(new)


def test_the_domain_has_a_code_for_missing_values() -> None:
    assert dict(PYTHON.domain.sizes) == {"age": 20, "sex": 4, "height": 32}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lower = 0\nupper = 100", "lowr = 0\nupper = 100", "schema column 'age' 'lowr'; did you"),
        ("public_rows", "public_row", "key of the schema 'public_row'; did you mean 'public_rows'"),
        ('"integer"', '"interger"', "'interger'; did you mean 'integer'"),
        ("missing = true", "misssing = true", "did you mean 'missing'"),
        ("categories = ", "lower = 0\ncategories = ", "key of schema column 'sex' 'lower'"),
    ],
)
def test_a_misspelt_name_names_close_ones(old: str, new: str, said: str) -> None:
    with pytest.raises(UnknownNameError) as refusal:
        Schema.from_toml(TOML.replace(old, new, 1))
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lower = 0\nupper = 100", 'lower = "0"\nupper = 100', "'age': '0' is not allowed, lower"),
        ("bins = 20\n", "bins = 20.5\n", "bins must be a whole number"),
        ("missing = true", 'missing = "true"', "missing must be true or false"),
        ("upper = 100\n", "", "needs the key 'upper'"),
        ('name = "age"\n', "", "column 1 needs a name"),
        ('kind = "integer"\n', "", "kind must be one of"),
        ('name = "sex"', 'name = "age"', "must be unique"),
        ("public_rows = 1000", "public_rows = 0", "public_rows must be a whole number"),
        ("public_rows = 1000", "public_rows = 1e3", "public_rows must be a whole number"),
        ("max_rows_per_unit = 3", "max_rows_per_unit = true", "max_rows_per_unit must be"),
        ('unit = "person"', 'unit = "record"', "must be 1 when unit is 'record'"),
        ('unit = "person"', "unit = 1", "unit must be a text"),
        ('unit = "person"', 'unit = "person"\ninferred = "age"', "inferred must be a list"),
        ('unit = "person"', 'unit = "person"\ninferred = [1]', "inferred must be a text"),
        ("[[column]]", "[[column", "valid TOML"),
        (TOML, "", "at least one column"),
        (TOML, "column = 3", r"starts with [[column]]"),
        (TOML, "column = [3]", r"starts with [[column]]"),
    ],
)
def test_a_wrong_schema_is_one_sentence(old: str, new: str, said: str) -> None:
    assert old in TOML
    with pytest.raises(SchemaError) as refusal:
        Schema.from_toml(TOML.replace(old, new, 1))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_schema_file_is_read_and_a_missing_one_named(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text(TOML, encoding="utf-8")
    assert Schema.load(path) == PYTHON
    path.write_bytes(TOML.replace("\n", "\r\n").encode("utf-8-sig"))
    assert Schema.load(path) == PYTHON
    path.write_text(TOML.replace("upper", "uper", 1), encoding="utf-8")
    with pytest.raises(UnknownNameError, match="did you mean 'upper'") as refusal:
        Schema.load(path)
    assert refusal.value.__notes__ == [f"in {path}"]
    with pytest.raises(FileError, match="no such schema file"):
        Schema.load(tmp_path / "none.toml")
    path.write_bytes(b"\xff")
    with pytest.raises(FileError, match="cannot be read"):
        Schema.load(path)
    with pytest.raises(FileError, match="cannot be read"):
        Schema.load(tmp_path)


def test_columns_are_found_by_name() -> None:
    schema = Schema(columns=(AGE,))
    assert schema.column("age") is AGE
    assert schema.names == ("age",)
    with pytest.raises(UnknownNameError, match="did you mean 'age'"):
        schema.column("aeg")


def test_a_schema_is_hashable_and_refuses_foreign_columns() -> None:
    assert hash(Schema(columns=(AGE,))) == hash(Schema(columns=[AGE]))  # pyright: ignore
    with pytest.raises(SchemaError, match="categorical, integer or float"):
        Schema(columns=("age",))  # pyright: ignore
    with pytest.raises(SchemaError, match="must be a list"):
        Schema(columns=AGE)  # pyright: ignore
