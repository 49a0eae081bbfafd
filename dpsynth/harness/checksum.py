"""The checksum of a file, by which a cell's identity knows it."""

from hashlib import sha256
from pathlib import Path

from dpsynth.errors import FileError


def file_hash(path: Path) -> str:
    """Return the SHA-256 of what is in a file.

    Raises:
        FileError: it cannot be read.
    """
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None
