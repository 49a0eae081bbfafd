"""The memory of another process, read while it runs."""

from pathlib import Path


def resident_mb(pid: int | None) -> float | None:
    """Return the most memory that process `pid` has held, in MiB; None where no one tells.

    The usage that a parent is told at the end starts from what the parent held when it forked.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    return None
