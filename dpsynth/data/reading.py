"""Files opened for reading: whatever is wrong with one is a sentence, and none is waited for."""

from collections.abc import Generator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from dpsynth.errors import FileError


@contextmanager
def opened_to_read(
    path: str | Path, *, absent: str = "there is no such file"
) -> Generator[BufferedReader]:
    """Open a regular file for reading.

    Args:
        path: the file. A pipe or a device is refused: it could keep the reader waiting, or never
            end, and cannot be read twice.
        absent: what to say when there is none.

    Raises:
        FileError: it is missing, no regular file, or unreadable, now or while it is read.
    """
    place = Path(path)
    if "\0" in str(path):
        raise FileError(path, "no file has such a name")
    try:
        if place.exists() and not place.is_file():
            what = "a folder" if place.is_dir() else "a pipe or a device"
            raise FileError(path, f"it cannot be read, because it is {what} and not a file")
        with place.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise FileError(path, absent) from None
    except OSError as error:
        raise FileError(path, f"it cannot be read ({error.strerror or error})") from error
