"""Tables in CSV and Parquet files: read under a schema, and written whole or not at all."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dpsynth.atomic import opened_atomically
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn
from dpsynth.data.csv_check import check_csv
from dpsynth.data.csv_text import csv_header, csv_lines, parse_csv
from dpsynth.data.open_columns import OpenColumn, OpenText
from dpsynth.data.reading import opened_to_read
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, FileError, InvalidValueError

if TYPE_CHECKING:
    import pandas as pd

DAMAGED = "it is not a Parquet file, or a damaged one"
NO_VALUE = "it holds a value that Python has none for, such as a date beyond the year 9999"


def load_file(path: str | Path, schema: Schema) -> Table:
    """Return the records of a CSV or Parquet file; the suffix of its name says which.

    Raises:
        InvalidValueError: the name ends otherwise.
        FileError: the file is missing, unreadable, or not of its kind.
        UnknownNameError, DataError: its records do not fit the schema.
    """
    return load_parquet(path, schema) if is_parquet(path) else load_csv(path, schema)


def load_csv(path: str | Path, schema: Schema) -> Table:
    """Return the records of a CSV file with a header line; errors as of `load_file`."""
    return Table.from_frame(schema, _read_csv(path, schema.columns, schema.unit))


def load_frame(
    path: str | Path, columns: Sequence[Column | OpenColumn], unit: str = "record"
) -> "pd.DataFrame":
    """Return what a CSV or Parquet file holds: in CSV, texts and numbers as the columns have them.

    Args:
        path: the file; errors as of `read_frame`.
        columns: the specifications.
        unit: a further column that may be there, of identifiers, which stay texts.
    """
    return _parse_parquet(path) if is_parquet(path) else _read_csv(path, columns, unit)


def _read_csv(
    path: str | Path, columns: Sequence[Column | OpenColumn], unit: str
) -> "pd.DataFrame":
    numbers = [c.name for c in columns if holds_numbers(c)]
    texts = [c.name for c in columns if not holds_numbers(c)]
    texts += [] if unit in numbers else [unit]
    with opened_to_read(path) as file:
        check_csv(path, file, [c.name for c in columns])
        return _understood(path, lambda: parse_csv(file, texts=texts, numbers=numbers))


def holds_numbers(column: Column | OpenColumn) -> bool:
    """Return whether a column's fields in a file are numbers; times are texts."""
    if isinstance(column, CategoricalColumn | OpenText):
        return False
    return isinstance(column, FloatColumn) or column.clock is None


def load_parquet(path: str | Path, schema: Schema) -> Table:
    """Return the records of a Parquet file; errors as of `load_file`."""
    return Table.from_frame(schema, _parse_parquet(path))


def read_frame(path: str | Path) -> "pd.DataFrame":
    """Return what a CSV or Parquet file holds, with the types that its values suggest.

    Raises:
        InvalidValueError: the name ends otherwise.
        FileError: the file is missing, unreadable, or not of its kind.
    """
    if is_parquet(path):
        return _parse_parquet(path)
    with opened_to_read(path) as file:
        check_csv(path, file)
        return _understood(path, lambda: parse_csv(file))


def save_file(table: Table, path: str | Path) -> None:
    """Write a table to a CSV or Parquet file; the suffix of its name says which.

    `load_file` reads an equal table back.

    Raises:
        InvalidValueError: the name ends otherwise.
        FileError: the file cannot be written; whatever was there is untouched.
    """
    save_blocks([table], path)


def save_blocks(tables: Iterable[Table], path: str | Path) -> int:
    """Write the records of several tables to one file, and return their number.

    Each table is written before the next one is asked for: a generator of tables needs the memory
    of two. In a Parquet file each is a row group.

    Args:
        tables: under one schema, at least one.
        path: a name as of `save_file`; errors too.
    """
    write = _write_parquet if is_parquet(path) else _write_csv
    with opened_atomically(path) as file:
        return write(tables, file)


def _write_csv(tables: Iterable[Table], file: IO[bytes]) -> int:
    rows = 0
    for table in tables:
        if rows == 0:
            file.write(csv_header(table.schema))
        file.write(csv_lines(table))
        rows += len(table)
    return rows


def _write_parquet(tables: Iterable[Table], file: IO[bytes]) -> int:
    # By name, since Arrow has no types to check against.
    pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    rows, writer = 0, None
    with ExitStack() as stack:
        for table in tables:
            records = pa.Table.from_pandas(table.frame, preserve_index=False)
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(file, records.schema))
            writer.write_table(records)
            rows += len(table)
    return rows


def _understood(path: str | Path, parse: Callable[[], "pd.DataFrame"]) -> "pd.DataFrame":
    try:
        return parse()
    except ValueError as error:
        raise FileError(path, str(error)) from error


def _parse_parquet(path: str | Path) -> "pd.DataFrame":
    # By name, since Arrow has no types to check against.
    parquet = import_module("pyarrow.parquet")
    with opened_to_read(path) as file:
        source = attempted(path, DAMAGED, lambda: parquet.ParquetFile(file))
        names: list[str] = source.schema_arrow.names
        for name, times in Counter(names).items():
            if times > 1:
                raise DataError(name, "several columns of that name", "names must be unique")
        records = attempted(path, DAMAGED, source.read)
        attempted(path, DAMAGED, lambda: records.validate(full=True))
    return attempted(path, NO_VALUE, records.to_pandas)


def attempted(path: str | Path, rule: str, act: Callable[[], Any]) -> Any:
    """Return what `act` returns; whatever Arrow and pandas raise means that `rule` is broken."""
    own = import_module("pyarrow").ArrowException
    known = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, OSError)
    try:
        return act()
    except (*known, own) as error:
        raise FileError(path, rule) from error


def is_parquet(path: str | Path) -> bool:
    """Return whether a file's name says that it is Parquet, and not CSV.

    Raises:
        InvalidValueError: it says neither.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InvalidValueError("file name", str(path), "one that ends in '.csv' or '.parquet'")
    return suffix == ".parquet"
