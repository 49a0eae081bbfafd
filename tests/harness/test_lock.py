"""One writer a store: a second sweep is refused in a sentence, and a dead one leaves no lock."""

import errno
import fcntl
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dpsynth.errors import FileError
from dpsynth.harness.lock import holder, locked
from dpsynth.harness.progress import Progress
from dpsynth.harness.store import Store
from dpsynth.harness.sweep import run_sweep
from tests.harness.cells import make_cell, make_plan_of

HOLDING = (
    "import sys, time; from pathlib import Path; from dpsynth.harness.lock import locked\n"
    "with locked(Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(3600)\n"
)


def test_a_second_sweep_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(store.path)], stdout=subprocess.PIPE, text=True
    ) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == "held\n"
            assert f"process {first.pid} on " in (holder(store.path) or "")
            with pytest.raises(FileError, match=f"in use by process {first.pid} on .* since .*UTC"):
                next(run_sweep(make_plan_of(make_cell()), store, progress=Progress(io.StringIO())))
            assert not (store.path / "plan.json").exists()
        finally:
            first.send_signal(signal.SIGKILL)
    assert holder(store.path) is None
    with locked(store.path):
        pass


def test_a_lock_is_given_back_and_holds_within_a_process(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(FileError, match=f"process {os.getpid()}"):
        locked(tmp_path).__enter__()
    assert holder(tmp_path) is None
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    assert holder(tmp_path) is None
    assert holder(tmp_path / "none") is None
    assert (tmp_path / "lock").read_bytes() == b""


def test_a_disk_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="this disk keeps no locks"), locked(tmp_path):
        pass


def test_a_full_or_read_only_disk_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(FileError, match="No space left on device"), locked(tmp_path):
        raise AssertionError("unreachable")
    monkeypatch.undo()
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be written"), locked(tmp_path / "file"):
        raise AssertionError("unreachable")
