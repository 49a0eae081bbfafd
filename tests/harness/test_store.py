"""Results survive: a cell is stored whole or not at all, and a damaged one is noticed."""

import errno
import hashlib
import io
import json
import os
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.errors import FileError
from dpsynth.harness.progress import Progress
from dpsynth.harness.query import query
from dpsynth.harness.store import Record, Store, read
from dpsynth.harness.sweep import run_sweep
from tests.harness.cells import make_cell, make_plan_of

CELL = make_cell()
RECORD = Record(
    cell=CELL.id,
    settings=CELL.to_plain(),
    status="done",
    rows=(
        CELL.row(kind="utility", metric="m", value=0.1 + 0.2, lower=-inf, upper=inf),
        CELL.row(kind="audit", metric="claim", value=nan, violated=False, runs=2000),
    ),
    receipt='{"budget": {"epsilon": 1.0}}',
    seconds={"fit": 1.5},
    peak_rss_mb=100.0,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "out")
    store.write_plan({"name": "x"}, [CELL.id], [("dpvae", "no torch")])
    store.write(RECORD)
    return store


def test_what_is_written_is_read(store: Store) -> None:
    expected = replace(RECORD, rows=(RECORD.rows[0], replace(RECORD.rows[1], value=None)))
    assert store.read_cell(CELL.id) == expected
    assert store.plan()["skipped"] == [["dpvae", "no torch"]]
    assert store.experiment() == {"name": "x"}


def test_a_cell_is_plain_json(store: Store) -> None:
    plain = json.loads((store.path / "cells" / f"{CELL.id}.json").read_text())
    assert set(plain) == {"sha256", "body"}
    assert plain["body"]["rows"][0]["value"] == 0.1 + 0.2
    assert plain["body"]["receipt"]["budget"]["epsilon"] == 1.0


@pytest.mark.parametrize("keep", [0, 1, 70, 100, 0.5, 0.999])
def test_a_cell_cut_anywhere_is_noticed(store: Store, keep: float) -> None:
    path = store.path / "cells" / f"{CELL.id}.json"
    content = path.read_bytes()
    length = int(len(content) * keep) if isinstance(keep, float) else keep
    path.write_bytes(content[:length])
    assert store.read_cell(CELL.id) is None
    assert store.damaged(CELL.id)
    assert read(store.path).empty


def test_a_changed_number_is_noticed(store: Store) -> None:
    path = store.path / "cells" / f"{CELL.id}.json"
    path.write_text(path.read_text().replace("0.30000000000000004", "0.20000000000000004"))
    assert store.damaged(CELL.id)


def test_a_missing_cell_is_not_damaged(store: Store) -> None:
    assert store.read_cell("0" * 64) is None
    assert not store.damaged("0" * 64)


@pytest.mark.parametrize(("first", "second"), [('"metric"', '"measure"'), ('"lower"', '"least"')])
def test_rows_of_another_version_are_one_sentence_and_stay(
    store: Store, first: str, second: str
) -> None:
    path = store.path / "cells" / f"{CELL.id}.json"
    body = json.dumps(json.loads(path.read_text())["body"], separators=(",", ":"))
    body = body.replace(first, second)
    digest = hashlib.sha256(body.encode()).hexdigest()
    path.write_text(f'{{"sha256":"{digest}","body":{body}}}\n')
    before = {p: p.read_bytes() for p in store.path.rglob("*") if p.is_file()}
    plan = make_plan_of(CELL)
    for reading in (
        lambda: store.read_cell(CELL.id),
        lambda: store.damaged(CELL.id),
        lambda: read(store.path),
        store.compact,
        lambda: next(run_sweep(plan, store, progress=Progress(io.StringIO()))),
    ):
        with pytest.raises(FileError, match=f"another version.*unknown {second[1:-1]}"):
            reading()
    (store.path / "lock").unlink()
    assert {p: p.read_bytes() for p in store.path.rglob("*") if p.is_file()} == before


def test_a_full_disk_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left on device"):
        store.write(replace(RECORD, status="error"))
    monkeypatch.undo()
    found = store.read_cell(CELL.id)
    assert found is not None
    assert found.status == "done"
    assert [p.name for p in (store.path / "cells").iterdir()] == [f"{CELL.id}.json"]


def test_parquet_and_json_give_the_same_frame(store: Store) -> None:
    before = read(store.path)
    store.compact()
    pd.testing.assert_frame_equal(read(store.path), before)
    assert list(before["value"].isna()) == [False, True]
    assert before.loc[0, "upper"] == inf
    assert before["violated"].dtype == "boolean"
    assert before.loc[1, "runs"] == 2000


def test_parquet_of_an_older_version_has_its_missing_columns_empty(store: Store) -> None:
    expected, path = read(store.path), store.compact()
    young = ["epsilon_lower_of_class", "violated", "runs", "error"]
    pd.read_parquet(path).drop(columns=young).to_parquet(path, index=False)
    found = read(store.path)
    assert found[young].isna().all(axis=None)
    pd.testing.assert_frame_equal(found.drop(columns=young), expected.drop(columns=young))
    assert list(found.dtypes) == list(expected.dtypes)
    asked = query(store, "SELECT count(*) AS n, count(violated) AS v FROM results")
    assert asked.iloc[0].tolist() == [2, 0]


def test_a_new_plan_hides_rows_of_other_cells(store: Store) -> None:
    store.compact()
    store.write_plan({"name": "y"}, [], [])
    assert read(store.path).empty
    store.write_plan({"name": "x"}, [CELL.id], [])
    assert len(read(store.path)) == 2


def test_a_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="not a results store"):
        read(tmp_path)
