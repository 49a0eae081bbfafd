"""Programs of others: they end when they should, and what they said is not lost."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from dpsynth.errors import ThirdPartyError
from dpsynth.third_party.process import LAUNCHER, Finished, run_program, surroundings
from tests.third_party.adapters import ENDINGS

# Its child would leave a file, had whoever ends it waited for that instead.
PARENT = """
import os, subprocess, sys, time
patient = "import time; time.sleep(600); open('waited_for', 'w')"
child = subprocess.Popen([sys.executable, "-S", "-c", patient])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
print("waiting", flush=True)
"""


def run(command: list[str], folder: Path, **options) -> Finished:
    return run_program(command, name="toy", folder=folder, environment=os.environ, **options)


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def gone(pid: int) -> bool:
    """Return whether a process has ended, or waits for its parent to notice."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something has happened; what never does fails by then."""
    deadline = monotonic() + 300.0
    while not condition():
        assert monotonic() < deadline
        sleep(0.05)


def wait_for_the_end(folder: Path) -> None:
    """Wait for the end of a parent and its child, which come long before their own."""
    for pid in (folder / "pids").read_text().split():
        wait_for(lambda pid=pid: gone(int(pid)))
    assert not (folder / "waited_for").exists()


@pytest.mark.parametrize("name", ENDINGS)
def test_how_it_ends_is_told(tmp_path: Path, name: str) -> None:
    code, said = ENDINGS[name]
    with pytest.raises(ThirdPartyError, match=r"^toy: ") as error:
        run(python(code), tmp_path)
    assert said in str(error.value)
    notes = getattr(error.value, "__notes__", [])
    assert bool(notes) == (name == "crashes")
    assert all("loading" in note and "Traceback" in note for note in notes)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_log_does_not_hold_a_program_up(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    words = [str(LAUNCHER), str(figures), "600", "", *python("print('x' * 2**18)")]
    with (
        open("/dev/full", "w") as full,
        subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, stdout=full) as process,
    ):
        assert process.wait(timeout=300) == 0
    told = json.loads(figures.read_text())
    assert (told["code"], told["late"], len(told["tail"])) == (0, False, 8000)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ThirdPartyError, match=r"cannot be started .*No such file"):
        run(["no-such-program-anywhere"], tmp_path)


def test_its_time_and_memory_are_its_own(tmp_path: Path) -> None:
    block = "x = bytearray(60 * 2**20); import time; time.sleep(0.3); print('done')"
    large = run(python(block), tmp_path)
    small = run(python("pass"), tmp_path)
    assert large.seconds > 0.3
    assert large.tail == "done\n"
    assert 60 < large.peak_mb < 110
    assert small.peak_mb < 40  # this process holds far more


def test_a_limit_ends_it_and_its_children(tmp_path: Path) -> None:
    for limit in (1.0, 4.0, 16.0, 64.0):  # on a busy machine it may not begin in the first
        with pytest.raises(ThirdPartyError, match=f"no result within {limit:g} s") as error:
            run(python(PARENT + "time.sleep(600)"), tmp_path, limit=limit)
        if "having said 'waiting'" in str(error.value):
            break
    else:
        pytest.fail("it never began")
    wait_for_the_end(tmp_path)


def test_children_that_it_leaves_behind_are_ended(tmp_path: Path) -> None:
    run(python(PARENT), tmp_path)
    wait_for_the_end(tmp_path)


def test_neither_it_nor_its_records_outlive_whoever_started_it(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.mkdir()
    (records / "train.parquet").write_text("real")
    code = (
        "import sys; from pathlib import Path; from dpsynth.third_party.process import run_program;"
        f"run_program({python(PARENT + 'time.sleep(600)')!r}, name='toy', folder=Path('.'),"
        "environment={}, records=Path('records'))"
    )
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    ours = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **root})
    pids = tmp_path / "pids"
    wait_for(lambda: ours.poll() is not None or (pids.exists() and pids.read_text() != ""))
    assert ours.poll() is None
    ours.kill()
    ours.wait()
    wait_for_the_end(tmp_path)
    wait_for(lambda: not records.exists())


def test_a_flood_is_cut_and_its_end_kept(tmp_path: Path) -> None:
    flood = (
        "import os, sys\nfor _ in range(400): os.write(1, b'x' * 2**16)\n"
        "print('\\nat last', file=sys.stderr); sys.exit(1)"
    )
    code = (
        "from pathlib import Path; from dpsynth.third_party.process import run_program\n"
        "try:\n"
        f"    run_program({python(flood)!r}, name='toy', folder=Path('.'), environment={{}},"
        " echo=True)\n"
        "except Exception as error: print(str(error)[-20:], len(error.__notes__[0]))\n"
    )
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **root},
        capture_output=True,
        check=True,
    )
    assert 2**20 <= len(done.stderr) < 2**20 + 2**17  # 26 MB were said
    said, _, kept = done.stdout.decode().rpartition(" ")
    assert said.endswith("said 'at last'.")
    assert int(kept) < 9000


def test_beside_others_it_has_one_thread_a_fixed_hash_and_no_path_of_ours(tmp_path: Path) -> None:
    given = {**os.environ, "PYTHONPATH": "/somewhere", "MKL_NUM_THREADS": "2"}
    given.pop("OMP_NUM_THREADS", None)
    code = (
        "import os; e = os.environ; print(e.get('PYTHONPATH'), e['OMP_NUM_THREADS'],"
        " e['MKL_NUM_THREADS'], hash('a'), os.getcwd())"
    )

    def printed(*, seed: int, isolated: bool) -> list[str]:
        around = surroundings(given, seed=seed, isolated=isolated)
        words = run_program(python(code), name="toy", folder=tmp_path, environment=around)
        return words.tail.split()

    first, again, other = (printed(seed=seed, isolated=True) for seed in (1, 1, 2))
    assert first[:3] == ["None", "1", "2"]
    assert first == again
    assert first[3] != other[3]
    assert first[4] == str(tmp_path)
    assert printed(seed=1, isolated=False)[0] == "/somewhere"
