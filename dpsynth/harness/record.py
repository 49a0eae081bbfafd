"""What is kept of one cell, and its bytes: {"sha256": checksum of the body, "body": {...}}.

The process of a cell writes them, so that whatever comes of a cell is JSON that has been checked
before any other process takes it up.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, final

import msgspec

from dpsynth.errors import FileError, named
from dpsynth.harness.row import CLAIM, COLUMNS, REQUIRED, Row, Status, check, from_plain, to_plain

_PREFIX = b'{"sha256":"'
_MIDDLE = b'","body":'
_END = b"}\n"


@final
@dataclass(frozen=True, kw_only=True)
class Record:
    """What the store keeps of one cell.

    Args:
        cell: its identity.
        settings: everything that the identity was computed from.
        status: "done", or how it failed.
        rows: its numbers; a failed cell has one that says so.
        receipt: the receipt as JSON; None when the cell bought nothing or failed.
        seconds: phase -> seconds.
        peak_rss_mb: the most resident memory, in MiB.
        phase, error, traceback: where, why and how it failed.
    """

    cell: str
    settings: Mapping[str, Any]
    status: Status
    rows: tuple[Row, ...]
    receipt: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_rss_mb: float | None = None
    phase: str | None = None
    error: str | None = None
    traceback: str | None = None


@final
class Stored(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a record as it was read, before rows are made of it; arguments: `Record`.

    Args:
        rows: as JSON values, without what `claim` says of all of them.
        claim: columns of a claim that all rows share.
    """

    cell: str
    status: Status
    phase: str | None
    error: str | None
    traceback: str | None
    peak_rss_mb: float | None
    seconds: dict[str, float]
    settings: dict[str, Any]
    receipt: dict[str, Any] | None
    rows: list[dict[str, Any]]
    claim: dict[str, str] = {}

    def record(self) -> Record:
        """Return the record that was written."""
        return Record(
            cell=self.cell,
            settings=self.settings,
            status=self.status,
            rows=tuple(from_plain({**row, **self.claim}) for row in self.rows),
            receipt=json.dumps(self.receipt) if self.receipt is not None else None,
            seconds=self.seconds,
            peak_rss_mb=self.peak_rss_mb,
            phase=self.phase,
            error=self.error,
            traceback=self.traceback,
        )


_BODY = msgspec.json.Decoder(Stored)


def encode(record: Record) -> bytes:
    """Return the bytes of `record`.

    Raises:
        InvalidValueError: a row that is not of the schema.
    """
    for row in record.rows:
        check(row)
    claim, rows = _shared([to_plain(row) for row in record.rows])
    body = {
        "cell": record.cell,
        "status": record.status,
        "phase": record.phase,
        "error": record.error,
        "traceback": record.traceback,
        "peak_rss_mb": record.peak_rss_mb,
        "seconds": dict(record.seconds),
        "settings": record.settings,
        "receipt": json.loads(record.receipt) if record.receipt is not None else None,
        "claim": claim,
        "rows": rows,
    }
    content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    return _PREFIX + sha256(content).hexdigest().encode() + _MIDDLE + content + _END


def decode(content: bytes, source: object) -> Stored | None:
    """Return what `encode` wrote; None when it is cut short or altered.

    Args:
        content: the bytes.
        source: where they come from, for the error.

    Raises:
        FileError: its fields are not those of this version.
    """
    start = len(_PREFIX) + 64 + len(_MIDDLE)
    body = content[start : -len(_END)]
    if content[len(_PREFIX) : len(_PREFIX) + 64] != sha256(body).hexdigest().encode():
        return None
    try:
        stored = _BODY.decode(body)
    except msgspec.DecodeError as error:
        raise FileError(source, _of_another_version(str(error))) from None
    _check_fields(source, stored.rows)
    return stored


def _shared(rows: list[dict[str, Any]]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return the claim that all rows share, and the rows without it."""
    first = rows[0] if rows else {}
    claim = {
        name: first[name]
        for name in CLAIM
        if name in first and all(row.get(name) == first[name] for row in rows)
    }
    return claim, [{k: v for k, v in row.items() if k not in claim} for row in rows]


def _check_fields(source: object, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rows that another version of this package wrote and this one would misread.

    Raises:
        FileError: a field that is unknown, or the lack of one that every row has.
    """
    unknown = {name for row in rows for name in row if name not in _KNOWN}
    lacking = {name for row in rows for name in REQUIRED if name not in row}
    faults = [
        f"{what} {', '.join(sorted(map(named, names)))}"
        for what, names in (("unknown", unknown), ("missing", lacking))
        if names
    ]
    if faults:
        raise FileError(source, _of_another_version("; ".join(faults)))


_KNOWN = frozenset(COLUMNS)


def _of_another_version(faults: str) -> str:
    return (
        f"its rows were written by another version of dpsynth ({faults}); read them with that "
        "one, nothing was changed"
    )
