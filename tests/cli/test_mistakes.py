"""A user's mistake is one sentence that names field, value and rule; nothing is lost or written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import runner

SCHEMA = """
[[column]]
name = "age"
kind = "integer"
lower = 0
upper = 99

[[column]]
name = "sex"
kind = "categorical"
categories = ["f", "m"]
"""
RECORDS = "age,sex\n10,f\n20,m\n30,f\n40,m\n"
FRONT = ["--schema", "s.toml", "--epsilon", "1", "--out", "o.csv", "--receipt", "r.json"]


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in a folder with a schema and records; return exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(SCHEMA)
    (tmp_path / "d.csv").write_text(RECORDS)

    return runner(capsys)


def test_the_front_door_writes_what_was_asked_for(say, tmp_path: Path) -> None:
    code, said = say("synthesize", "d.csv", *FRONT, "--rows", "7")
    assert code == 0, said
    assert "wrote 7 rows to o.csv" in said
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 8
    assert "NOT for release" not in said
    code, said = say("synthesize", "d.csv", *FRONT, "--seed", "0")
    assert code == 0
    assert "NOT for release" in said


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ("age,sex,zip\n10,f,1\n", "unknown column of the schema 'zip'"),
        ("age\n10\n", "unknown column of the table 'sex'"),
        ("age,sex\n10,x\n", "column 'sex' has 'x'"),
        ("age,sex\n500,f\n", "column 'age' has 500, but values must lie between 0 and 99"),
        ("age,sex\n,f\n", "column 'age' has nan, but its schema says missing = false"),
        ("age,sex\n", "table has 'no rows', but at least one is needed"),
    ],
)
def test_records_that_do_not_fit(say, tmp_path: Path, records: str, said: str) -> None:
    (tmp_path / "d.csv").write_text(records)
    refused(say, tmp_path, ["synthesize", "d.csv", *FRONT], said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *[(["--epsilon", e], f"epsilon is {float(e)}") for e in ("0", "-1", "nan", "inf")],
        (["--epsilon", "abc"], "'abc' is not a valid float"),
        (["--delta", "0"], "delta is 0.0, but it must be above 0 for the 'gdp' accountant"),
        *[(["--delta", d], f"delta is {float(d)}") for d in ("1", "1.5", "-1", "nan")],
        (["--generator", "mts"], "did you mean 'mst'"),
        (["--set", "one_way_shar=0.5"], "did you mean 'one_way_share'"),
        (["--set", "one_way_share=2"], "one_way_share is 2.0, but it must be above 0 and below 1"),
        (["--accountant", "pld", "--generator", "aim"], "the pld accountant cannot"),
        (["--rows", "0"], "--rows is 0, but it must be at least 1"),
        (["--seed", "-1"], "seed is -1"),
        (["--max-seconds", "0"], "seconds is 0.0, but it must be a finite number above 0"),
        (["--max-memory", "1"], "memory_mb is 1.0, but it must be at least"),
        (["--schema", "none.toml"], "none.toml: no such schema file"),
        (["--out", "o.txt"], "must end in .csv or .parquet"),
        (["--receipt", "."], "this is a folder, not a file"),
        (["--model", "/proc/none/m.dpsynth"], "cannot be written"),
    ],
)
def test_parameters_out_of_range(say, tmp_path: Path, changes: list[str], said: str) -> None:
    refused(say, tmp_path, ["synthesize", "d.csv", *FRONT, *changes], said)


def test_a_missing_file(say, tmp_path: Path) -> None:
    refused(say, tmp_path, ["synthesize", "none.csv", *FRONT], "none.csv: there is no such file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SCHEMA.replace("upper", "uper"), "did you mean 'upper'? (in s.toml)"),
        (SCHEMA.replace("[[column]]", "[[column", 1), "valid TOML. (in s.toml)"),
    ],
)
def test_a_schema_with_a_mistake(say, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    refused(say, tmp_path, ["synthesize", "d.csv", *FRONT], said)


def refused(say, folder: Path, arguments: list[str], said: str) -> None:
    before = sorted(folder.iterdir())
    code, text = say(*arguments)
    assert code == 2
    assert said in text
    assert text.count("\n") == 1, "one sentence"
    assert sorted(folder.iterdir()) == before, "nothing was written"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ('kind = "categorical"\ncategories = ["f"]', "f"),
        ('kind = "integer"\nlower = 0\nupper = 0', "0"),
        ('kind = "integer"\nlower = 0\nupper = 9', "4"),
    ],
    ids=["one category", "one integer", "constant"],
)
def test_one_column_of_one_value_is_no_mistake(
    say, tmp_path: Path, column: str, value: str
) -> None:
    (tmp_path / "s.toml").write_text(f'[[column]]\nname = "only"\n{column}\n')
    (tmp_path / "d.csv").write_text("only\n" + f"{value}\n" * 3)
    code, said = say("synthesize", "d.csv", *FRONT, "--rows", "5")
    assert code == 0, said
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 6


def test_a_refusal_leaves_no_folder_behind(say, tmp_path: Path) -> None:
    arguments = ["synthesize", "none.csv", *FRONT, "--out", "new/o.csv"]
    refused(say, tmp_path, arguments, "none.csv: there is no such file")
    assert say("synthesize", "d.csv", *FRONT, "--out", "new/o.csv", "--rows", "3")[0] == 0
    assert (tmp_path / "new" / "o.csv").is_file()


def test_a_draft_needs_the_word_public(say, tmp_path: Path) -> None:
    refused(say, tmp_path, ["schema", "infer", "d.csv"], "--public")
    code, said = say("schema", "infer", "d.csv", "--public", "--out", "drafted.toml")
    assert code == 0, said
    assert 'inferred = ["age.kind"' in (tmp_path / "drafted.toml").read_text()


def test_what_is_too_large_to_be_considered_is_counted(say) -> None:
    small = ("--generator", "mst", "--set", "largest_tree=200", "--model", "m.dpsynth")
    counted = "Sets of attributes too large to be considered: 1."
    code, said = say("synthesize", "d.csv", *FRONT, *small)
    assert code == 0, said
    warning, summary = said.splitlines()
    assert warning.startswith("dpsynth: 1 of 1 ")
    assert counted in summary
    assert counted in say("sample", "m.dpsynth", "--rows", "9", "--out", "again.csv")[1]
    assert "too large" not in say("synthesize", "d.csv", *FRONT)[1]


def test_a_saved_model_is_sampled_again_and_a_damaged_one_refused(say, tmp_path: Path) -> None:
    assert say("synthesize", "d.csv", *FRONT, "--model", "m.dpsynth", "--seed", "1")[0] == 0
    assert say("sample", "m.dpsynth", "--rows", "9", "--out", "again.csv")[0] == 0
    assert len((tmp_path / "again.csv").read_text().splitlines()) == 10
    whole = (tmp_path / "m.dpsynth").read_bytes()
    (tmp_path / "m.dpsynth").write_bytes(whole[: len(whole) // 2])
    refused(say, tmp_path, ["sample", "m.dpsynth", "--out", "third.csv"], "m.dpsynth")
