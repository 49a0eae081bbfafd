"""The process of one cell: everything that happens in it ends as a record or a dead process."""

import faulthandler
import fcntl
import os
import resource
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from time import process_time
from types import MappingProxyType
from typing import Any, TypeAlias, final

from dpsynth.errors import DpsynthError, PrivacyError
from dpsynth.harness.cell import Cell, CellResult, Stopwatch
from dpsynth.harness.record import Record, encode
from dpsynth.harness.row import Row, Status
from dpsynth.harness.statement import stated

Task: TypeAlias = Callable[[Cell, Stopwatch], CellResult]
DUMP_SIGNAL = signal.SIGUSR1  # asks a cell that hangs for its stack
PROCESSOR = "processor seconds"  # of a phase: how such measures begin


@final
@dataclass(frozen=True, kw_only=True)
class Entered:
    """A cell has begun a phase."""

    phase: str


def work(connection: Connection, task: Task, cell: Cell, log: str) -> None:
    """Run `task` on `cell` in this process, and send what became of it.

    Args:
        connection: takes an Entered for each phase, and at the end the bytes of a Record.
        task: usually `run_cell`.
        cell: what to run.
        log: file that takes what the cell prints, and its stack when it crashes or hangs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.setpgid(0, 0)  # so that what the cell starts ends with it
    _end_with_parent()
    output = open(log, "wb", buffering=0)  # noqa: SIM115  it stays open as long as the process
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    tempfile.tempdir = os.path.dirname(log)  # whatever a cell that is killed leaves is removed
    faulthandler.enable(output)
    faulthandler.register(DUMP_SIGNAL, output)
    _limit_threads()
    # Other work on the machine lengthens a phase, and not its processor time.
    processor = Stopwatch(clock=process_time)

    def entered(phase: str) -> None:
        processor.enter(phase)
        connection.send(Entered(phase=phase))

    watch = Stopwatch(entered)
    watch.enter("start")
    connection.send(_bytes(task, cell, watch, processor))
    connection.close()


def _bytes(task: Task, cell: Cell, watch: Stopwatch, processor: Stopwatch) -> bytes:
    """Return the cell's record as the store keeps it; a result against the schema fails it."""
    try:
        return encode(_run(task, cell, watch, processor))
    except (ValueError, TypeError, LookupError) as error:
        sentence = f"its result is not of the schema: {error}"
        return encode(failure(cell, "error", watch.phase, sentence, **_measures(watch)))


def _run(task: Task, cell: Cell, watch: Stopwatch, processor: Stopwatch) -> Record:
    try:
        result = task(cell, watch)
    except MemoryError:
        return failure(cell, "out_of_memory", watch.phase, "not enough memory", **_measures(watch))
    except Exception as error:  # noqa: BLE001  the one place where a cell is kept apart
        status: Status = "privacy_error" if isinstance(error, PrivacyError) else "error"
        known = isinstance(error, DpsynthError)
        sentence = str(error) if known else f"{type(error).__name__}: {error}"
        stack = traceback.format_exc()
        return failure(cell, status, watch.phase, sentence, traceback=stack, **_measures(watch))
    processor.stop()
    measures = _measures(watch)
    rows = (*result.rows, *_run_rows(cell, processor=processor.seconds, **measures))
    return Record(
        cell=cell.id,
        settings=cell.to_plain(),
        status="done",
        rows=stated(rows, cell, result.receipt),
        receipt=result.receipt,
        **measures,
    )


def failure(
    cell: Cell,
    status: Status,
    phase: str,
    error: str,
    *,
    seconds: dict[str, float],
    peak_rss_mb: float | None,
    traceback: str | None = None,
) -> Record:
    """Return the record of a cell that did not reach its end."""
    how: dict[str, Any] = {"status": status, "phase": phase, "error": error}
    rows = (
        cell.row(kind="run", metric="failed", value=1.0, **how),
        *_run_rows(cell, seconds=seconds, peak_rss_mb=peak_rss_mb, **how),
    )
    return Record(
        cell=cell.id,
        settings=cell.to_plain(),
        status=status,
        rows=stated(rows, cell, None),
        phase=phase,
        error=error,
        traceback=traceback,
        seconds=seconds,
        peak_rss_mb=peak_rss_mb,
    )


def _run_rows(
    cell: Cell,
    *,
    seconds: dict[str, float],
    peak_rss_mb: float | None,
    processor: Mapping[str, float] = MappingProxyType({}),
    **how: Any,
) -> Iterator[Row]:
    for words, times in (("seconds", seconds), (PROCESSOR, processor)):
        for phase, value in times.items():
            yield cell.row(
                kind="run", metric=f"{words} {phase}", value=value, higher_is_better=False, **how
            )
    yield cell.row(
        kind="run", metric="peak_rss_mb", value=peak_rss_mb, higher_is_better=False, **how
    )


def _measures(watch: Stopwatch) -> dict:
    watch.stop()
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {"seconds": dict(watch.seconds), "peak_rss_mb": kibibytes / unit}


def _end_with_parent() -> None:
    """End this process and what it starts when the sweep's is gone, however it went.

    A pipe of the parent's tells it. The kernel signals its end to the whole group, also to a cell
    that holds the interpreter's lock; where it does not, a thread waits for it.
    """
    parent = parent_process()
    if parent is None:
        return
    with suppress(OSError, ValueError):
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)  # SIGIO, which ends it

    def guard() -> None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=guard, daemon=True).start()


def _limit_threads() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
