"""A process a cell, forked from a warm server: a crash, a hang or an out-of-memory is a record."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol, final

from dpsynth.harness.cell import Cell, CellResult, Stopwatch, run_cell
from dpsynth.harness.config import Limits
from dpsynth.harness.record import Record, decode
from dpsynth.harness.row import Status
from dpsynth.harness.scratch import scratch
from dpsynth.harness.worker import DUMP_SIGNAL, Entered, Task, failure, work
from dpsynth.memory import family, resident_mb

_POLL_SECONDS = 0.2
_NOT_YET = "waiting"
_EXIT_SECONDS = 5.0
_LOG_TAIL = 8000  # characters of a failed cell's output that are kept


def run_in_process(cell: Cell, watch: Stopwatch) -> CellResult:
    """Run one cell; the engine's usual task."""
    return run_cell(cell, stopwatch=watch)


def cores() -> int:
    """Return how many cores this process may use; a batch system may give it a few of many."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Engine(Protocol):
    """Runs cells somewhere, each in a process of its own."""

    def run(self, cells: Iterable[Cell]) -> Generator[Record]:
        """Yield the record of each cell as it ends; leaving early ends the cells that run."""
        ...


@dataclass(kw_only=True)
class _Job:
    """A cell that runs, as its parent sees it."""

    cell: Cell
    process: BaseProcess
    connection: Connection
    log: Path
    began: float
    phase: str = _NOT_YET
    peak_rss_mb: float | None = None
    record: Record | None = None
    stopped: tuple[Status, str] | None = field(default=None)


@final
class LocalEngine:
    """Runs cells on this machine.

    Args:
        workers: processes at a time.
        limits: what one cell may take.
        preload: modules that the fork server imports once.
        entered: told of each phase that a cell begins.
        task: what is run on each cell.
        wanted: asked now and then; once it says no, the cells that run are ended.
        owner: of the folder of temporary files, as of `owner_of`.
    """

    def __init__(
        self,
        *,
        workers: int,
        limits: Limits,
        preload: Sequence[str] = (),
        entered: Callable[[Cell, str], None] | None = None,
        task: Task = run_in_process,
        wanted: Callable[[], bool] | None = None,
        owner: str = "",
    ) -> None:
        self.workers = workers
        self.limits = limits
        self.entered = entered
        self.task = task
        self.wanted = wanted
        self.owner = owner
        self._context = multiprocessing.get_context("forkserver")
        # The program itself too: each cell would otherwise run its imports.
        own = ["dpsynth.harness.worker", task.__module__, "__main__"]
        modules = ["dpsynth.harness.warm", *preload, *own]
        self._context.set_forkserver_preload(modules)

    def run(self, cells: Iterable[Cell]) -> Generator[Record]:
        """Yield the record of each cell as it ends; leaving early ends the cells that run."""
        waiting = deque(cells)
        running: list[_Job] = []
        with scratch(self.owner) as folder:
            try:
                while (waiting or running) and (self.wanted is None or self.wanted()):
                    while waiting and len(running) < self.workers:
                        started = self._start(waiting.popleft(), folder)
                        if isinstance(started, Record):
                            yield started
                        else:
                            running.append(started)
                    ends = [end for j in running for end in (j.connection, j.process.sentinel)]
                    wait(ends, timeout=_POLL_SECONDS)
                    for job in list(running):
                        if self._advance(job):
                            running.remove(job)
                            yield self._finish(job)
            finally:
                for job in running:
                    _kill(job.process)
                    job.process.join()

    def _start(self, cell: Cell, folder: Path) -> _Job | Record:
        """Return the job of `cell`, or the record that says why there is none."""
        ours, theirs = self._context.Pipe(duplex=False)
        log = folder / f"{cell.id}.log"
        process = self._context.Process(target=work, args=(theirs, self.task, cell, str(log)))
        try:
            process.start()
        except (OSError, EOFError) as error:  # no process or memory is left for it
            ours.close()
            reason = f"its process could not be started ({error})"
            return failure(cell, "crash", _NOT_YET, reason, seconds={}, peak_rss_mb=None)
        finally:
            theirs.close()
        return _Job(cell=cell, process=process, connection=ours, log=log, began=monotonic())

    def _advance(self, job: _Job) -> bool:
        """Take a job's messages, hold it to its limits, and return whether it has ended."""
        ended = not job.process.is_alive()
        with suppress(EOFError, OSError):
            while job.connection.poll():
                message: Any = job.connection.recv()
                if isinstance(message, bytes):
                    stored = decode(message, job.cell.title)
                    job.record = stored.record() if stored is not None else None
                elif isinstance(message, Entered):
                    if job.phase == _NOT_YET:  # waiting for the fork server is not the cell's time
                        job.began = monotonic()
                    job.phase = message.phase
                    if self.entered is not None:
                        self.entered(job.cell, job.phase)
        if ended or job.record is not None:
            return True
        # A cell of someone else's program is as large as the program.
        held = [resident_mb(pid) or 0.0 for pid in family(job.process.pid)]
        job.peak_rss_mb = max([*held, job.peak_rss_mb or 0.0]) or None
        if monotonic() - job.began > self.limits.timeout_seconds:
            seconds = self.limits.timeout_seconds
            job.stopped = ("timeout", f"stopped after the limit of {seconds:g} s")
        limit = self.limits.memory_mb
        if limit is not None and (job.peak_rss_mb or 0.0) > limit:
            job.stopped = ("out_of_memory", f"stopped above the limit of {limit:g} MiB")
        if job.stopped is None:
            return False
        _dump_stack(job.process.pid)
        return True

    def _finish(self, job: _Job) -> Record:
        if job.stopped is None:
            job.process.join(timeout=_EXIT_SECONDS)
        _kill(job.process)  # also what it waits for at its exit, or leaves behind
        job.process.join()
        code = job.process.exitcode
        job.process.close()
        job.connection.close()
        if job.record is not None:
            return job.record
        status, reason = job.stopped or ("crash", _cause(code))
        return failure(
            job.cell,
            status,
            job.phase,
            reason,
            seconds={"total": monotonic() - job.began},
            peak_rss_mb=job.peak_rss_mb,
            traceback=_tail(job.log),
        )


def _kill(process: BaseProcess) -> None:
    """End a cell's process and what it started, of which it leads the group."""
    if process.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"the process ended with exit code {code} in the middle of its work"
    name = signal.Signals(-code).name
    hint = " (often the system's answer to a lack of memory)" if name == "SIGKILL" else ""
    return f"the process was killed by {name}{hint}"


def _dump_stack(pid: int | None) -> None:
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, DUMP_SIGNAL)
            sleep(_POLL_SECONDS)


def _tail(log: Path) -> str | None:
    try:
        return log.read_text(errors="replace")[-_LOG_TAIL:] or None
    except OSError:
        return None
