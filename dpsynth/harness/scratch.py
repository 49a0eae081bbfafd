"""Folders of temporary files that say whose they are: what a killed writer left is removed later.

A folder is named after the store that its cells are of, and locked (flock(2)) by the process that
made it, from beginning to end. The system releases the lock when the process ends, however it ends,
and whatever becomes of its number. Where folders cannot be locked, none is taken for abandoned.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

_PREFIX = "dpsynth-"


def owner_of(store: Path) -> str:
    """Return what the names of the folders of a store begin with."""
    return f"{_PREFIX}{sha256(os.fsencode(store.resolve())).hexdigest()[:16]}-"


@contextmanager
def scratch(owner: str) -> Generator[Path]:
    """Make a folder for temporary files, readable by this user alone, and remove it in the end.

    Args:
        owner: as of `owner_of`; empty text for a folder that is no store's.
    """
    folder, lock = _made(owner or _PREFIX)
    try:
        yield folder
    finally:
        _remove(folder)
        if lock is not None:
            os.close(lock)


def remove_abandoned(owner: str) -> None:
    """Remove the folders of a store whose process is gone, of this user and on this machine.

    Only the store's writer may ask for it, and those that work for it.

    Args:
        owner: as of `owner_of`.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{owner}*"):
        with suppress(OSError):  # held, gone already, or no folder
            lock = _opened(folder)
            try:
                found = os.fstat(lock)
                if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == stat.S_IRWXU:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(folder)
            finally:
                os.close(lock)


def _made(prefix: str) -> tuple[Path, int | None]:
    """Return a new folder and the descriptor that locks it; None where folders have no locks."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        # Whoever removes abandoned folders may have seen it before it was locked.
        with suppress(FileNotFoundError):
            lock = _opened(folder)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError:
                os.close(lock)
                return folder, None
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove(folder: Path) -> None:
    """Remove `folder` with all that is in it, also what programs have closed to themselves."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            inner = Path(parent, name)
            if not inner.is_symlink():
                with suppress(OSError):
                    inner.chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
