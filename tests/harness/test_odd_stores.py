"""Stores that are odd: no cells, names of any alphabet, clocks that are wrong, other formats."""

import io
import json
import os
import time
from hashlib import sha256
from pathlib import Path

import pytest

from dpsynth.errors import FileError, InvalidValueError
from dpsynth.harness.progress import Progress
from dpsynth.harness.query import query
from dpsynth.harness.record import Record, encode
from dpsynth.harness.row import CLAIM, check
from dpsynth.harness.statement import stated
from dpsynth.harness.store import Store, read
from dpsynth.harness.sweep import Plan, look_at, run_sweep
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.statement import claim_statement
from tests.harness.cells import make_cell, make_plan_of
from tests.harness.misbehaving import behave

NAMES = ["Ergebnisse für Prüfung", "結果 🗒", "a b'c\"d", "with [brackets] and *", "-n"]


def plan(*names: str) -> Plan:
    return make_plan_of(*(make_cell(name) for name in names))


def sweep(wanted: Plan, store: Store) -> list[str]:
    progress = Progress(io.StringIO())
    return [r.status for r in run_sweep(wanted, store, progress=progress, workers=1, task=behave)]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_paths_of_any_alphabet(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / name)
    assert sweep(plan("ok"), store) == ["done"]
    assert sweep(plan("ok"), store) == []
    found = query(store, "SELECT count(*) AS n FROM results WHERE kind = 'utility'")
    assert found["n"].tolist() == [1]


def test_no_cells(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert sweep(plan(), store) == []
    assert read(tmp_path).empty
    assert query(store, "SELECT * FROM results").empty


def test_a_cell_that_is_there_twice_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="there once"):
        plan("ok", "other", "ok")


@pytest.mark.slow
@pytest.mark.parametrize("years", [-50, 50])
def test_wrong_clocks_change_nothing(tmp_path: Path, years: int) -> None:
    store = Store(tmp_path)
    assert sweep(plan("ok", "fine"), store) == ["done", "done"]
    then = time.time() + years * 365 * 86400
    for file in tmp_path.rglob("*"):
        os.utime(file, (then, then))
    assert sweep(plan("ok", "fine"), store) == []
    assert sweep(plan("ok", "fine", "more"), store) == ["done"]
    assert len(read(tmp_path).query("kind == 'utility'")) == 3


def test_a_store_of_a_later_format_is_refused_and_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_plan({"name": "x"}, [], [])
    later = {**json.loads((tmp_path / "plan.json").read_text()), "format": 2}
    (tmp_path / "plan.json").write_text(json.dumps(later))
    for reading in (store.plan, lambda: read(tmp_path), lambda: sweep(plan("ok"), store)):
        with pytest.raises(FileError, match="format 2, and this version of dpsynth reads 1"):
            reading()
    assert json.loads((tmp_path / "plan.json").read_text()) == later


@pytest.mark.slow
def test_a_store_of_an_earlier_version_is_read_and_goes_on(tmp_path: Path) -> None:
    """Records without claims, in a folder that states no format."""
    store, cell = Store(tmp_path), make_cell()
    rows = (cell.row(kind="utility", metric="m", value=0.5),)
    store.write(Record(cell=cell.id, settings=cell.to_plain(), status="done", rows=rows))
    file = tmp_path / "cells" / f"{cell.id}.json"
    body = json.loads(file.read_text())["body"]
    assert body.pop("claim") == {}
    text = json.dumps(body, separators=(",", ":"))
    file.write_text(f'{{"sha256":"{sha256(text.encode()).hexdigest()}","body":{text}}}\n')
    (tmp_path / "plan.json").write_text(json.dumps({"cells": [cell.id], "skipped": []}))
    assert read(tmp_path)["value"].tolist() == [0.5]
    assert sweep(plan("ok", "new"), store) == ["done"]
    frame = read(tmp_path)
    assert frame.groupby("generator")["claim_unit"].count().to_dict()["ok"] == 0
    assert frame.loc[frame["generator"] == "new", list(CLAIM)].notna().all(axis=None)


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_plan({"name": "x"}, [], [])
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / ".abc.json.x1y2.part").write_bytes(b"{")
    assert look_at(plan("ok"), store).new
    store.write_plan({"name": "x"}, [], [])
    assert list((tmp_path / "cells").iterdir()) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("value", "0.5"),
        ("value", True),
        ("seed", 1.5),
        ("kind", "utilities"),
        ("status", "fine"),
        ("violated", 1),
        ("epsilon", 0.0),
        ("delta", 1.5),
        ("metric", None),
        ("claim_scope", None),
        ("claim_unit", ""),
    ],
)
def test_a_row_against_the_schema_is_refused(column: str, value: object) -> None:
    cell = make_cell()
    (row,) = stated([cell.row(kind="utility", metric="m", value=0.5)], cell, None)
    check(row)
    object.__setattr__(row, column, value)
    with pytest.raises(InvalidValueError, match=f"row: {column}"):
        encode(Record(cell=cell.id, settings={}, status="done", rows=(row,)))


@pytest.mark.parametrize("kind", ["release", "audit", "import"])
def test_rows_without_a_receipt_say_so(kind: str) -> None:
    cell = make_cell(kind=kind)
    (row,) = stated([cell.row(kind="run", metric="failed")], cell, None)
    said = {name: getattr(row, name) for name in CLAIM}
    assert all(said.values())
    assert len(said) == 13
    assert "(1.0, 1e-09)" in said["claim_guarantee"]
    assert "unknown" in said["claim_accounting"]
    receipt = claim_statement(Ledger(make_accountant("zcdp", cell.budget)).receipt(mode="research"))
    for point in ("unit", "relation", "trust_model", "side_channels", "access"):
        assert said[f"claim_{point}"] == receipt[point]
