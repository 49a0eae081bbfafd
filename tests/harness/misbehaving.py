"""What cells can do wrong, as tasks for the engine: importable, so that its processes find them."""

import os
import signal
import subprocess
import sys
import time
from ctypes import PyDLL
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from dpsynth.errors import BudgetExceededError, InvalidValueError
from dpsynth.harness.cell import Cell, CellResult, Stopwatch
from tests.harness.faulty import leave_mark


def behave(cell: Cell, watch: Stopwatch) -> CellResult:
    """Do what the generator's name says."""
    watch.enter("fit")
    name = cell.generator.name
    print(f"{name} speaks")
    if name == "error":
        raise InvalidValueError("rounds", 0, "at least 1")
    if name == "bug":
        raise ZeroDivisionError("1 / 0")
    if name == "privacy":
        raise BudgetExceededError("marginal", 2.0, 1.0, "rho")
    if name == "exit":
        sys.exit(7)
    if name == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "hang":
        time.sleep(3600)
    if name == "grow":
        hoard = [b"x" * 2**22 for _ in range(1000) if not time.sleep(0.01)]
        return CellResult(rows=(), receipt=str(len(hoard)))
    if name == "memory":
        raise MemoryError
    if name == "strange":
        wrong: Any = "high"
        return CellResult(rows=(cell.row(kind="utility", metric="m", value=wrong),), receipt=None)
    time.sleep(0.4)
    return CellResult(
        rows=(cell.row(kind="utility", metric="m", value=cell.epsilon / 3),), receipt='{"a": 1}'
    )


def waiting(cell: Cell, watch: Stopwatch) -> CellResult:
    """A cell that waits for a file."""
    watch.enter("fit")
    while not Path(os.environ["DPSYNTH_TEST_MARKS"], "go").exists():
        time.sleep(0.02)
    return CellResult(rows=(cell.row(kind="utility", metric="m", value=1.0),), receipt=None)


def halting(cell: Cell, watch: Stopwatch) -> CellResult:
    """A cell that leaves a mark each time it runs; the later half of eight wait for a file."""
    marks = Path(os.environ["DPSYNTH_TEST_MARKS"])
    (marks / f"{cell.epsilon}-{time.time_ns()}").touch()
    watch.enter("fit")
    while cell.epsilon > 4 and not (marks.parent / "go").exists():
        time.sleep(0.02)
    return CellResult(rows=(cell.row(kind="utility", metric="m", value=1.0),), receipt=None)


def lingering(cell: Cell, watch: Stopwatch) -> CellResult:
    """A cell that leaves a mark, as those by lot do, and takes half a second."""
    leave_mark(cell)
    watch.enter("fit")
    time.sleep(0.5)
    return CellResult(rows=(cell.row(kind="utility", metric="m", value=1.0),), receipt=None)


def deadly(cell: Cell, watch: Stopwatch) -> CellResult:
    """A cell that leaves a mark and, when its generator is called "deadly", kills whoever asked."""
    leave_mark(cell)
    asking = parent_process()
    assert asking is not None
    if cell.generator.name == "deadly":
        assert asking.pid is not None
        os.kill(asking.pid, signal.SIGKILL)
        time.sleep(3600)
    time.sleep(0.2)
    return CellResult(rows=(cell.row(kind="utility", metric="m", value=1.0),), receipt=None)


def endless(cell: Cell, watch: Stopwatch) -> CellResult:
    """A cell that leaves a mark and, when its generator is called "kept", never ends."""
    if cell.generator.name == "kept":
        leave_mark(cell)
        time.sleep(3600)
    return CellResult(rows=(), receipt=None)


def stubborn(cell: Cell, watch: Stopwatch) -> CellResult:
    """A cell with a process of its own that holds the interpreter's lock and never ends."""
    with subprocess.Popen(["sleep", "3600"]):
        leave_mark(cell)
        PyDLL(None).sleep(3600)
    return CellResult(rows=(), receipt=None)
