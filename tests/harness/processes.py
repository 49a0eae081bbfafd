"""The processes that a test has started, however far down: its mark is in their environment."""

from pathlib import Path
from time import monotonic, sleep


def alive(marker: str) -> list[int]:
    """Return the processes, zombies left out, whose environment holds `marker`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                found += [int(folder.name)] if state != "Z" else []
        except OSError:
            continue
    return found


def wait_until_gone(marker: str, *, seconds: float) -> list[int]:
    """Return the processes of `alive` that are left after `seconds`, or none once they are gone."""
    deadline = monotonic() + seconds
    while (left := alive(marker)) and monotonic() < deadline:
        sleep(0.05)
    return left
