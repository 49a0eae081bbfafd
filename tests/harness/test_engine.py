"""Whatever a cell does, the others finish and it leaves a record."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from typing import Any

import pytest

from dpsynth.harness.config import Limits
from dpsynth.harness.engine import LocalEngine
from dpsynth.harness.store import Record
from tests.harness.cells import make_cell
from tests.harness.misbehaving import behave

NAMES = ("error", "bug", "privacy", "exit", "segfault", "hang", "grow", "memory", "ok")


@pytest.fixture(scope="module")
def records() -> dict[str, Record]:
    cells = {make_cell(name).id: name for name in NAMES}
    patient = LocalEngine(workers=3, limits=Limits(memory_mb=300.0), task=behave)
    found = {cells[r.cell]: r for r in patient.run(make_cell(n) for n in NAMES if n != "hang")}
    hasty = LocalEngine(workers=1, limits=Limits(timeout_seconds=2.0), task=behave)
    found |= {cells[r.cell]: r for r in hasty.run([make_cell("hang")])}
    assert set(found) == set(NAMES)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("error", "error", "rounds is 0, but it must be at least 1."),
        ("bug", "error", "ZeroDivisionError: 1 / 0"),
        ("privacy", "privacy_error", "only 1 is left of the budget"),
        ("exit", "crash", "exit code 7"),
        ("segfault", "crash", "killed by SIGSEGV"),
        ("hang", "timeout", "stopped after the limit of 2 s"),
        ("grow", "out_of_memory", "stopped above the limit of 300 MiB"),
        ("memory", "out_of_memory", "not enough memory"),
    ],
)
def test_a_failure_becomes_a_record(
    records: dict[str, Record], name: str, status: str, error: str
) -> None:
    record = records[name]
    assert record.status == status
    assert record.phase == "fit"
    assert error in (record.error or "")
    assert sum(record.seconds.values()) > 0
    failed = [row for row in record.rows if row.metric == "failed"]
    assert [(r.status, r.phase, r.error) for r in failed] == [(status, "fit", record.error)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "where"), [("bug", "behave"), ("hang", "in behave"), ("segfault", "in behave")]
)
def test_a_failure_shows_where(records: dict[str, Record], name: str, where: str) -> None:
    assert where in (records[name].traceback or "")


@pytest.mark.slow
def test_memory_and_time_are_kept(records: dict[str, Record]) -> None:
    assert (records["grow"].peak_rss_mb or 0) > 300
    assert records["hang"].seconds["total"] == pytest.approx(2.0, abs=1.5)
    assert (records["ok"].peak_rss_mb or 0) > 5


@pytest.mark.slow
def test_a_cell_that_ends_well_keeps_its_rows(records: dict[str, Record]) -> None:
    record = records["ok"]
    assert record.status == "done"
    assert record.receipt == '{"a": 1}'
    assert [r.value for r in record.rows if r.kind == "utility"] == [1 / 3]
    spent = {r.metric: r.value or 0.0 for r in record.rows if r.kind == "run"}
    assert spent["peak_rss_mb"] > 0
    assert spent["seconds fit"] >= 0.4  # it sleeps, which takes time and no processor
    assert 0 < spent["processor seconds fit"] < 0.3


@pytest.mark.slow
def test_leaving_early_ends_the_cells_that_run() -> None:
    engine = LocalEngine(workers=2, limits=Limits(), task=behave)
    running = engine.run([make_cell("ok"), make_cell("hang")])
    assert next(running).status == "done"
    running.close()
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be bound")
def test_a_process_that_is_bound_to_one_core_has_one() -> None:
    code = (
        "import os; from dpsynth.harness.engine import cores;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(cores())"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)
    assert told.stdout == b"1\n"


def test_a_process_that_cannot_be_started_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(process: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(ForkServerProcess, "start", full)
    engine = LocalEngine(workers=2, limits=Limits(), task=behave)
    records = list(engine.run([make_cell("ok"), make_cell("hang")]))
    assert [(r.status, r.phase) for r in records] == [("crash", "waiting")] * 2
    assert "could not be started ([Errno 11]" in (records[0].error or "")


@pytest.mark.slow
def test_a_fork_server_that_dies_takes_only_the_cells_that_ran() -> None:
    server: Any = forkserver._forkserver  # pyright: ignore[reportAttributeAccessIssue]
    engine = LocalEngine(workers=1, limits=Limits(), task=behave)
    running = engine.run([make_cell("ok"), make_cell("bug"), make_cell("privacy")])
    assert next(running).status == "done"
    os.kill(server._forkserver_pid, signal.SIGKILL)
    # Dead, and still there to be noticed by whoever starts the next cell.
    os.waitid(os.P_PID, server._forkserver_pid, os.WEXITED | os.WNOWAIT)
    assert [record.status for record in running][-1] == "privacy_error"


@pytest.mark.slow
def test_a_result_against_the_schema_fails_its_cell() -> None:
    engine = LocalEngine(workers=1, limits=Limits(), task=behave)
    strange, ok = engine.run([make_cell("strange"), make_cell("ok")])
    assert (strange.status, ok.status) == ("error", "done")
    assert "not of the schema: row: value is 'high'" in (strange.error or "")
