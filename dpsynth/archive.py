"""A zip of named parts in one sealed file: refused when it is cut, altered or larger than it says.

The seal, a SHA-256 of all bytes before it, is the comment at the zip's end. It protects against
accidents; whoever can rewrite the file can seal it again.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from dpsynth.errors import FileError

LARGEST = 2**32
"""Most bytes of a file, and of all its parts together."""
_MOST_PARTS = 10_000
_MARK = b"sha256:"
_SEAL = len(_MARK) + 64
_LARGE, _SAMPLE = 2**20, 2**16
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same parts give the same bytes, whenever they are written
_UNSEALED_END = 22  # the length of a zip's last record when it has no comment
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # a flag that says encrypted; NotImplementedError: another compression
    ValueError,
    KeyError,
    OverflowError,
)


def sealed(parts: Mapping[str, bytes]) -> bytes:
    """Return the bytes of an archive of `parts`, in the order of their names, with its seal."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        for name in sorted(parts):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = _compression(parts[name])
            bundle.writestr(entry, parts[name])
        bundle.comment = _MARK + b"0" * 64
    with archive.getbuffer() as content:
        seal = _seal(content[:-_SEAL])
    archive.seek(-_SEAL, io.SEEK_END)
    archive.write(seal)  # in its place: no second copy of what may be large
    return archive.getvalue()


def read_parts(
    path: str | Path, *, largest: int = LARGEST, within: bytes | None = None
) -> dict[str, bytes]:
    """Return the parts of the archive at `path` that `sealed` made.

    Files of before there was a seal end in a zip without a comment, and are read unsealed. No more
    than `largest` bytes are read or unpacked, whatever the file says of its sizes.

    Args:
        path: the file, for errors too.
        largest: most bytes to read, and to unpack.
        within: the bytes of the archive, where it is a part of the file.

    Raises:
        FileError: no such file, or one that is damaged, too large, or no such archive.
    """
    content = _read(path, largest) if within is None else within
    if content[-_SEAL:].startswith(_MARK):
        if _seal(content[:-_SEAL]) != content[-_SEAL:]:
            raise FileError(path, "damaged: it has been cut or altered since it was written")
    elif content[-_UNSEALED_END:][:4] != b"PK\5\6" or content[-2:] != b"\0\0":
        raise FileError(path, "not a saved model, or damaged (it does not end as one)")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            entries = bundle.infolist()
            _check_sizes(path, entries, largest)
            return {entry.filename: _unpacked(path, bundle, entry) for entry in entries}
    except _DAMAGE as error:
        raise FileError(path, f"not a saved model, or damaged ({error})") from error


def _compression(content: bytes) -> int:
    """Return how to store a part: as it is where it is large and, as noise is, hardly shrinks."""
    if len(content) < _LARGE or len(zlib.compress(content[:_SAMPLE])) < 0.9 * _SAMPLE:
        return zipfile.ZIP_DEFLATED
    return zipfile.ZIP_STORED


def _seal(content: bytes | memoryview) -> bytes:
    return _MARK + sha256(content).hexdigest().encode()


def _read(path: str | Path, largest: int) -> bytes:
    try:
        with open(path, "rb") as handle:
            content = handle.read(largest + 1)
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    if len(content) > largest:
        raise FileError(path, f"larger than the {largest} bytes that a saved model may have")
    return content


def _check_sizes(path: str | Path, entries: list[zipfile.ZipInfo], largest: int) -> None:
    """Refuse what would not fit, or would be ambiguous, before any of it is unpacked."""
    declared = sum(entry.file_size for entry in entries)
    if declared > largest or len(entries) > _MOST_PARTS:
        rule = f"unpacks to {declared} bytes in {len(entries)} parts"
        raise FileError(path, f"{rule}; a saved model has at most {largest} in {_MOST_PARTS}")
    if len({entry.filename for entry in entries}) < len(entries):
        raise FileError(path, "damaged: it has two parts of one name")


def _unpacked(path: str | Path, bundle: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # One byte more than declared is asked for, never all: a part may lie about its size.
    with bundle.open(entry) as handle:
        content = handle.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise FileError(path, f"damaged: {entry.filename} is not as long as it says")
    return content
