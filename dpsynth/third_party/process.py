"""A program of someone else's, run to its end: what goes wrong is told in one sentence."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from dpsynth.errors import ThirdPartyError

LAUNCHER = Path(__file__).parent / "launcher.py"
_LINE = 300  # characters of the end of its last line that a sentence shows
_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "VIRTUAL_ENV")
_THREADS = (
    *(f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON")),
    "POLARS_MAX_THREADS",
)


@final
@dataclass(frozen=True, kw_only=True)
class Finished:
    """A program that ended well.

    Args:
        seconds: of the whole process, start and imports included.
        peak_mb: the most memory that it, or one of its children, held, in MiB.
        tail: the end of its output.
    """

    seconds: float
    peak_mb: float
    tail: str


def run_program(
    command: Sequence[str],
    *,
    name: str,
    folder: Path,
    environment: Mapping[str, str],
    limit: float | None = None,
    records: Path | None = None,
    echo: bool = False,
) -> Finished:
    """Return how the program in `command` ended, once it has; it does not outlive this process.

    Args:
        command: its words.
        name: what messages call it.
        folder: where it runs.
        environment: its variables.
        limit: seconds after which it is ended with all its children; None for none.
        records: a folder of records, removed if this process is gone before the program is.
        echo: pass its output on to standard error, up to a bound.

    Raises:
        ThirdPartyError: it cannot be started, fails, or does not end in time. What it said last is
            in the sentence, and more of it in the error's notes.
    """
    with tempfile.TemporaryDirectory(prefix="dpsynth-") as scratch:
        figures = Path(scratch) / "figures.json"
        words = ["-I", "-S", str(LAUNCHER), str(figures), str(limit or 0), str(records or "")]
        process = subprocess.Popen(
            [sys.executable, *words, *command],
            stdin=subprocess.PIPE,
            stdout=2 if echo else subprocess.DEVNULL,
            stderr=None if echo else subprocess.DEVNULL,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
        assert process.stdin is not None
        try:
            process.wait()
        finally:  # an interrupt: the launcher ends the program when its pipe closes
            process.stdin.close()
            process.wait()
        told = json.loads(figures.read_text("utf-8")) if figures.exists() else {"unstarted": "?"}
    return _finished(told, name=name, limit=limit)


def surroundings(given: Mapping[str, str], *, seed: int, isolated: bool) -> dict[str, str]:
    """Return the variables that a program beside others gets: one thread a library, a fixed hash.

    Args:
        given: variables; the number of threads that they set stays.
        seed: of the hashes of a program in Python.
        isolated: leave out what they say of this Python and its paths.
    """
    kept = {key: value for key, value in given.items() if not isolated or key not in _OURS}
    if isolated:
        kept["PYTHONNOUSERSITE"] = "1"
    return {**dict.fromkeys(_THREADS, "1"), **kept, "PYTHONHASHSEED": str(seed % 2**32)}


def _finished(told: dict[str, Any], *, name: str, limit: float | None) -> Finished:
    if "unstarted" in told:
        raise ThirdPartyError(name, f"it cannot be started ({told['unstarted']})")
    if not told["late"] and told["code"] == 0:
        return Finished(seconds=told["seconds"], peak_mb=told["peak_mb"], tail=told["tail"])
    rule = f"no result within {limit:g} s" if told["late"] else f"it {_how(told['code'])}"
    error = ThirdPartyError(name, rule + _last_line(told["tail"]))
    if told["tail"]:
        error.add_note(f"the end of its output:\n{told['tail']}")
    raise error


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _last_line(tail: str) -> str:
    # Some messages end in lines of brackets.
    lines = [line.strip() for line in tail.splitlines() if any(c.isalpha() for c in line)]
    return f", having said {lines[-1][-_LINE:]!r}" if lines else ""
