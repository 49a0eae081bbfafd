"""A scheduler and workers of Dask on loopback, as processes that a test starts and ends itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import dpsynth

PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The processes of a scheduler and its workers."""

    folder: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]
    environment: dict[str, str]

    @property
    def address(self) -> str:
        return json.loads((self.folder / "scheduler.json").read_text())["address"]

    def add_worker(self, *flags: str) -> None:
        flags = ("--nworkers", "1", "--nthreads", "1", *(flags or ("--no-nanny",)))
        flags += ("--no-dashboard", "--host", "127.0.0.1", "--local-directory", str(self.folder))
        self.workers.append(started(self.folder, self.environment, "dask_worker", *flags))

    def have_workers(self, count: int) -> None:
        """Start workers until `count` are alive, and wait for them."""
        import distributed

        self.workers[:] = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < count:
            self.add_worker()
        with distributed.Client(self.address, timeout=PATIENCE, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=PATIENCE)


def started(
    folder: Path, environment: dict[str, str], module: str, *flags: str
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.{module}", *flags]
    command += ["--scheduler-file", str(folder / "scheduler.json")]
    path = os.pathsep.join(
        [str(Path(dpsynth.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **environment, "PYTHONPATH": path}
        )


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Cluster]:
    """A scheduler without workers; all are killed in the end.

    Args:
        folder: for logs and what workers hold.
        environment: of the processes, in addition to that of the test.
    """
    flags = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    scheduler = started(folder, environment, "dask_scheduler", *flags)
    found = Cluster(folder=folder, scheduler=scheduler, workers=[], environment=environment)
    try:
        wait_for((folder / "scheduler.json").exists, folder)
        yield found
    finally:
        for process in (*found.workers, found.scheduler):
            process.kill()
            process.wait()


def wait_for(condition: Any, folder: Path) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, (folder / "log.txt").read_text()
        sleep(0.05)
