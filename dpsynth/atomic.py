"""Files that appear whole or not at all."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from dpsynth.errors import FileError


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` so that no reader, and no crash, ever sees a part of it.

    Args:
        path: the file; its folder is made when missing.
        content: the whole of it.

    Raises:
        FileError: as of `opened_atomically`.
    """
    with opened_atomically(path) as handle:
        handle.write(content)


@contextmanager
def opened_atomically(path: str | Path) -> Generator[IO[bytes]]:
    """Open a file for writing that takes its name when the block has ended without an error.

    The bytes go to a temporary file in the same folder, to the disk, and then take the name.

    Args:
        path: the file; its folder is made when missing.

    Raises:
        FileError: the disk is full or the place not writable; whatever was there is untouched.
    """
    target = Path(path)
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", suffix=".part", delete=False
        ) as handle:
            temporary = handle.name
            yield handle.file
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise FileError(target, f"cannot be written ({reason}); nothing was changed") from error
    except BaseException:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise


def check_writable(path: str | Path) -> None:
    """Refuse a place that `write_atomically` could not write to, before anything is spent.

    Args:
        path: the file; its folder may be missing, and is not made.

    Raises:
        FileError: it is a folder, or the nearest folder that exists cannot be written to.
    """
    target = Path(path)
    if target.is_dir():
        raise FileError(target, "this is a folder, not a file")
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    try:
        with NamedTemporaryFile(dir=folder, prefix=f".{target.name}.", suffix=".part"):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(target, f"cannot be written ({reason})") from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
