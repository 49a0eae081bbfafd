"""A sealed file of parts: what is cut, altered, or larger than it says is refused."""

import io
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from dpsynth.archive import read_parts, sealed
from dpsynth.errors import FileError

PARTS = {"a.json": b'{"x": 1}', "b/c.npy": bytes(range(256)) * 8, "empty": b""}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "parts"
    path.write_bytes(sealed(PARTS))
    return path


def unsealed(content: bytes) -> bytes:
    """Return the file as it was before there was a seal: a zip without a comment."""
    return content[:-73] + b"\0\0"


def test_parts_come_back_in_the_same_bytes(path: Path, tmp_path: Path) -> None:
    assert read_parts(path) == PARTS
    assert read_parts(tmp_path / ".." / tmp_path.name / "parts") == PARTS
    assert sealed(dict(reversed(PARTS.items()))) == path.read_bytes()
    assert zipfile.ZipFile(path).testzip() is None  # any other program may read it


def test_a_large_part_that_hardly_shrinks_is_stored_as_it_is(path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(2**18).astype(np.float32)
    parts = {"noise": noise.tobytes(), "zeros": bytes(2**20), "small": noise.tobytes()[: 2**16]}
    path.write_bytes(sealed(parts))
    assert read_parts(path) == parts
    kinds = {entry.filename: entry.compress_type for entry in zipfile.ZipFile(path).infolist()}
    packed = zipfile.ZIP_DEFLATED
    assert kinds == {"noise": zipfile.ZIP_STORED, "zeros": packed, "small": packed}
    content = bytearray(path.read_bytes())
    content[2**19] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match="damaged"):
        read_parts(path)


def test_no_cut_and_no_altered_byte_passes(path: Path) -> None:
    """Exhaustive: every length, and every byte changed in a random bit (seed 0)."""
    content, rng = path.read_bytes(), np.random.default_rng(0)
    assert len(content) < 2000
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(FileError):
            read_parts(path)
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(altered)
        with pytest.raises(FileError):
            read_parts(path)


def test_what_is_put_around_it_is_refused(path: Path) -> None:
    content = path.read_bytes()
    for around in (b"x" + content, content + b"x", content + content):
        path.write_bytes(around)
        with pytest.raises(FileError, match="damaged"):
            read_parts(path)


def test_a_file_of_before_the_seal_is_read(path: Path) -> None:
    path.write_bytes(unsealed(path.read_bytes()))
    assert read_parts(path) == PARTS


@pytest.mark.parametrize("position", range(0, 80, 3))
def test_damage_to_a_file_of_before_the_seal_is_no_traceback(path: Path, position: int) -> None:
    content = bytearray(unsealed(path.read_bytes()))
    content[position] ^= 0xFF
    path.write_bytes(content)
    with suppress(FileError):
        assert read_parts(path) == PARTS  # a date, or another byte that says nothing


def bomb(path: Path, *, declared: int | None) -> None:
    """Write a zip of 64 MiB of zeros in 64 KiB, whose directory says `declared` bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("manifest.json", bytes(2**26))
    content = bytearray(archive.getvalue())
    if declared is not None:
        at = content.rfind(b"PK\1\2") + 24
        content[at : at + 4] = struct.pack("<I", declared)
    path.write_bytes(content)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    import tracemalloc

    bomb(tmp_path / "honest", declared=None)
    bomb(tmp_path / "lying", declared=10)
    tracemalloc.start()
    with pytest.raises(FileError, match="unpacks to 67108864 bytes in 1 parts"):
        read_parts(tmp_path / "honest", largest=2**20)
    with pytest.raises(FileError, match="damaged"):
        read_parts(tmp_path / "lying", largest=2**20)
    with pytest.raises(FileError, match="larger than the 1000 bytes"):
        read_parts(tmp_path / "honest", largest=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22
    assert len(read_parts(tmp_path / "honest")["manifest.json"]) == 2**26  # the control


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice", "w") as bundle:
        bundle.writestr("a", b"1")
        bundle.writestr("a", b"2")
    with pytest.raises(FileError, match="two parts of one name"):
        read_parts(tmp_path / "twice")
