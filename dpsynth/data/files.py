"""Tables in CSV and Parquet files: read under a schema, and written whole or not at all."""

from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

from dpsynth.atomic import opened_atomically
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.csv_text import csv_header, csv_lines, parse_csv
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DpsynthError, FileError, InvalidValueError

if TYPE_CHECKING:
    import pandas as pd


def load_file(path: str | Path, schema: Schema) -> Table:
    """Return the records of a CSV or Parquet file; the suffix of its name says which.

    Raises:
        InvalidValueError: the name ends otherwise.
        FileError: the file is missing, unreadable, or not of its kind.
        UnknownNameError, DataError: its records do not fit the schema.
    """
    return load_parquet(path, schema) if _is_parquet(path) else load_csv(path, schema)


def load_csv(path: str | Path, schema: Schema) -> Table:
    """Return the records of a CSV file with a header line; errors as of `load_file`."""
    return Table.from_frame(schema, _parse_under(path, schema))


def load_parquet(path: str | Path, schema: Schema) -> Table:
    """Return the records of a Parquet file; errors as of `load_file`."""
    return Table.from_frame(schema, _parse_parquet(path))


def frame_under(path: str | Path, schema: Schema) -> "pd.DataFrame":
    """Return what a file holds, before it is a table of `schema`, identifiers included.

    Raises:
        InvalidValueError, FileError: as of `load_file`.
    """
    return _parse_parquet(path) if _is_parquet(path) else _parse_under(path, schema)


def read_frame(path: str | Path) -> "pd.DataFrame":
    """Return what a CSV or Parquet file holds, with the types that its values suggest.

    Raises:
        InvalidValueError: the name ends otherwise.
        FileError: the file is missing, unreadable, or not of its kind.
    """
    if _is_parquet(path):
        return _parse_parquet(path)
    with _opened(path) as file:
        return parse_csv(file)


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
    write = _write_parquet if _is_parquet(path) else _write_csv
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


@contextmanager
def _opened(path: str | Path) -> Generator[BinaryIO]:
    """Open a file for reading, and say in one sentence what is wrong with it."""
    try:
        with Path(path).open("rb") as file:
            yield file
    except DpsynthError:
        raise
    except FileNotFoundError:
        raise FileError(path, "there is no such file") from None
    except UnicodeError:
        raise FileError(path, "it is not a text in UTF-8") from None
    except OSError as error:
        raise FileError(path, f"it cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise FileError(path, f"it cannot be understood ({reason})") from error


def _parse_under(path: str | Path, schema: Schema) -> "pd.DataFrame":
    """Return a CSV file's frame, in which categories and identifiers stay the texts they are."""
    texts = [c.name for c in schema.columns if isinstance(c, CategoricalColumn)]
    with _opened(path) as file:
        return parse_csv(file, texts=[*texts, schema.unit])


def _parse_parquet(path: str | Path) -> "pd.DataFrame":
    import pandas as pd

    with _opened(path) as file:
        return pd.read_parquet(file)


def _is_parquet(path: str | Path) -> bool:
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InvalidValueError("file name", str(path), "one that ends in '.csv' or '.parquet'")
    return suffix == ".parquet"
