"""One table in many files, or in one that is larger than memory: read in blocks of records."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from glob import glob, has_magic
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from dpsynth.data.columns import Column
from dpsynth.data.csv_blocks import read_csv_blocks
from dpsynth.data.csv_check import check_csv
from dpsynth.data.files import DAMAGED, NO_VALUE, attempted, holds_numbers, is_parquet
from dpsynth.data.open_columns import OpenColumn
from dpsynth.data.reading import opened_to_read
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table, check_names
from dpsynth.errors import DataError, FileError, NoRecordsError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

Columns: TypeAlias = Sequence[Column | OpenColumn]
Made = TypeVar("Made")

IN_MEMORY_BYTES = 2**28
"""Size of the largest file whose records are held in memory, unless the user says otherwise."""
# Bytes that are read at a time where a file allows it.
_BUFFER = 2**20


def part_paths(data: str | Path) -> list[Path]:
    """Return the files that hold the records, in the order of their names.

    Args:
        data: a file, a folder (its .csv and .parquet files, except those whose names begin with a
            dot or an underscore), or a pattern of names (`*`, `?`, `[...]`, `**`).

    Raises:
        FileError: there is none.
        InvalidValueError: a name ends otherwise.
    """
    path = Path(data)
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix.lower() in (".csv", ".parquet")]
        found = [p for p in found if not p.name.startswith((".", "_"))]
        missing = "there is no .csv or .parquet file in this folder"
    elif has_magic(str(data)) and not path.exists():
        found = [Path(name) for name in glob(str(data), recursive=True)]
        missing = "no file has a name like this"
    else:
        found, missing = [path], ""
    if not found:
        raise FileError(data, missing)
    for part in found:
        is_parquet(part)  # refuses other endings
    return sorted(found)


def larger_than_memory(data: str | Path) -> bool:
    """Return whether records are better counted in blocks: of a folder, of a pattern, or of a file
    of more than `IN_MEMORY_BYTES`. It does not depend on the machine."""
    path = Path(data)
    try:
        if path.is_file():
            return path.stat().st_size > IN_MEMORY_BYTES
        return path.is_dir() or has_magic(str(data))
    except OSError:  # a name that no file has, which reading it will say
        return False


def read_parts(paths: Sequence[Path], schema: Schema, *, rows: int) -> Iterator[Table]:
    """Yield the records of files as tables of at most `rows` records, in order.

    Values are validated as those of a whole table are; a file without records yields none.

    Raises:
        FileError: a file is missing, unreadable, or not of its kind.
        UnknownNameError, DataError: its records do not fit the schema; a note names the file.
    """
    for path in paths:
        yield from read_part(path, schema, rows=rows)


def read_part(
    path: Path, schema: Schema, *, rows: int, groups: Sequence[int] | None = None
) -> Iterator[Table]:
    """Yield what `read_parts` yields of one file.

    Args:
        path: the file.
        schema: the public description.
        rows: of a table, at most.
        groups: the row groups to read of a Parquet file; None: all.
    """
    make = partial(Table.from_frame, schema)
    yield from read_blocks(path, schema.columns, make, rows=rows, groups=groups)


def read_blocks(
    path: Path,
    columns: Columns,
    make: "Callable[[pd.DataFrame], Made]",
    *,
    rows: int,
    groups: Sequence[int] | None = None,
) -> "Iterator[Made]":
    """Yield what `make` makes of the records of a file, block by block.

    Args:
        path: the file.
        columns: its columns.
        make: of a frame with their names; what it says of wrong records names the file.
        rows, groups: as of `read_part`.
    """
    names = [c.name for c in columns]
    with opened_to_read(path) as file:
        if is_parquet(path):
            blocks = _parquet(path, file, columns, rows, groups)
        else:
            blocks = _csv(path, file, columns)
        try:
            for frame in blocks:
                named = check_names(names, frame)
                for start in range(0, len(named), rows):
                    with suppress(NoRecordsError):  # the schema may leave out all of a block
                        yield make(named.iloc[start : start + rows])
        except (UnknownNameError, DataError) as error:
            error.add_note(f"in {path}")
            raise


def row_groups(path: Path) -> list[int]:
    """Return the number of records in each row group of a Parquet file: secret.

    Raises:
        FileError: it is missing, unreadable, or no such file.
    """
    with opened_to_read(path) as file:
        footer = attempted(path, DAMAGED, lambda: _parquet_file(file)).metadata
        return [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]


def _csv(path: Path, file: Any, columns: Columns) -> "Iterator[pd.DataFrame]":
    check_csv(path, file, [c.name for c in columns])
    numbers = [c.name for c in columns if holds_numbers(c)]
    try:
        yield from read_csv_blocks(file, texts=_texts(columns), numbers=numbers)
    except ValueError as error:
        raise FileError(path, str(error)) from error


def _parquet(
    path: Path, file: Any, columns: Columns, rows: int, groups: Sequence[int] | None
) -> "Iterator[pd.DataFrame]":
    arrow = attempted(path, DAMAGED, lambda: _parquet_file(file)).schema_arrow
    yield arrow.empty_table().to_pandas()  # names are checked, whether there are records or not
    types = import_module("pyarrow").types
    texts = [
        name
        for name in _texts(columns)
        if name in arrow.names and types.is_string(arrow.field(name).type)
    ]
    reader = _parquet_file(file, read_dictionary=texts)
    batches = reader.iter_batches(batch_size=rows, row_groups=groups)
    while (batch := attempted(path, DAMAGED, lambda: next(batches, None))) is not None:
        attempted(path, DAMAGED, partial(batch.validate, full=True))
        yield attempted(path, NO_VALUE, batch.to_pandas)


def _parquet_file(file: Any, **options: Any) -> Any:
    # By name, since Arrow has no types to check against. Without a buffer of its own it would hold
    # whole row groups, of which a file may have a single one.
    parquet = import_module("pyarrow.parquet")
    return parquet.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False, **options)


def _texts(columns: Columns) -> list[str]:
    return [c.name for c in columns if not holds_numbers(c)]
