"""Tables in CSV and Parquet files: read under a schema, and written whole or not at all.

In a CSV file an empty field is a missing value (so is NaN among numbers), and nothing else is: the
texts NA, None and null are values like any other, which a schema may declare as categories. Blank
lines are skipped; fields are quoted with the double quote.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from csv import QUOTE_MINIMAL, QUOTE_NONNUMERIC
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dpsynth.atomic import write_atomically
from dpsynth.data.columns import CategoricalColumn
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
    buffer = BytesIO()
    if _is_parquet(path):
        table.frame.to_parquet(buffer, index=False)
    else:
        quoting = QUOTE_NONNUMERIC if _has_carriage_return(table.schema) else QUOTE_MINIMAL
        table.frame.to_csv(buffer, index=False, lineterminator="\n", quoting=quoting)
    write_atomically(path, buffer.getvalue())


def parse_csv(
    file: BinaryIO,
    *,
    texts: Iterable[str] = (),
    names: Sequence[str] | None = None,
    missing: Sequence[str] = ("",),
) -> "pd.DataFrame":
    """Return the frame in an open CSV file.

    Args:
        file: bytes in UTF-8, which can be read twice.
        texts: columns to leave as the texts that they are; the others become numbers or truth
            values where all of their values spell such.
        names: names of the columns, for a file without a header line.
        missing: the fields that stand for a missing value.

    Raises:
        ValueError: the file is no such thing; Arrow says what it met.
    """
    # By name, since Arrow has no types to check against.
    pa, csv = import_module("pyarrow"), import_module("pyarrow.csv")
    text = pa.dictionary(pa.int32(), pa.string())
    types = dict.fromkeys(texts, text)

    def read() -> Any:
        return csv.read_csv(
            file,
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=types,
                null_values=list(missing),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )

    table = read()
    if any(pa.types.is_binary(field.type) for field in table.schema):
        raise UnicodeError
    dates = [field.name for field in table.schema if pa.types.is_temporal(field.type)]
    if dates:
        # Arrow recognises dates, for which no kind of column exists yet: they stay texts.
        types |= dict.fromkeys(dates, text)
        file.seek(0)
        table = read()
    return table.to_pandas()


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


def _has_carriage_return(schema: Schema) -> bool:
    """Return whether a text holds a lone carriage return, which the writer would not quote."""
    texts = list(schema.names)
    for column in schema.columns:
        if isinstance(column, CategoricalColumn):
            texts += [str(category) for category in column.categories]
    return any("\r" in text for text in texts)
