"""Cells on the workers of a Dask cluster, each in a process of its own there.

Records come back to the process that asked, which alone writes the store. Workers need the same
code and libraries, and find what cells read under the same names. A worker that is lost takes its
unfinished cells with it, and the scheduler gives them to others. It has no more cells than there
are threads: a cell that ends its worker would otherwise be held against all that wait there.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from time import monotonic, sleep
from typing import Any, final
from uuid import uuid4

from dpsynth.curator.cluster import connected
from dpsynth.errors import ClusterError
from dpsynth.harness.cell import Cell, Fingerprint
from dpsynth.harness.config import Choice, Limits
from dpsynth.harness.engine import LocalEngine, run_in_process
from dpsynth.harness.fingerprint import code_hash, library_versions
from dpsynth.harness.record import Record, decode, encode
from dpsynth.harness.scratch import remove_abandoned
from dpsynth.harness.worker import Task, failure

_POLL_SECONDS = 0.02
_LOOK_SECONDS = 1.0  # after which workers that have come get cells
_ENDED = ("cancelled", "released", "forgotten")  # states of a task that nobody waits for


@final
class DaskEngine:
    """Runs cells on a cluster.

    Args:
        address: of the scheduler, as tcp://127.0.0.1:8786.
        limits: what one cell may take.
        preload: modules that each worker's fork server imports once.
        chosen: "generators", "metrics", "attacks" -> what the experiment names, of which workers
            must have the same code.
        task: what is run on each cell.
        owner: of the folders of temporary files, as of `owner_of`.
    """

    def __init__(
        self,
        *,
        address: str,
        limits: Limits,
        preload: Sequence[str] = (),
        chosen: dict[str, tuple[Choice, ...]],
        task: Task = run_in_process,
        owner: str = "",
    ) -> None:
        self.address = address
        self.limits = limits
        self.preload = tuple(preload)
        self.chosen = chosen
        self.task = task
        self.owner = owner

    def run(self, cells: Iterable[Cell]) -> Generator[Record]:
        """Yield the record of each cell as it ends; leaving early ends the cells that run.

        Raises:
            MissingExtraError: Dask is not installed.
            ClusterError: no scheduler or no worker answers, the scheduler is lost, or a worker has
                other code or libraries.
        """
        waiting, running, done = deque(cells), dict[Any, Cell](), deque[tuple[Cell, Any]]()
        if not waiting:
            return
        with connected(self.address, "a sweep on a cluster") as client:
            ended = import_module("distributed").as_completed(loop=client.loop)
            sweep = uuid4().hex
            try:
                while waiting or running or done:
                    free = self._threads(client) - len(running) if waiting else 0
                    for cell in [waiting.popleft() for _ in range(min(free, len(waiting)))]:
                        future = self._given(client, cell, sweep)
                        running[future] = cell
                        ended.add(future)
                    if done:  # after its thread has another cell
                        yield self._record(*done.popleft())
                    else:
                        done += [(running.pop(future), future) for future in _next(ended)]
            finally:
                client.cancel(list(running))

    def _threads(self, client: Any) -> int:
        """Return how many cells the cluster can run at a time."""
        try:
            return sum(client.nthreads().values())
        except OSError as error:
            raise ClusterError(self.address, "the scheduler was lost") from error

    def _given(self, client: Any, cell: Cell, sweep: str) -> Any:
        """Return the future of the record of `cell`."""
        return client.submit(
            run_on_worker,
            cell,
            key=f"dpsynth-{cell.id}-{sweep}",
            pure=False,
            sweep=sweep,
            limits=self.limits,
            preload=self.preload,
            chosen=self.chosen,
            task=self.task,
            owner=self.owner,
        )

    def _record(self, cell: Cell, future: Any) -> Record:
        distributed = import_module("distributed")
        if future.status == "cancelled":
            raise ClusterError(self.address, "the scheduler was lost")
        try:
            stored = decode(future.result(), cell.title)
        except distributed.scheduler.KilledWorker:
            reason = "several workers in a row were lost over this cell"
            return failure(cell, "crash", "waiting", reason, seconds={}, peak_rss_mb=None)
        except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
            raise ClusterError(self.address, "the scheduler was lost") from error
        if stored is None:
            raise ClusterError(self.address, f"the record of {cell.title} was altered on its way")
        return stored.record()


def _next(ended: Any) -> list[Any]:
    """Return futures that have ended, after a while also when there is none."""
    late = monotonic() + _LOOK_SECONDS
    while not ended.has_ready() and monotonic() < late:
        sleep(_POLL_SECONDS)
    return ended.next_batch(block=False)


def run_on_worker(
    cell: Cell,
    *,
    sweep: str,
    limits: Limits,
    preload: Sequence[str],
    chosen: dict[str, tuple[Choice, ...]],
    task: Task,
    owner: str,
) -> bytes:
    """Return the bytes of the record of `cell`, which runs in a process of its own; on a worker.

    Args:
        cell: what to run.
        sweep: tells sweeps apart.
        limits, preload, chosen, task, owner: see `DaskEngine`.

    Raises:
        ClusterError: this worker has other code or libraries than the cell was planned with.
    """
    import multiprocessing

    from distributed import get_worker

    worker: Any = get_worker()
    if sweep not in _begun:
        _check_same(worker.address, replace(cell.fingerprint, data=""), chosen)
        if owner:  # the writer of its store waits for this cell
            remove_abandoned(owner)
        _begun.add(sweep)
    # A worker under a nanny is a daemon, and daemons may not have processes of their own.
    multiprocessing.current_process().daemon = False
    engine = LocalEngine(
        workers=1,
        limits=limits,
        preload=preload,
        task=task,
        wanted=_wanted(worker, worker.get_current_task()),
        owner=owner,
    )
    shared = cell.cache is not None and cell.cache.parent.is_dir()
    for record in engine.run([cell if shared else replace(cell, cache=None)]):
        return encode(record)
    raise ClusterError(worker.address, f"nobody waits for {cell.title}")


def _wanted(worker: Any, key: str) -> Callable[[], bool]:
    """Return a function that tells whether somebody still waits for a task of this worker."""

    def wanted() -> bool:
        found = worker.state.tasks.get(key)
        return found is not None and found.state not in _ENDED

    return wanted


_begun: set[str] = set()  # sweeps of which this worker has had a cell


def _check_same(worker: str, planned: Fingerprint, chosen: dict[str, tuple[Choice, ...]]) -> None:
    """Hold this worker's code and libraries against those that cells were planned with.

    Raises:
        ClusterError: they differ.
    """
    at_start = _code_at_start()
    if at_start != code_hash({}):
        rule = "its code has changed since it was started; start it again"
        raise ClusterError(worker, rule)
    libraries = library_versions()
    for name in sorted({*planned.libraries, *libraries}):
        here, there = libraries.get(name, "none"), planned.libraries.get(name, "none")
        if here != there:
            rule = f"this worker has {name} {here}, and the sweep was planned with {there}"
            raise ClusterError(worker, rule)
    if code_hash(chosen) != planned.code:
        rule = "this worker has other code than the sweep was planned with; install the same there"
        raise ClusterError(worker, rule)


@cache
def _code_at_start() -> str:
    """Return the hash of the code that this process began with."""
    return code_hash({})
