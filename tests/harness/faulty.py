"""A cell that goes wrong by lot, and leaves a mark each time it runs: importable by its process."""

import os
import random
import signal
import sys
import time
from pathlib import Path

from dpsynth.harness.cell import Cell, CellResult, Stopwatch

MARKS = "DPSYNTH_TEST_MARKS"  # names the folder of marks, and tells the processes of a test
SEED = 5  # one under which sixty cells meet every fate
MEMORY_MB = 250.0  # the limit that a hog is to exceed
STATUS = {
    "abort": "crash",
    "exit": "crash",
    "killed": "crash",
    "exception": "error",
    "hang": "timeout",
    "hog": "out_of_memory",
    "well": "done",
}


def fate(cell: int, attempt: int) -> str:
    """Return what becomes of an attempt: 10% crash, 5% hang, 5% take too much memory.

    Args:
        cell: its seed, which stays when code that its identity is computed from changes.
        attempt: how often it was begun before.
    """
    lot = random.Random(f"{SEED} {cell} {attempt}")
    draw = lot.random()
    if draw < 0.10:
        return lot.choice(["abort", "exit", "killed", "exception"])
    return "hang" if draw < 0.15 else "hog" if draw < 0.20 else "well"


def attempts(marks: Path, cell: str) -> int:
    """Return how often `cell` has been begun."""
    return len(list(marks.glob(f"{cell}.*")))


def leave_mark(cell: Cell) -> int:
    """Leave a mark that says which process begins `cell`, and return how often it was begun."""
    marks = Path(os.environ[MARKS])
    attempt = attempts(marks, cell.id)
    (marks / f"{cell.id}.{attempt}.{os.getpid()}").touch()
    return attempt


def faulty(cell: Cell, watch: Stopwatch) -> CellResult:
    """Meet one's fate, 20 ms after a mark was left."""
    attempt = leave_mark(cell)
    watch.enter("fit")
    time.sleep(0.02)
    match fate(cell.seed, attempt):
        case "abort":
            os.abort()
        case "exit":
            sys.exit(3)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exception":
            raise ZeroDivisionError("1 / 0")
        case "hang":
            time.sleep(3600)
        case "hog":
            hoard = bytearray(round(1.2 * MEMORY_MB * 2**20))
            hoard[:: 2**10] = b"x" * len(hoard[:: 2**10])
            time.sleep(3600)
    return CellResult(
        rows=(cell.row(kind="utility", metric="m", value=float(attempt)),), receipt=None
    )
