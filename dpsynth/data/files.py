"""Tables in CSV and Parquet files: read under a schema, and written whole or not at all.

In a CSV file an empty field is a missing value, and nothing else is: the texts NA, None and null
are values like any other, which a schema may declare as categories.
"""

from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from dpsynth.atomic import write_atomically
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import FileError, InvalidValueError

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = "'.csv' or '.parquet'"


def load_file(path: str | Path, schema: Schema) -> Table:
    """Return the records of a CSV or Parquet file; the suffix of its name says which.

    Raises:
        FileError: the file is missing, unreadable, or neither.
        UnknownNameError, DataError: its records do not fit the schema.
    """
    return load_parquet(path, schema) if _is_parquet(path) else load_csv(path, schema)


def load_csv(path: str | Path, schema: Schema) -> Table:
    """Return the records of a CSV file with a header line; errors as of `load_file`."""
    categorical = [c.name for c in schema.columns if isinstance(c, CategoricalColumn)]
    with _opened(path) as file:
        return Table.from_frame(schema, parse_csv(file, texts=categorical))


def load_parquet(path: str | Path, schema: Schema) -> Table:
    """Return the records of a Parquet file; errors as of `load_file`."""
    return Table.from_frame(schema, _parse_parquet(path))


def read_frame(path: str | Path) -> "pd.DataFrame":
    """Return what a CSV or Parquet file holds, with the types that its values suggest.

    Raises:
        FileError: the file is missing, unreadable, or neither.
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
    buffer = BytesIO()
    if _is_parquet(path):
        table.frame.to_parquet(buffer, index=False)
    else:
        table.frame.to_csv(buffer, index=False, lineterminator="\n")
    write_atomically(path, buffer.getvalue())


def parse_csv(file: BinaryIO, *, texts: list[str] | None = None, **options: Any) -> "pd.DataFrame":
    """Return the frame in an open CSV file.

    Args:
        file: bytes in UTF-8.
        texts: columns to leave as the texts that they are; the others become numbers where all
            of their values spell numbers.
        options: more options of `pandas.read_csv`, for files of another dialect.
    """
    import pandas as pd

    dialect: dict[str, Any] = {
        "dtype": dict.fromkeys(texts or (), "category"),
        "keep_default_na": False,
        "na_values": [""],
        "skip_blank_lines": False,
        "encoding": "utf-8-sig",
        "float_precision": "round_trip",
        "low_memory": False,
    }
    frame = cast("pd.DataFrame", pd.read_csv(file, **{**dialect, **options}))
    if not isinstance(frame.index, pd.RangeIndex):
        # pandas takes the surplus fields of every line for an index, and shifts the names.
        raise ValueError("its lines have more fields than its header")
    return frame


@contextmanager
def _opened(path: str | Path) -> Generator[BinaryIO]:
    """Open a file for reading, and say in one sentence what is wrong with it."""
    try:
        with Path(path).open("rb") as file:
            yield file
    except FileNotFoundError:
        raise FileError(path, "there is no such file") from None
    except OSError as error:
        raise FileError(path, f"it cannot be read ({error.strerror or error})") from error
    except (UnicodeDecodeError, ImportError):
        raise FileError(path, "it is not a text in UTF-8") from None
    except ValueError as error:
        if type(error).__module__.startswith("dpsynth"):
            raise
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise FileError(path, f"it cannot be understood ({reason})") from error


def _parse_parquet(path: str | Path) -> "pd.DataFrame":
    import pandas as pd

    with _opened(path) as file:
        return pd.read_parquet(file)


def _is_parquet(path: str | Path) -> bool:
    suffix = Path(path).suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InvalidValueError("file name", str(path), f"one that ends in {_SUFFIXES}")
    return suffix == ".parquet"
