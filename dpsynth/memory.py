"""The memory that a process holds, as the system tells it."""

from contextlib import suppress
from pathlib import Path


def resident_mb(pid: int | None) -> float | None:
    """Return the most memory that process `pid` has held, in MiB; None where no one tells.

    The usage that a parent is told at the end starts from what the parent held when it forked.
    """
    return _status_mb(pid, "VmHWM:")


def held_mb(pid: int | None) -> float | None:
    """Return the memory that process `pid` holds now, in MiB; None where no one tells."""
    return _status_mb(pid, "VmRSS:")


def family(pid: int | None) -> list[int]:
    """Return `pid` and the processes that it has started, and they; itself alone where no one
    tells."""
    if pid is None:
        return []
    found = [pid]
    for one in found:  # it grows as it is read
        # A process may end between any two looks, and its folder with it.
        with suppress(OSError):
            for thread in list(Path(f"/proc/{one}/task").iterdir()):
                with suppress(OSError):
                    found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def _status_mb(pid: int | None, field: str) -> float | None:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 2**10
    return None
