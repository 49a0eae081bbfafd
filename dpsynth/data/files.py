"""Tables in CSV and Parquet files: read under a schema, and written whole or not at all."""

from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dpsynth.atomic import write_atomically
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.csv_text import csv_bytes, parse_csv
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
    categorical = [c.name for c in schema.columns if isinstance(c, CategoricalColumn)]
    with _opened(path) as file:
        frame = parse_csv(file, texts=categorical)
    return Table.from_frame(schema, frame)


def load_parquet(path: str | Path, schema: Schema) -> Table:
    """Return the records of a Parquet file; errors as of `load_file`."""
    return Table.from_frame(schema, _parse_parquet(path))


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
    if _is_parquet(path):
        buffer = BytesIO()
        table.frame.to_parquet(buffer, index=False)
        write_atomically(path, buffer.getvalue())
    else:
        write_atomically(path, csv_bytes(table))


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


def _parse_parquet(path: str | Path) -> "pd.DataFrame":
    import pandas as pd

    with _opened(path) as file:
        return pd.read_parquet(file)


def _is_parquet(path: str | Path) -> bool:
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InvalidValueError("file name", str(path), "one that ends in '.csv' or '.parquet'")
    return suffix == ".parquet"
