"""The check of quotes agrees with the standard library's strict reader, wherever blocks end."""

import csv
import tempfile
from io import StringIO
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth.data import csv_check
from dpsynth.errors import FileError


def check(content: bytes, chunk: int) -> None:
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(csv_check, "CHUNK", chunk):
        path = Path(folder) / "d.csv"
        path.write_bytes(content)
        with path.open("rb") as file:
            csv_check.check_csv("d.csv", file)
            assert file.tell() == 0


@given(text=st.text(alphabet='",\nx', max_size=12), chunk=st.integers(1, 5), marked=st.booleans())
@example(text='x,"a\n"x"\n', chunk=3, marked=False)
@settings(max_examples=300, deadline=None)
def test_quotes_are_refused_where_a_strict_reader_refuses_them(
    text: str, chunk: int, marked: bool
) -> None:
    content = text.encode("utf-8-sig" if marked else "utf-8")
    try:
        list(csv.reader(StringIO(text, newline=""), strict=True))
    except csv.Error:
        with pytest.raises(FileError, match="quote"):
            check(content, chunk)
    else:
        check(content, chunk)


@given(content=st.binary(max_size=9), chunk=st.integers(1, 5))
@example(content="aä€😀".encode(), chunk=2)
@settings(max_examples=300, deadline=None)
def test_bytes_are_refused_where_they_are_no_text(content: bytes, chunk: int) -> None:
    content = b"x" + content.replace(b'"', b"").replace(b"\0", b"")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = 1 + (content[: error.start].count(b"\n") or content[: error.start].count(b"\r"))
        said = f"line {line} holds the byte 0x{content[error.start]:02x}"
        with pytest.raises(FileError, match=said):
            check(content, chunk)
    else:
        check(content, chunk)
