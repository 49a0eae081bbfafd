"""Open schemas on the command line: drafted without a value, bought, and warned about."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from dpsynth.data.schema import Schema
from dpsynth.saved import read
from tests.cli.running import runner

Say: TypeAlias = Callable[..., tuple[int, str]]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command beside a raw table; return exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    cities = ("Rome", "Oslo", "Oslo")
    rows = (f"p{i},{cities[i % 3]},{i % 50},2020-01-{1 + i % 28:02}" for i in range(4000))
    (tmp_path / "d.csv").write_text("who,city,age,day\n" + "".join(f"{row}\n" for row in rows))
    return runner(capsys)


def test_a_raw_table_becomes_a_synthetic_one(say: Say, tmp_path: Path) -> None:
    code, said = say("schema", "kinds", "d.csv", "--out", "s.toml")
    assert (code, said) == (0, "wrote s.toml; add what is publicly known.\n")
    drafted = (tmp_path / "s.toml").read_text()
    assert "Oslo" not in drafted
    assert "2020" not in drafted
    options = ["--schema", "s.toml", "--epsilon", "2", "--delta", "1e-6", "--generator", "tree"]
    code, said = say(
        "synthesize", "d.csv", *options, "--seed", "0", "--out", "o.csv", "--model", "m"
    )
    assert code == 0, said
    warning = "dpsynth: column 'who' has no text that enough records share: all became 'other'."
    assert said.startswith(warning)
    assert ".py" not in said
    lines = (tmp_path / "o.csv").read_text().splitlines()
    assert lines[0] == "who,city,age,day"
    assert {line.split(",")[1] for line in lines[1:]} <= {"Oslo", "Rome", "other", ""}
    saved = read(tmp_path / "m")
    assert isinstance(saved.schema, Schema)
    assert {"frequent values of city", "bounds of age", "tree of day"} <= {
        entry.label for entry in saved.receipt.entries
    }
    assert saved.receipt.unprotected[0] == "who.kind"
    assert say("schema", "of", "m", "--out", "closed.toml")[0] == 0
    assert Schema.load(tmp_path / "closed.toml").columns == saved.schema.columns
    judged = ["--schema", "closed.toml", "--metric", "tvd_1way"]
    code, said = say("evaluate", "o.csv", "o.csv", *judged)
    assert code == 0, said


def test_an_identifier_is_refused_in_a_sentence(say: Say, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[[column]]\nname = "who"\nkind = "identifier"\n')
    code, said = say(
        "synthesize", "d.csv", "--schema", "s.toml", "--epsilon", "1", "--out", "o.csv"
    )
    assert code == 2
    assert (
        "'identifier' is not allowed, an identifier is not synthesised: leave the column out"
        in said
    )
    assert not (tmp_path / "o.csv").exists()
