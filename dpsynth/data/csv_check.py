"""What a CSV file must be before it is parsed: a text in UTF-8 whose quotes are closed.

The parser itself is lenient: it takes a quote that is never closed for one that ends with the file,
and so makes one record of many without a word. One pass over the bytes finds that, other encodings
and other kinds of file, and says where.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Mapping
from io import BufferedReader
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import FileError

CHUNK = 2**22
"""Bytes that are looked at together."""

_PACKED = "it is packed ({}): unpack it first"
_ICONV = "convert it to UTF-8, for instance with `iconv -f {} -t UTF-8`"
_FOREIGN: Mapping[bytes, str] = {
    b"PAR1\x15": "it is a Parquet file, so its name must end in '.parquet'",
    b"PK\x03\x04": "it is a zip file or an Excel workbook: save the table as CSV",
    b"\xd0\xcf\x11\xe0": "it is an Excel workbook: save the table as CSV",
    b"\x1f\x8b": _PACKED.format("gzip"),
    b"\x28\xb5\x2f\xfd": _PACKED.format("zstd"),
    b"\xfd7zXZ": _PACKED.format("xz"),
    b"\xff\xfe\0\0": f"it is a text in UTF-32: {_ICONV.format('UTF-32')}",
    b"\xff\xfe": f"it is a text in UTF-16: {_ICONV.format('UTF-16')}",
    b"\xfe\xff": f"it is a text in UTF-16: {_ICONV.format('UTF-16')}",
}
_MARK = b"\xef\xbb\xbf"
_QUOTED = rb'"[^"]*+(?:""[^"]*+)*+"'
# Fields and what separates them; a quote that does not begin a field is a character like any other.
_WELL_QUOTED = re.compile(
    rb'(?:[,\r\n]|[^",\r\n][^,\r\n]*+|' + _QUOTED + rb"(?=[,\r\n]|\Z))*+", re.DOTALL
)
_BESIDE_QUOTES = np.zeros(256, dtype=bool)
_BESIDE_QUOTES[list(b',"\r\n')] = True


def check_csv(path: str | Path, file: BufferedReader, names: Collection[str] | None = None) -> None:
    """Refuse a file that is no CSV text in UTF-8, or whose quotes do not match.

    Args:
        path: its name.
        file: opened at its start, and left there.
        names: the columns that it should have, where these are known.

    Raises:
        FileError: it is such a file; the line is named.
    """
    head = file.peek()
    for magic, rule in _FOREIGN.items():
        if head.startswith(magic):
            raise FileError(path, rule)
    if _is_wide(head[:64]):
        raise FileError(path, _FOREIGN[b"\xff\xfe"])
    if names is not None:
        _check_separator(path, head, names)
    decoder, offset, quotes, doubtful = getincrementaldecoder("utf-8")(), 0, 0, False
    before = b"\n"
    while chunk := file.read(CHUNK):
        pending = len(decoder.getstate()[0])
        after = file.peek(1)[:1]
        try:
            if pending or not chunk.isascii():
                decoder.decode(chunk, final=not after)
        except UnicodeDecodeError as error:
            byte, at = error.object[error.start], offset - pending + error.start
            raise FileError(path, _no_utf8(byte, _line(file, at))) from None
        around = np.frombuffer(before + chunk + (after or b"\n"), dtype=np.uint8)
        found = np.flatnonzero(around[1:-1] == ord('"')) + 1
        doubtful = doubtful or not _matched(around, found, closes=bool(quotes % 2))
        quotes, offset, before = quotes + len(found), offset + len(chunk), chunk[-1:]
    if doubtful or quotes % 2:
        _check_quotes(path, file)
    file.seek(0)


def _check_separator(path: str | Path, head: bytes, names: Collection[str]) -> None:
    """Refuse a header line that has no comma, but another separator where the schema has none."""
    header, *more = re.split(
        "[\r\n]", head.decode(errors="replace").removeprefix("\ufeff"), maxsplit=1
    )
    known = {header, header[1:-1].replace('""', '"')} & set(names)
    # With an odd number of quotes the header goes on in the next line.
    if known or not more or "," in header or header.count('"') % 2:
        return
    for mark, what in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if mark in header:
            raise FileError(path, f"its fields are separated by {what}, but they must be by commas")


def _matched(around: NDArray[np.uint8], found: NDArray[np.intp], *, closes: bool) -> bool:
    """Return whether quotes begin and end fields, or are doubled within them.

    Every other quote opens: it then follows a separator, or another quote that closed only to be
    doubled. The rest close, with one of these behind them.

    Args:
        around: bytes, with one more on both sides.
        found: where the quotes are.
        closes: whether the first of them closes.
    """
    opening, closing = found[int(closes) :: 2], found[1 - int(closes) :: 2]
    return bool(
        _BESIDE_QUOTES[around[opening - 1]].all() and _BESIDE_QUOTES[around[closing + 1]].all()
    )


def _check_quotes(path: str | Path, file: BufferedReader) -> None:
    """Look at each field in turn, which is slower, and needed where a field holds a lone quote."""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:  # it may be larger than memory
        begin = len(_MARK) if content[: len(_MARK)] == _MARK else 0
        end = _end(_WELL_QUOTED, content, begin)
        if end == len(content):
            return
        closed = _end(re.compile(_QUOTED), content, end) > end
    rule = (
        "has text behind a closing quote; a quote within quotes is doubled"
        if closed
        else "opens a quote that is never closed"
    )
    raise FileError(path, f"line {_line(file, end)} {rule}")


def _end(pattern: re.Pattern[bytes], content: mmap, begin: int) -> int:
    """Return where a match that begins at `begin` ends, or `begin` where there is none."""
    match = pattern.match(content, begin)
    return match.end() if match else begin


def _is_wide(head: bytes) -> bool:
    """Return whether a text begins with characters of two bytes each, one of them zero."""
    halves = (head[::2], head[1::2])
    return any(half and not any(half) for half in halves) and head.replace(b"\0", b"")[:1].isalnum()


def _no_utf8(byte: int, line: int) -> str:
    return (
        f"line {line} holds the byte 0x{byte:02x}, so it is not a text in UTF-8; if it is in "
        f"Latin-1 or Windows-1252, {_ICONV.format('WINDOWS-1252')}"
    )


def _line(file: BufferedReader, offset: int) -> int:
    """Return the number of the line that holds the byte at `offset`."""
    feeds, returns = 0, 0
    file.seek(0)
    while part := file.read(min(CHUNK, offset)):
        feeds, returns = feeds + part.count(b"\n"), returns + part.count(b"\r")
        offset -= len(part)
    return 1 + (feeds or returns)
