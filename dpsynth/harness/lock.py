"""One writer a store: a lock that the system releases when its holder ends, however it ends.

It is flock(2) on a file of the store. On a local disk the kernel keeps it. On NFS (version 3 with
its lock daemon, or 4) the server keeps it for all hosts, and gives up what a dead host held when
its lease ends. Lustre needs the mount option `flock`. Where a disk keeps no locks there is a
warning; files are still written whole, so that two sweeps there waste time and damage nothing.
"""

import errno
import fcntl
import os
import socket
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dpsynth.errors import FileError

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Keep other writers out of `folder`, which is made when missing.

    Raises:
        FileError: another process writes there, or the folder is not writable.
    """
    file = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        reason = f"cannot be written ({error.strerror}); nothing was changed"
        raise FileError(file, reason) from error
    try:
        _take(descriptor, folder)
        _write(descriptor, file, _myself())
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def holder(folder: Path) -> str | None:
    """Return who writes to `folder`, as words of a sentence; None when nobody does."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 1000).decode(errors="replace") or "another process"
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None


def _take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = os.read(descriptor, 1000).decode(errors="replace") or "another process"
        rule = f"in use by {who}; wait until it has ended, or choose another store"
        raise FileError(folder, rule) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise FileError(folder, f"cannot be locked ({error.strerror})") from error
        warnings.warn(
            f"{folder}: this disk keeps no locks ({error.strerror}), so a second sweep of this "
            "store would go unseen; start none.",
            stacklevel=4,
        )


def _write(descriptor: int, file: Path, text: str) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError as error:
        raise FileError(file, f"cannot be written ({error.strerror})") from error


def _myself() -> str:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"process {os.getpid()} on {socket.gethostname()} since {since}"
