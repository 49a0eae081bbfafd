"""docs/data.md: its examples run and agree, and it leaves no key and no data set out."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from dpsynth.data.clock import Clock
from dpsynth.data.columns import BINS, INTEGER_CODES, CategoricalColumn, FloatColumn, IntegerColumn
from dpsynth.data.constraint_kinds import CONSTRAINTS
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.schema import Schema
from dpsynth.registry import DATASETS

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)


def test_the_examples_describe_one_schema() -> None:
    (toml,), (python,) = blocks("toml"), blocks("python")
    names: dict[str, object] = {}
    exec(python, names)
    assert Schema.from_toml(toml) == names["schema"]


@pytest.mark.parametrize(
    "kind",
    [
        Schema,
        CategoricalColumn,
        IntegerColumn,
        FloatColumn,
        Clock,
        OpenNumber,
        OpenText,
        *CONSTRAINTS.values(),
    ],
)
def test_every_key_is_documented(kind: type) -> None:
    tables = {"columns": "[[column]]", "constraints": "[[constraint]]"} if kind is Schema else {}
    keys = {tables.get(f.name, f.name) for f in fields(kind)} | {"kind"}
    rows = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    assert keys <= set(re.findall(r"`([^`]+)`", " ".join(rows)))


def test_defaults_are_those_of_the_code() -> None:
    assert f"up to {INTEGER_CODES} values have a code each, and more fall into {BINS} bins" in TEXT
    assert f"| {BINS} | bins of equal width |" in TEXT


def test_every_data_set_is_listed() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| [\d,]+ x \d+ \|", TEXT, flags=re.MULTILINE)) >= {
        name for name in DATASETS if DATASETS.target(name).startswith("dpsynth.data.")
    }
