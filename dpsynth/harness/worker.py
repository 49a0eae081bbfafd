"""The process of one cell: everything that happens in it ends as a record or a dead process."""

import faulthandler
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from time import process_time
from types import MappingProxyType
from typing import TypeAlias, final

from dpsynth.errors import DpsynthError, PrivacyError
from dpsynth.harness.cell import Cell, CellResult, Stopwatch
from dpsynth.harness.row import Row, Status
from dpsynth.harness.store import Record

Task: TypeAlias = Callable[[Cell, Stopwatch], CellResult]
DUMP_SIGNAL = signal.SIGUSR1  # asks a cell that hangs for its stack


@final
@dataclass(frozen=True, kw_only=True)
class Entered:
    """A cell has begun a phase."""

    phase: str


@final
class ProcessorTime:
    """Seconds of processor time of each phase: other work on the machine does not lengthen it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase = "start"
        self._began = process_time()

    def enter(self, phase: str) -> None:
        """End the phase that runs and begin `phase`."""
        self.stop()
        self._phase = phase

    def stop(self) -> None:
        """Add the time since the last call to the phase that runs."""
        now = process_time()
        self.seconds[self._phase] = self.seconds.get(self._phase, 0.0) + now - self._began
        self._began = now


def work(connection: Connection, task: Task, cell: Cell, log: str) -> None:
    """Run `task` on `cell` in this process, and send what became of it.

    Args:
        connection: takes an Entered for each phase, and a Record at the end.
        task: usually `run_cell`.
        cell: what to run.
        log: file that takes what the cell prints, and its stack when it crashes or hangs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _end_with_parent()
    output = open(log, "wb", buffering=0)  # noqa: SIM115  it stays open as long as the process
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    faulthandler.enable(output)
    faulthandler.register(DUMP_SIGNAL, output)
    _limit_threads()
    processor = ProcessorTime()

    def entered(phase: str) -> None:
        processor.enter(phase)
        connection.send(Entered(phase=phase))

    watch = Stopwatch(entered)
    watch.enter("start")
    connection.send(_run(task, cell, watch, processor))
    connection.close()


def _run(task: Task, cell: Cell, watch: Stopwatch, processor: ProcessorTime) -> Record:
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
    rows = (*result.rows, *_run_rows(cell, **measures, processor=processor.seconds))
    return Record(
        cell=cell.id,
        settings=cell.to_plain(),
        status="done",
        rows=rows,
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
    how = {"status": status, "phase": phase, "error": error}
    rows = (
        cell.row(kind="run", metric="failed", value=1.0, **how),
        *_run_rows(cell, seconds=seconds, peak_rss_mb=peak_rss_mb, **how),
    )
    return Record(
        cell=cell.id,
        settings=cell.to_plain(),
        status=status,
        rows=rows,
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
    **how: str,
) -> Iterator[Row]:
    for words, times in (("seconds", seconds), ("processor seconds", processor)):
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
    """End this process when the sweep's is gone, however it went (kill -9 included)."""
    parent = parent_process()
    if parent is None:
        return

    def guard() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=guard, daemon=True).start()


def _limit_threads() -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
