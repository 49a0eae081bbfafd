"""Injected faults: whatever cells do, and whenever the parent dies, a cell has one true record."""

import io
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from dpsynth.harness.config import Limits
from dpsynth.harness.progress import Progress
from dpsynth.harness.store import Store, read
from dpsynth.harness.sweep import Plan, run_sweep
from tests.harness.cells import make_cell, make_plan_of
from tests.harness.faulty import MARKS, MEMORY_MB, STATUS, attempts, fate, faulty
from tests.harness.processes import alive, wait_until_gone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see which processes live"),
]
KILLS = 20
Starter = Callable[..., subprocess.Popen[bytes]]


def plan(*seeds: int, timeout_seconds: float) -> Plan:
    limits = Limits(timeout_seconds=timeout_seconds, memory_mb=MEMORY_MB)
    return make_plan_of(*(make_cell(seed=i) for i in seeds), limits=limits)


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "marks"
    folder.mkdir()
    monkeypatch.setenv(MARKS, str(folder))
    yield folder
    left = wait_until_gone(f"{MARKS}={folder}", seconds=30)
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    assert left == []


@pytest.fixture
def start(marks: Path) -> Iterator[Starter]:
    """Start programs; one that still runs when the test is over is killed with its group."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", *words], start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def sweep(wanted: Plan, store: Store) -> None:
    for _ in run_sweep(wanted, store, progress=Progress(io.StringIO()), workers=2, task=faulty):
        pass


def command(seeds: list[int], out: Path, *, timeout_seconds: float) -> list[str]:
    code = (
        "import sys; from pathlib import Path; from tests.harness import test_faults as t;"
        "from dpsynth.harness.store import Store;"
        f"t.sweep(t.plan(*{seeds}, timeout_seconds={timeout_seconds}), Store(Path(sys.argv[1])))"
    )
    return [code, str(out)]


# Seconds that cells have: those that hang waste them all, and the others need them on a machine
# with other work.
@pytest.mark.parametrize(("hanging", "seconds"), [(True, 3.0), (False, 60.0)])
def test_every_fault_is_a_record_of_its_kind(
    tmp_path: Path, marks: Path, start: Starter, *, hanging: bool, seconds: float
) -> None:
    assert {fate(seed, 0) for seed in range(60)} == set(STATUS), "every fault is met"
    seeds = [seed for seed in range(60) if (fate(seed, 0) == "hang") == hanging]
    wanted, store = plan(*seeds, timeout_seconds=seconds), Store(tmp_path / "out")
    assert start(*command(seeds, store.path, timeout_seconds=seconds)).wait(timeout=900) == 0
    assert wait_until_gone(f"{MARKS}={marks}", seconds=30) == []
    fates = {cell.id: fate(cell.seed, 0) for cell in wanted.cells}
    records = {record.cell: record for record in store.records()}
    assert {c: r.status for c, r in records.items()} == {c: STATUS[f] for c, f in fates.items()}
    for cell, record in records.items():
        assert record.phase == (None if record.status == "done" else "fit")
        assert sum(record.seconds.values()) > 0
        assert (record.peak_rss_mb or 0) > (MEMORY_MB if fates[cell] == "hog" else 5)
        where = {"abort": "faulty", "hang": "faulty", "exception": "ZeroDivisionError"}
        assert where.get(fates[cell], "") in (record.traceback or "")
    rows = read(store.path)
    assert rows["cell"].nunique() == len(seeds)
    assert rows.filter(like="claim_").notna().all(axis=None)


def test_a_parent_killed_twenty_times_loses_and_repeats_nothing(
    tmp_path: Path, marks: Path, start: Starter
) -> None:
    cells, lot, kills = 120, random.Random(20), 0
    seeds = list(range(cells))
    wanted, store = plan(*seeds, timeout_seconds=2.0), Store(tmp_path / "out")
    begun, kept, finished = seen(wanted, store, marks)
    while len(finished) < cells:
        process = start(*command(seeds, store.path, timeout_seconds=2.0))
        killed = kills < KILLS
        if killed:
            await_progress(process, marks, cells=lot.randint(0, 3))
            sleep(lot.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait(timeout=600)
        assert wait_until_gone(f"{MARKS}={marks}", seconds=30) == [], "nothing outlives the parent"
        before = begun, kept
        earlier = finished
        begun, kept, finished = seen(wanted, store, marks)
        again = {cell for cell in begun if begun[cell] > before[0][cell]}
        assert all(begun[cell] == before[0][cell] + 1 for cell in again)
        assert not again & earlier, "what has finished is not computed again"
        assert all(kept[cell] == before[1][cell] for cell in earlier), "nor changed"
        lost = {cell for cell in again if kept[cell] == before[1][cell]}
        assert len(lost) <= (2 if killed else 0), "only what ran on the two processes"
    assert kills == KILLS
    assert not list(store.path.rglob("*.part"))
    assert Counter(r.status for r in store.records()) == {"done": cells}


def seen(
    wanted: Plan, store: Store, marks: Path
) -> tuple[dict[str, int], dict[str, bytes], set[str]]:
    """Return how often cells were begun, what the store has of them, and which are done."""
    begun = {cell.id: attempts(marks, cell.id) for cell in wanted.cells}
    files = {cell.id: store.path / "cells" / f"{cell.id}.json" for cell in wanted.cells}
    kept = {cell: file.read_bytes() if file.exists() else b"" for cell, file in files.items()}
    records = {cell: store.read_cell(cell) for cell in files}
    assert all((records[cell] is None) == (not kept[cell]) for cell in files), "whole or not there"
    done = {cell for cell, record in records.items() if record and record.status == "done"}
    return begun, kept, done


def await_progress(process: subprocess.Popen[bytes], marks: Path, *, cells: int) -> None:
    """Wait until so many further cells have begun, or the process has ended."""
    before, deadline = len(list(marks.iterdir())), monotonic() + 300
    while len(list(marks.iterdir())) < before + cells and process.poll() is None:
        assert monotonic() < deadline
        sleep(0.01)


def test_a_cell_that_holds_the_interpreter_ends_with_its_parent_and_so_does_its_child(
    marks: Path, start: Starter
) -> None:
    code = (
        "import sys; from dpsynth.harness.config import Limits;"
        "from dpsynth.harness.engine import LocalEngine; from tests.harness.cells import make_cell;"
        "from tests.harness.misbehaving import stubborn;"
        "list(LocalEngine(workers=1, limits=Limits(), task=stubborn).run([make_cell()]))"
    )
    process = start(code)
    await_progress(process, marks, cells=1)
    sleep(0.5)
    assert len(alive(f"{MARKS}={marks}")) >= 4, "parent, fork server, cell and its child"
    process.kill()
    process.wait()
    assert wait_until_gone(f"{MARKS}={marks}", seconds=30) == []
