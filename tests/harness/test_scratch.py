"""Folders of temporary files: those of a dead writer of the same store go, all others stay."""

import fcntl
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpsynth.harness.progress import Progress
from dpsynth.harness.scratch import owner_of, remove_abandoned, scratch
from dpsynth.harness.store import Store
from dpsynth.harness.sweep import run_sweep
from tests.harness.misbehaving import waiting
from tests.harness.processes import wait_until_gone
from tests.harness.test_faults import plan

OURS, OTHERS = owner_of(Path("ours")), owner_of(Path("others"))
WAITING = (
    "import sys; from pathlib import Path; from tests.harness.test_scratch import Store, sweep\n"
    "sweep(Store(Path(sys.argv[1])))"
)
HOLDING = (
    "import sys, time; from pathlib import Path; from dpsynth.harness.scratch import scratch\n"
    "with scratch(sys.argv[1]) as folder:\n"
    "    closed = folder / 'a' / 'b'; closed.mkdir(parents=True)\n"
    "    (closed / 'records').touch(); closed.chmod(0)\n"
    "    print(folder, flush=True); time.sleep(3600)\n"
)


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Short: a fork server's socket lies below it, and names of sockets have 107 bytes.
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", None)
        yield Path(folder)


@pytest.fixture
def holder() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process with a folder of ours, and the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, OURS], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_a_folder_is_removed_once_its_process_is_dead(
    holder: tuple[subprocess.Popen[str], Path],
) -> None:
    process, folder = holder
    assert folder.name.startswith(OURS)
    assert folder.stat().st_mode & 0o777 == 0o700
    remove_abandoned(OURS)
    assert folder.exists(), "its process lives"
    process.kill()
    process.wait()
    assert folder.exists()
    remove_abandoned(OTHERS)
    assert folder.exists(), "another store's"
    remove_abandoned(OURS)
    assert not folder.exists()


def test_a_process_of_the_same_number_does_not_keep_it(place: Path) -> None:
    Path(tempfile.mkdtemp(prefix=OURS)).joinpath(str(os.getpid())).touch()
    remove_abandoned(OURS)
    assert list(place.iterdir()) == []


def test_what_others_may_have_made_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = place / "target"
    target.mkdir(mode=0o700)
    (place / f"{OURS}link").symlink_to(target)
    (place / f"{OURS}file").touch(0o700)
    shared = place / f"{OURS}shared"
    shared.mkdir()
    shared.chmod(0o755)
    foreign = place / f"{OURS}foreign"
    foreign.mkdir(mode=0o700)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: foreign.stat().st_uid + 1)
        remove_abandoned(OURS)
    assert len(list(place.iterdir())) == 5
    remove_abandoned(OURS)
    assert not foreign.exists()
    assert len(list(place.iterdir())) == 4


def test_one_removed_before_it_was_locked_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, removed = fcntl.flock, list[Path]()

    def late(descriptor: int, how: int) -> None:
        if not removed:
            removed.extend(place.iterdir())
            shutil.rmtree(removed[0])
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with scratch(OURS) as folder:
        assert folder.is_dir()
        assert folder != removed[0]
    assert list(place.iterdir()) == []


def test_without_locks_nothing_is_taken_for_abandoned(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(fcntl, "flock", refuse)
    with scratch(OURS) as folder:
        remove_abandoned(OURS)
        assert folder.exists()
    assert list(place.iterdir()) == []


@pytest.mark.slow
def test_the_sweep_after_a_killed_one_removes_its_folder(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv("DPSYNTH_TEST_MARKS", str(tmp_path / "marks"))
    store = Store(tmp_path / "out")
    first = subprocess.Popen([sys.executable, "-c", WAITING, str(store.path)])
    try:
        while not list(place.glob(f"{owner_of(store.path)}*/*")):
            assert first.poll() is None
            time.sleep(0.01)
        first.send_signal(signal.SIGKILL)
    finally:
        first.kill()
        first.wait()
    assert wait_until_gone(f"DPSYNTH_TEST_MARKS={tmp_path / 'marks'}", seconds=60) == []
    assert len(list(place.glob("dpsynth-*"))) == 1
    (tmp_path / "marks" / "go").touch()
    # In a process of its own too: this one would keep its folder of sockets in `place`.
    subprocess.run([sys.executable, "-c", WAITING, str(store.path)], check=True, timeout=120)
    assert list(place.glob("dpsynth-*")) == []


def sweep(store: Store) -> None:
    wanted = plan(0, timeout_seconds=60)
    for _ in run_sweep(wanted, store, progress=Progress(io.StringIO()), workers=1, task=waiting):
        pass
