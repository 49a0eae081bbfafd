"""An environment a peer, and a process a run: what goes wrong is told, never raised past here."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import pandas as pd

from peers.contenders import Contender

ENVIRONMENTS = Path(__file__).parent.parent.parent / ".peers"
CUDA = ("nvidia-", "triton", "cuda-")
# A process inherits the peak of whoever starts it, which may be large: a bare interpreter does.
_MEASURE = """
import json, os, sys, time
start = time.monotonic()
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[2], sys.argv[2:]), 0)
with open(sys.argv[1], "w") as file:
    json.dump([time.monotonic() - start, usage.ru_maxrss / 1024], file)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


class PeerError(Exception):
    """A run that gave no records; the message is one line for the table."""


@final
@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run gave: synthetic codes, wall seconds and peak memory of the whole process."""

    codes: pd.DataFrame
    seconds: float
    peak_mb: float


def prepare(contender: Contender) -> Path:
    """Return the interpreter of the contender's environment, made from its pins if need be.

    Raises:
        PeerError: it does not install here, or only with a CUDA build of PyTorch.
    """
    if contender.absent:
        raise PeerError(contender.absent)
    pins = contender.requirements
    if pins is None:
        return Path(sys.executable)
    home = ENVIRONMENTS / contender.project
    python, ready = home / "bin" / "python", home / ".ready"
    if ready.exists() and ready.read_text() == pins.read_text():
        return python
    _call([sys.executable, "-m", "venv", "--clear", str(home)])
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    report = _call([*install, "--dry-run", "--report", "-", "-r", str(pins)])
    names = [i["metadata"]["name"].lower() for i in json.loads(report)["install"]]
    if any(name.startswith(CUDA) for name in names):
        raise PeerError("pip would fetch a CUDA build of PyTorch: point PIP_FIND_LINKS at CPU ones")
    _call([*install, "-r", str(pins)])
    ready.write_text(pins.read_text())
    return python


def run(contender: Contender, task: dict[str, Any], *, timeout: float) -> Run:
    """Return what the contender makes of `task`.

    Args:
        contender: whom to run.
        task: sizes (column -> codes), records (a CSV of codes), rows, epsilon, delta, seed.
        timeout: seconds after which the process and all its children are ended.

    Raises:
        PeerError: no environment, a crash, no result in time, or records outside the domain.
    """
    python = prepare(contender)
    with tempfile.TemporaryDirectory() as folder:
        out, log, file = (Path(folder) / name for name in ("out.csv", "log.txt", "task.json"))
        file.write_text(json.dumps({**task, "mechanism": contender.mechanism}))
        command = [str(python), str(contender.runner), str(file), str(out)]
        seconds, peak = timed(command, log=log, timeout=timeout)
        return Run(codes=_read(out, task), seconds=seconds, peak_mb=peak)


def timed(command: Sequence[str], *, log: Path, timeout: float) -> tuple[float, float]:
    """Return the wall seconds and the peak memory in MiB of a process that ran to its end.

    Args:
        command: what to run, in the folder of `log`.
        log: where its output goes.
        timeout: seconds after which the process and all its children are ended.

    Raises:
        PeerError: it failed, or did not end in time.
    """
    figures = log.with_suffix(".figures")
    with log.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _MEASURE, str(figures), *command],
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise PeerError(f"no result within {timeout:g} s") from None
    if status != 0:
        raise PeerError(f"failed: {_last_line(log)}")
    seconds, peak = json.loads(figures.read_text())
    return seconds, peak


def _read(out: Path, task: dict[str, Any]) -> pd.DataFrame:
    try:
        codes = pd.read_csv(out)[list(task["sizes"])].astype("int64")
    except (OSError, KeyError, ValueError) as error:
        raise PeerError(f"failed: its records cannot be read ({error})") from error
    for name, size in task["sizes"].items():
        if not codes[name].between(0, size - 1).all():
            raise PeerError(f"failed: {name!r} has codes outside 0..{size - 1}")
    return codes


def _call(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise PeerError(f"does not install: {lines[-1][:160]}")
    return done.stdout


def _last_line(log: Path) -> str:
    # Some messages end in lines of brackets.
    text = log.read_text(errors="replace").splitlines()
    lines = [line for line in text if any(character.isalpha() for character in line)]
    return lines[-1].strip()[:160] if lines else "no message"
