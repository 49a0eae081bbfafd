"""The results store: one JSON file a cell, written whole or not at all, compacted to Parquet.

STORE/experiment.json   what was asked for
STORE/plan.json         the cells of the last plan, and what was left out with the reason
STORE/cells/ID.json     {"sha256": checksum of the body, "body": {...}}
STORE/imported/ID       empty; marks a cell of someone else's records, which no plan asks for
STORE/results.parquet   every row of these cells; made anew at the end of a sweep
STORE/lock              held by the process that writes
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from dpsynth.atomic import write_atomically
from dpsynth.errors import FileError, InvalidValueError
from dpsynth.harness.frame import (
    parquet_dataset,
    read_parquet,
    to_arrow,
    to_frame,
    write_parquet,
)
from dpsynth.harness.lock import locked
from dpsynth.harness.record import Record, Stored, decode, encode
from dpsynth.harness.row import Row

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import Table
    from pyarrow.dataset import Dataset

UNVERIFIED = "claim not verified"  # the mode of rows of records that someone else made
FORMAT = 1  # of the folder; stores of earlier versions do not state it


@final
class Store:
    """The folder of one experiment's results."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def write_plan(
        self, experiment: Mapping[str, Any], cells: Sequence[str], skipped: Sequence[Sequence[str]]
    ) -> None:
        """Keep what was asked for, as the one writer; rows of other cells are not read again.

        Raises:
            FileError: the folder is not writable, the disk is full, or the store is one of a later
                version.
        """
        if (self.path / "plan.json").exists():
            self.plan()
        self._parquet.unlink(missing_ok=True)
        for part in self.path.rglob(".*.part"):  # of a writer that was killed
            part.unlink(missing_ok=True)
        plan = {
            "format": FORMAT,
            "cells": list(cells),
            "skipped": [list(s) for s in skipped],
        }
        write_atomically(self.path / "experiment.json", _dump(experiment))
        write_atomically(self.path / "plan.json", _dump(plan))

    def write(self, record: Record) -> None:
        """Keep `record`, in place of what was known of its cell.

        Raises:
            FileError: the disk is full; nothing was changed.
            InvalidValueError: a row that is not of the schema.
        """
        write_atomically(self._file(record.cell), encode(record))

    def look(self, cell: str) -> Stored | None:
        """Return what is known of `cell`, its rows unmade; otherwise as `read_cell`."""
        try:
            content = self._file(cell).read_bytes()
        except FileNotFoundError:
            return None
        return decode(content, self._file(cell))

    def read_cell(self, cell: str) -> Record | None:
        """Return what is known of `cell`; None when it is missing, cut short or altered.

        Raises:
            FileError: its rows have other fields than this version's; the file stays as it is.
        """
        stored = self.look(cell)
        return stored.record() if stored is not None else None

    def damaged(self, cell: str) -> bool:
        """Return whether `cell` has a file that cannot be trusted."""
        return self._file(cell).exists() and self.look(cell) is None

    def records(self) -> list[Record]:
        """Return what is known of the plan's cells, in the plan's order, then of imported ones.

        Raises:
            FileError: the folder holds no plan.
        """
        return [stored.record() for stored in self._stored()]

    def _stored(self) -> Iterator[Stored]:
        for cell in [*self.plan()["cells"], *self.imported()]:
            stored = self.look(cell)
            if stored is not None:
                yield stored

    def _rows(self) -> Iterator[Row]:
        return (row for stored in self._stored() for row in stored.record().rows)

    def everything(self) -> Iterator[Stored]:
        """Yield what this version can read of every cell here, of earlier plans too."""
        for file in sorted((self.path / "cells").glob("*.json")):
            with suppress(FileError):  # of another version
                stored = self.look(file.stem)
                if stored is not None:
                    yield stored

    def others(self) -> int:
        """Return how many cells here are neither of the plan nor imported."""
        known = {*self.plan()["cells"], *self.imported()}
        return len({file.stem for file in (self.path / "cells").glob("*.json")} - known)

    def locked(self) -> AbstractContextManager[None]:
        """Keep other writers out of this store.

        Raises:
            FileError: one is there already, or the folder is not writable.
        """
        return locked(self.path)

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

    def check_imported(self, generators: Collection[str]) -> None:
        """Refuse a plan beside imported cells that it would mix up with its own, or cannot read.

        Args:
            generators: labels of the plan's generators.

        Raises:
            InvalidValueError: imported records are called as one of them is.
            FileError: another version of this package wrote an imported cell.
        """
        for cell in self.imported():
            record = self.read_cell(cell)
            label = record.settings["generator"]["label"] if record is not None else None
            if label in generators:
                rule = "labels that no imported records of this store have (use 'label')"
                raise InvalidValueError("generators", label, rule)

    def plan(self) -> dict[str, Any]:
        """Return the last plan: "cells" and "skipped" (title, reason).

        Raises:
            FileError: no store, or one of a later version.
        """
        plan = self._json("plan.json")
        if plan.get("format", FORMAT) != FORMAT:
            found = plan["format"]
            rule = (
                f"a store of format {found!r}, and this version of dpsynth reads {FORMAT}; read it "
                "with the version that wrote it, nothing was changed"
            )
            raise FileError(self.path, rule)
        return plan

    def experiment(self) -> dict[str, Any]:
        """Return the experiment as it was asked for, defaults included."""
        return self._json("experiment.json")

    def compact(self) -> Path:
        """Write every row of `records` to one Parquet file and return its path."""
        write_parquet(self._rows(), self._parquet)
        return self._parquet

    @property
    def compacted(self) -> bool:
        """Whether the Parquet file is there; it then has all rows."""
        return self._parquet.exists()

    def frame(self) -> "DataFrame":
        """Return every row of `records`, one line a number."""
        return read_parquet(self._parquet) if self.compacted else to_frame(self._rows())

    def arrow(self) -> "Dataset | Table":
        """Return the rows of `frame` for Arrow's readers: those of the file are not read yet."""
        return parquet_dataset(self._parquet) if self.compacted else to_arrow(self._rows())

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
    return Store(path).frame()


def _dump(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
