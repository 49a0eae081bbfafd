"""The verbs of a results store: what they print, what they write, what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dpsynth.cli.duration import told
from dpsynth.harness.lock import locked
from dpsynth.harness.record import Record
from dpsynth.harness.store import Store
from dpsynth.harness.worker import failure
from tests.cli.running import runner
from tests.harness.cells import make_cell


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    return runner(capsys)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a finished, a failed, a damaged and a missing cell, and one of another plan."""
    store, cells = Store(tmp_path / "out"), [make_cell(seed=i) for i in range(4)]
    store.write_plan({"name": "half"}, [cell.id for cell in cells], [])
    row = cells[0].row(kind="utility", metric="m", value=0.25)
    store.write(Record(cell=cells[0].id, settings=cells[0].to_plain(), status="done", rows=(row,)))
    store.write(
        failure(cells[1], "timeout", "fit", "too slow", seconds={"fit": 90.0}, peak_rss_mb=1.0)
    )
    (store.path / "cells" / f"{cells[2].id}.json").write_text("{")
    store.write(failure(make_cell("old"), "crash", "fit", "", seconds={}, peak_rss_mb=None))
    return store


def test_status_counts_and_names_what_failed(say, store: Store) -> None:
    code, said = say("status", str(store.path))
    assert code == 0
    assert "half: 1 of 4 cells are finished" in said
    numbers = {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in said.splitlines()}
    others = "of other plans or versions, not in reports"
    for name in ("finished", "failed", "damaged", "not run yet", others):
        assert numbers[name] == "1"
    assert "timeout in fit after 90 s: toy, ok, epsilon 1: too slow" in said
    assert "No sweep runs." in said
    with locked(store.path):
        assert "A sweep runs: process" in say("status", str(store.path))[1]
        code, said = say("compact", str(store.path))
        assert code == 2
        assert "in use by process" in said


def test_a_query_prints_and_writes(say, store: Store, tmp_path: Path) -> None:
    sql = "SELECT kind, value, p_value FROM results WHERE kind = 'utility'"
    loose = say("query", str(store.path), sql)
    assert "Not compacted" in say("status", str(store.path))[1]
    code, said = say("compact", str(store.path))
    assert code == 0
    assert "results.parquet" in said
    assert say("query", str(store.path), sql) == loose
    assert loose[0] == 0
    assert loose[1].split() == ["kind", "value", "p_value", "utility", "0.25", "-"]
    for suffix in ("csv", "json", "parquet"):
        code, said = say("query", str(store.path), sql, "--out", str(tmp_path / f"found.{suffix}"))
        assert code == 0, said
    assert json.loads((tmp_path / "found.json").read_text())[0]["value"] == 0.25


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("query", "STORE", "SELEKT 1"), "a statement that DuckDB can run"),
        (("query", "STORE", "SELECT * FROM read_csv('/etc/passwd')"), "DuckDB can run"),
        (("query", "STORE", "COPY results TO 'stolen.csv'"), "DuckDB can run"),
        (("query", "STORE", "SELECT 1", "--out", "x.xlsx"), "must end in"),
        (("query", "nowhere", "SELECT 1"), "not a results store"),
        (("status", "nowhere"), "not a results store"),
        (("compact", "nowhere"), "not a results store"),
    ],
)
def test_mistakes_are_one_sentence(say, store: Store, words: tuple[str, ...], said: str) -> None:
    code, found = say(*(str(store.path) if word == "STORE" else word for word in words))
    assert code == 2
    assert said in found
    assert not Path("nowhere").exists()


def test_a_dry_run_says_what_it_knows_of_the_cost(say, tmp_path: Path) -> None:
    pytest.importorskip("statsmodels")
    file, out = tmp_path / "e.toml", tmp_path / "out"
    file.write_text(
        'name = "x"\ndatasets = ["randhie"]\ngenerators = ["uniform"]\nepsilons = [1]\n'
    )
    words = ("sweep", str(file), "--out", str(out), "--dry-run", "--workers", "1")
    code, said = say(*words)
    assert code == 0
    assert "Cost of 1 of these cells: unknown" in said
    assert "at most 30 min each by the limit" in said
    assert not out.exists()
    beside = Store(tmp_path / "beside")
    beside.write_plan({"name": "y"}, [], [])
    cell = make_cell("uniform")
    beside.write(
        Record(
            cell=cell.id, settings=cell.to_plain(), status="done", rows=(), seconds={"fit": 7300.0}
        )
    )
    code, said = say(*words)
    assert "about 2 h 2 min of computing, 2 h 2 min with 1 at a time" in said
    assert "1 by the same generator measured otherwise or elsewhere" in said
    code, said = say("sweep", str(file), "--workers", "2", "--cluster", "tcp://127.0.0.1:9")
    assert code == 2
    assert "left out with --cluster" in said


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (1.234, "1.23 s"),
        (99.0, "99 s"),
        (119, "2 min"),
        (3599, "1 h 0 min"),
        (86400.0, "24 h 0 min"),
        (3 * 86400 + 7200.0, "3 d 2 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert told(seconds) == words
