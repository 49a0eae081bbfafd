"""The documented way to SLURM, run as it stands: jobs here are process groups of this machine.

The stand-ins of `sbatch` and `scancel` do what dask-jobqueue asks of them: the first keeps a copy
of the script, runs it apart from whoever submits it and prints a number, the second ends it.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from dpsynth.harness.store import Store
from tests.harness.processes import wait_until_gone
from tests.harness.toy_generators import GATE
from tests.tables import coded_table, dependent_codes

pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see which processes live"),
]
ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(import subprocess\n.*?SLURMCluster.*?)^```$", re.S | re.M)
SBATCH = f"""#!/bin/bash
set -e
grep -q '^#SBATCH -p cpu$' "$1"
grep -q '^#SBATCH -t 08:00:00$' "$1"
cp "$1" "${GATE}/script.$$"
setsid bash "${GATE}/script.$$" > "${GATE}/log.$$" 2>&1 < /dev/null &
touch "${GATE}/job.$!"
echo "Submitted batch job $!"
"""
SCANCEL = f"""#!/bin/bash
touch "${GATE}/cancelled.$1"
kill -TERM -- "-$1"
"""
EXPERIMENT = """
name = "x"
datasets = [{name = "mine", path = "data.csv", schema = "schema.toml"}]
generators = ["tests.harness.toy_generators:Patient"]
epsilons = [1]
seeds = 6
metrics = ["tvd_1way"]
"""


def numbers(folder: Path, kind: str) -> set[int]:
    return {int(file.suffix[1:]) for file in folder.glob(f"{kind}.*")}


def documented(folder: Path) -> Path:
    """Write the documented script with this test's numbers, each of which it must have once."""
    (code,) = BLOCK.findall((ROOT / "experiments" / "README.md").read_text(encoding="utf-8"))
    for said, ours in (
        ("JOBS = 40", "JOBS = 2"),
        ("sleep(10)", "sleep(0.2)"),
        ("experiments/FILE.toml", "experiment.toml"),
    ):
        assert code.count(said) == 1
        code = code.replace(said, ours)
    (folder / "study.py").write_text(code)
    return folder / "study.py"


def surroundings(tmp_path: Path) -> dict[str, str]:
    """Make the stand-ins and a folder of jobs, and return the environment of the login node."""
    jobs, commands = tmp_path / "jobs", tmp_path / "bin"
    for folder in (jobs, commands):
        folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    return {
        **os.environ,
        GATE: str(jobs),
        "HOME": str(tmp_path),
        "PATH": os.pathsep.join([str(commands), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s",  # by default 15
        "DASK_TEMPORARY_DIRECTORY": str(tmp_path),
    }


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + 300
    while not condition():
        assert process.poll() is None
        assert monotonic() < deadline
        sleep(0.1)


def test_a_sweep_on_jobs_one_of_which_is_lost(tmp_path: Path) -> None:
    """Both jobs have a cell when one is killed; it is replaced, and its cell done again."""
    environment, jobs, study = surroundings(tmp_path), tmp_path / "jobs", tmp_path / "study"
    study.mkdir()
    table = coded_table(dependent_codes(400, (4, 3), rng=np.random.default_rng(0)), (4, 3))
    table.frame.to_csv(study / "data.csv", index=False)
    (study / "schema.toml").write_text(table.schema.to_toml())
    (study / "experiment.toml").write_text(EXPERIMENT)
    store = Store(study / "results" / "mine")
    login = subprocess.Popen(
        [sys.executable, str(documented(study))], cwd=study, env=environment, start_new_session=True
    )
    try:
        wait_for(lambda: len(numbers(jobs, "begun")) == 2, login)
        killed, other = sorted(numbers(jobs, "job"))
        assert min(len(members(job)) for job in (killed, other)) >= 3, "shell, nanny and worker"
        os.killpg(killed, signal.SIGKILL)
        wait_for(lambda: len(numbers(jobs, "job")) == 3, login)
        (jobs / "go").touch()
        assert login.wait(timeout=300) == 0
    finally:
        for group in {login.pid, *numbers(jobs, "job")}:
            if members(group):
                os.killpg(group, signal.SIGKILL)
        login.wait()
    records = store.records()
    assert [record.status for record in records] == ["done"] * 6
    assert len(numbers(jobs, "begun")) == 7, "the cell of the job that was killed, again"
    assert numbers(jobs, "cancelled") == numbers(jobs, "job")
    assert wait_until_gone(f"{GATE}={jobs}", seconds=30) == [], "jobs end with the sweep"


def members(group: int) -> list[int]:
    """Return the processes of a job that live."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += [int(folder.name)] if words[0] != "Z" and int(words[2]) == group else []
    return found
