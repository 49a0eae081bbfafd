"""What is asked of a saved model on the command line: conditions, balance, shares, copies."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.cli.asking import parse_balance, parse_do, parse_shares, parse_where
from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError, UnknownNameError
from tests.cli.running import runner

SCHEMA = Schema(
    columns=(
        IntegerColumn(name="age", lower=0, upper=99, bins=10),
        CategoricalColumn(name="sex", categories=("f", "m", "f|m"), missing=True),
        CategoricalColumn(name="income", categories=("<=50K", ">50K")),
        CategoricalColumn(name="income>2", categories=("yes", "no")),
    )
)


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in a folder with a saved model."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(0, 100, 500),
            "sex": np.array(["f", "m", None])[rng.integers(0, 3, 500)],
            "income": rng.choice(["<=50K", ">50K"], 500),
            "income>2": rng.choice(["yes", "no"], 500),
        }
    )
    table = Table.from_frame(SCHEMA, frame)
    dpsynth.synthesize(table, generator="independent", epsilon=9.0, seed=0).save("m.dpsynth")
    (tmp_path / "graph.toml").write_text('income = ["sex", "age"]\n')
    return runner(capsys)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sex=f", {"sex": "f"}),
        ("sex!=f", {"sex": "!=f"}),
        ("sex=", {"sex": ""}),
        ("sex=f|m", {"sex": "f|m"}),  # a category of that name comes first
        ("sex=f|", {"sex": ["f", ""]}),
        ("age>=65", {"age": ">=65"}),
        ("age >= 65", {"age": ">= 65"}),
        ("age=18..65", {"age": "18..65"}),
        ("age=<20|>=65|30", {"age": ["<20", ">=65", "30"]}),
        ("income>50K", {"income": ">50K"}),
        ("income=>50K", {"income": ">50K"}),
        ("income>2=yes", {"income>2": "yes"}),  # the longest name that fits
    ],
)
def test_conditions_as_they_are_written(text: str, found: dict[str, Any]) -> None:
    assert parse_where(SCHEMA, [text]) == found


def test_shares_balance_and_interventions() -> None:
    shares = parse_shares(SCHEMA, ["income:>50K=.5", "age:>=65=.3", "age:<20=0.1"])
    assert shares == {"income": {">50K": 0.5}, "age": {">=65": 0.3, "<20": 0.1}}
    assert parse_balance(["sex,income", "age"]) == ["sex", "income", "age"]
    assert parse_do(SCHEMA, ["sex=m", "age=3"]) == {"sex": "m", "age": "3"}
    assert parse_do(SCHEMA, ["sex="]) == {"sex": None}


@pytest.mark.parametrize(
    ("parse", "texts", "error", "sentence"),
    [
        (parse_where, ["ag>=65"], UnknownNameError, "did you mean 'age'"),
        (parse_where, ["age"], InvalidValueError, "--where is 'age'"),
        (parse_where, ["age>3", "age<9"], InvalidValueError, "only condition on 'age'"),
        (parse_shares, ["income:>50K"], InvalidValueError, "COLUMN:CONDITION=SHARE"),
        (parse_shares, ["incme:>50K=.5"], UnknownNameError, "did you mean 'income'"),
        (parse_shares, ["income=.5"], InvalidValueError, "--share"),
        (parse_do, ["sx=m"], UnknownNameError, "did you mean 'sex'"),
    ],
)
def test_mistakes(parse: Any, texts: list[str], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        parse(SCHEMA, texts)


def test_rows_are_as_asked(say) -> None:
    asked = ("--where", "age>=65", "--balance", "sex,income", "--share", "income>2:yes=.75")
    code, said = say("sample", "m.dpsynth", "--rows", "400", "--out", "rows.csv", *asked)
    assert code == 0, said
    frame = pd.read_csv("rows.csv")
    assert len(frame) == 400
    assert frame["age"].min() >= 65
    sizes = frame.groupby(["sex", "income"], dropna=False).size()
    assert sizes.max() - sizes.min() <= 1
    assert frame["income>2"].eq("yes").sum() == pytest.approx(300, abs=len(sizes))


def test_copies_of_rows(say) -> None:
    assert say("sample", "m.dpsynth", "--rows", "50", "--out", "rows.csv")[0] == 0
    asked = ("counterfactual", "m.dpsynth", "--do", "sex=m", "--graph", "graph.toml")
    code, said = say(*asked, "--of", "rows.csv", "--out", "copies.csv")
    assert code == 0, said
    assert "as private as rows.csv" in said
    rows, copies = pd.read_csv("rows.csv"), pd.read_csv("copies.csv")
    assert copies["sex"].eq("m").all()
    pd.testing.assert_series_equal(rows["age"], copies["age"])
    code, said = say(*asked, "--rows", "50", "--out", "again.csv")
    assert code == 0
    assert "differentially private" in said
    pd.testing.assert_frame_equal(pd.read_csv("again.csv"), copies)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sample", "--where", "age>=165"), "whole number from 0 to 99"),
        (("sample", "--where", "sex=x"), "unknown category of 'sex' 'x'"),
        (("sample", "--balance", "sx"), "did you mean 'sex'"),
        (("sample", "--share", "sex:m=2"), "from 0 to 1"),
        (("counterfactual", "--do", "sex=x", "--graph", "graph.toml"), "category of 'sex' 'x'"),
        (("counterfactual", "--do", "sex=m", "--graph", "none.toml"), "there is no such file"),
        (("counterfactual", "--do", "sex=m", "--graph", "rows.csv"), "cannot be read"),
    ],
)
def test_a_mistake_writes_nothing(
    say, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "rows.csv").write_text("age,sex\n")
    code, said = say(arguments[0], "m.dpsynth", *arguments[1:], "--out", "out.csv")
    assert code == 2
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out.csv").exists()
