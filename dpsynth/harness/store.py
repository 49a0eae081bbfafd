"""The results store: one JSON file a cell, written whole or not at all, compacted to Parquet.

STORE/experiment.json   what was asked for
STORE/plan.json         the cells of the last plan, and what was left out with the reason
STORE/cells/ID.json     {"sha256": checksum of the body, "body": {...}}
STORE/imported/ID       empty; marks a cell of someone else's records, which no plan asks for
STORE/results.parquet   every row of these cells; made anew at the end of a sweep
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dpsynth.atomic import write_atomically
from dpsynth.errors import FileError, named
from dpsynth.harness.row import COLUMNS, REQUIRED, Row, Status, from_plain, to_plain

if TYPE_CHECKING:
    from pandas import DataFrame

UNVERIFIED = "claim not verified"  # the mode of rows of records that someone else made
_DTYPES: dict[Any, str] = {
    float: "float64",
    float | None: "float64",
    int: "Int64",
    int | None: "Int64",
    bool | None: "boolean",
}
_PREFIX = b'{"sha256":"'
_MIDDLE = b'","body":'


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
class Store:
    """The folder of one experiment's results."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def write_plan(
        self, experiment: Mapping[str, Any], cells: Sequence[str], skipped: Sequence[Sequence[str]]
    ) -> None:
        """Keep what was asked for; rows of cells outside the plan are not read again.

        Raises:
            FileError: the folder is not writable, or the disk is full.
        """
        self._parquet.unlink(missing_ok=True)
        plan = {"cells": list(cells), "skipped": [list(s) for s in skipped]}
        write_atomically(self.path / "experiment.json", _dump(experiment))
        write_atomically(self.path / "plan.json", _dump(plan))

    def write(self, record: Record) -> None:
        """Keep `record`, in place of what was known of its cell.

        Raises:
            FileError: the disk is full; nothing was changed.
        """
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
            "rows": [to_plain(row) for row in record.rows],
        }
        content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        digest = sha256(content).hexdigest().encode()
        write_atomically(self._file(record.cell), _PREFIX + digest + _MIDDLE + content + b"}\n")

    def read_cell(self, cell: str) -> Record | None:
        """Return what is known of `cell`; None when it is missing, cut short or altered.

        Raises:
            FileError: its rows have other fields than this version's; the file stays as it is.
        """
        try:
            content = self._file(cell).read_bytes()
        except FileNotFoundError:
            return None
        start = len(_PREFIX) + 64 + len(_MIDDLE)
        body = content[start:-2]
        digest = content[len(_PREFIX) : len(_PREFIX) + 64]
        if digest != sha256(body).hexdigest().encode():
            return None
        plain = json.loads(body)
        receipt = plain["receipt"]
        rows = plain["rows"]
        _check_fields(self._file(cell), rows)
        return Record(
            cell=plain["cell"],
            settings=plain["settings"],
            status=plain["status"],
            rows=tuple(from_plain(row) for row in rows),
            receipt=json.dumps(receipt) if receipt is not None else None,
            seconds=plain["seconds"],
            peak_rss_mb=plain["peak_rss_mb"],
            phase=plain["phase"],
            error=plain["error"],
            traceback=plain["traceback"],
        )

    def damaged(self, cell: str) -> bool:
        """Return whether `cell` has a file that cannot be trusted."""
        return self._file(cell).exists() and self.read_cell(cell) is None

    def records(self) -> list[Record]:
        """Return what is known of the plan's cells, in the plan's order, then of imported ones.

        Raises:
            FileError: the folder holds no plan.
        """
        found = (self.read_cell(cell) for cell in [*self.plan()["cells"], *self.imported()])
        return [record for record in found if record is not None]

    def write_imported(self, record: Record) -> None:
        """Keep `record` of someone else's records beside the plan, whatever plans come.

        Raises:
            FileError: the disk is full.
        """
        self._parquet.unlink(missing_ok=True)
        self.write(record)
        write_atomically(self.path / "imported" / record.cell, b"")

    def imported(self) -> list[str]:
        """Return the identities of imported cells."""
        folder = self.path / "imported"
        return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []

    def check_imported(self) -> None:
        """Raise FileError where another version of this package wrote an imported cell."""
        for cell in self.imported():
            self.read_cell(cell)

    def plan(self) -> dict[str, Any]:
        """Return the last plan: "cells" and "skipped" (title, reason)."""
        return self._json("plan.json")

    def experiment(self) -> dict[str, Any]:
        """Return the experiment as it was asked for, defaults included."""
        return self._json("experiment.json")

    def compact(self) -> Path:
        """Write every row of `records` to one Parquet file and return its path."""
        import io

        buffer = io.BytesIO()
        to_frame(row for record in self.records() for row in record.rows).to_parquet(
            buffer, index=False
        )
        write_atomically(self._parquet, buffer.getvalue())
        return self._parquet

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.path / name).read_bytes())
        except FileNotFoundError:
            raise FileError(self.path, f"not a results store (it has no {name})") from None
        except ValueError as error:
            raise FileError(self.path / name, f"damaged ({error})") from None

    def _file(self, cell: str) -> Path:
        return self.path / "cells" / f"{cell}.json"

    @property
    def _parquet(self) -> Path:
        return self.path / "results.parquet"


def read(path: str | Path) -> "DataFrame":
    """Return every row of the results store at `path`, one line a number.

    Raises:
        FileError: no results store there.
    """
    import pandas as pd

    store = Store(path)
    parquet = store.path / "results.parquet"
    if parquet.exists():
        return _typed(pd.read_parquet(parquet))  # an older version's lacks columns
    return to_frame(row for record in store.records() for row in record.rows)


def to_frame(rows: Iterable[Row]) -> "DataFrame":
    """Return `rows` as a DataFrame whose columns and types do not depend on what is missing."""
    import pandas as pd

    values = [[getattr(r, c) for c in COLUMNS] for r in rows]
    return _typed(pd.DataFrame(values, columns=list(COLUMNS)))


def _typed(frame: "DataFrame") -> "DataFrame":
    frame = frame.reindex(columns=list(COLUMNS))
    for name in COLUMNS:
        dtype: Any = _DTYPES.get(Row.__annotations__[name], "string")
        frame[name] = frame[name].astype(dtype)
    return frame


def _check_fields(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rows that another version of this package wrote and this one would misread.

    Raises:
        FileError: a field that is unknown, or the lack of one that every row has.
    """
    unknown = {name for row in rows for name in row} - set(COLUMNS)
    lacking = {name for row in rows for name in REQUIRED if name not in row}
    faults = [
        f"{what} {', '.join(sorted(map(named, names)))}"
        for what, names in (("unknown", unknown), ("missing", lacking))
        if names
    ]
    if faults:
        rule = (
            f"its rows were written by another version of dpsynth ({'; '.join(faults)}); read them "
            "with that one, nothing was changed"
        )
        raise FileError(file, rule)


def _dump(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
