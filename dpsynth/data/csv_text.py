"""CSV as text: parsing and writing without a loss, in a few passes of Arrow.

An empty field is a missing value (so is NaN among numbers), and nothing else is: the texts NA, None
and null are values like any other, which a schema may declare as categories. Blank lines are
skipped; fields are quoted with the double quote where they must be.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from dpsynth.data.columns import CategoricalColumn, IntegerColumn
from dpsynth.data.presenting import time_texts
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table

if TYPE_CHECKING:
    import pandas as pd


BLOCK = 2**28
"""Bytes that are parsed together once smaller blocks have failed: no record is longer."""

MANY_TEXTS = 2**16
"""So many distinct texts are no longer kept apart from the records that hold them."""


def parse_csv(
    file: BinaryIO,
    *,
    texts: Iterable[str] = (),
    numbers: Iterable[str] = (),
    names: Sequence[str] | None = None,
    missing: Sequence[str] = ("",),
) -> "pd.DataFrame":
    """Return the frame in an open CSV file.

    Args:
        file: bytes in UTF-8, in a regular file or in memory.
        texts: columns to leave as the texts that they are.
        numbers: columns of numbers, which stay texts when a value spells none. The rest become
            numbers or truth values where all of their values spell such.
        names: names of the columns, for a file without a header line.
        missing: the fields that stand for a missing value.

    Raises:
        ValueError: it holds no records, or a record has another number of fields; says which.
    """
    # By name, since Arrow has no types to check against.
    pa = import_module("pyarrow")
    text, spelt = pa.dictionary(pa.int32(), pa.string()), tuple(numbers)
    types = dict.fromkeys(texts, text) | dict.fromkeys(spelt, pa.float64())
    parse = _parsed
    try:
        table = parse(file, types, names, missing)
    except ValueError:
        types |= dict.fromkeys(spelt, pa.string())
        parse = _parsed_slowly
        table = parse(file, types, names, missing)
    dates = [field.name for field in table.schema if pa.types.is_temporal(field.type)]
    if dates:
        # Arrow recognises dates, for which no kind of column exists yet: they stay texts.
        table = parse(file, types | dict.fromkeys(dates, text), names, missing)
    return _without_large_dictionaries(table).to_pandas()


def _parsed_slowly(
    file: BinaryIO, types: Mapping[str, Any], names: Sequence[str] | None, missing: Sequence[str]
) -> Any:
    """Parse in few blocks and one thread, so that long fields fit and records are numbered."""
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        return _parsed(file, types, names, missing, block=BLOCK, refuse=refuse)
    except ValueError as error:
        raise refusal(error, wrong, block=BLOCK, header=names is None) from error


def refusal(error: Exception, wrong: Sequence[Any], *, block: int, header: bool) -> ValueError:
    """Return what Arrow's error means.

    Args:
        error: what it raised.
        wrong: the records of another number of fields that it was told to refuse.
        block: bytes that are parsed together.
        header: whether the first line names the columns.
    """
    if not wrong and "Empty CSV" in str(error):
        return ValueError("it must hold a header line and at least one record")
    if not wrong:
        return ValueError(f"it is no CSV, or has a record of over {block} bytes")
    row = wrong[0]
    how = "fewer" if row.actual_columns < row.expected_columns else "more"
    which = "a record" if row.number is None else f"record {row.number - header}"
    return ValueError(
        f"{which} has {how} fields ({row.actual_columns}) "
        f"than the header line ({row.expected_columns})"
    )


def _parsed(
    file: BinaryIO,
    types: Mapping[str, Any],
    names: Sequence[str] | None,
    missing: Sequence[str],
    *,
    block: int | None = None,
    refuse: Callable[[Any], str] | None = None,
) -> Any:
    options = csv_options(types, names=names, missing=missing, block=block, refuse=refuse)
    return import_module("pyarrow.csv").read_csv(_source(file), **options)


def csv_options(
    types: Mapping[str, Any],
    *,
    names: Sequence[str] | None = None,
    missing: Sequence[str] = ("",),
    block: int | None = None,
    refuse: Callable[[Any], str] | None = None,
) -> dict[str, Any]:
    """Return how Arrow is to read CSV, whole or in blocks.

    Args:
        types: Arrow's, of the columns where they are known.
        names: of the columns, for a file without a header line.
        missing: the fields that stand for a missing value.
        block: bytes that are parsed together; None: as Arrow has it.
        refuse: told of a record of another number of fields, whose position is known in one thread.
    """
    csv = import_module("pyarrow.csv")
    return {
        "read_options": csv.ReadOptions(
            column_names=names, block_size=block, use_threads=refuse is None
        ),
        "parse_options": csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
        "convert_options": csv.ConvertOptions(
            column_types=types,
            null_values=list(missing),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    }


def _source(file: BinaryIO) -> Any:
    """Return what Arrow reads the whole of a file from. After an error its threads may go on
    reading what they were given for a while, so that every attempt has a place of its own."""
    pa = import_module("pyarrow")
    if isinstance(file, BytesIO):
        return pa.BufferReader(file.getvalue())
    return pa.OSFile(file.name)


def _without_large_dictionaries(table: Any) -> Any:
    """Return `table` with plain texts where nearly each is another: a dictionary of them all would
    take far more time and memory than they do."""
    pa = import_module("pyarrow")
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            column = table.column(i)
            distinct = sum(len(chunk.dictionary) for chunk in column.chunks)
            if distinct > max(MANY_TEXTS, len(column) // 4):
                table = table.set_column(i, field.name, column.cast(pa.string()))
    return table


def csv_header(schema: Schema) -> bytes:
    """Return the line that names the columns."""
    return (",".join(_quoted(name) for name in schema.names) + "\n").encode()


def csv_lines(table: Table) -> Any:
    """Return the records of `table` as lines of CSV in UTF-8: a buffer of bytes.

    Numbers are the shortest texts that are read back as the same numbers.
    """
    pa, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    text, join = pa.large_string(), compute.binary_join_element_wise
    names = table.schema.names
    # A line must not be blank, so that a lone missing value is written as a quoted empty field.
    empty = pa.scalar('""' if len(names) == 1 else "", text)
    fields = [compute.fill_null(compute.cast(_texts(table, name), text), empty) for name in names]
    fields[-1] = join(fields[-1], pa.scalar("\n", text), pa.scalar("", text))
    lines = join(*fields, pa.scalar(",", text))
    # Texts of an array lie one behind the other in its last buffer: the file is there already.
    length = compute.sum(compute.binary_length(lines)).as_py()
    return lines.buffers()[2].slice(0, length)


def _texts(table: Table, name: str) -> Any:
    """Return the values of a column as an Arrow array, missing ones null."""
    pa = import_module("pyarrow")
    column, values = table.schema.column(name), table.values(name)
    if isinstance(column, IntegerColumn) and column.clock is not None:
        texts = [None if t is None else _quoted(t) for t in time_texts(column, values)]
        return pa.array(texts, pa.large_string())
    if not isinstance(column, CategoricalColumn):
        return pa.array(values, from_pandas=True)
    codes = pa.array(values.codes, mask=values.codes < 0)
    return pa.array([_quoted(str(c)) for c in column.categories], pa.large_string()).take(codes)


def _quoted(text: str) -> str:
    # What begins a file is taken for a byte order mark unless a quote stands before it.
    if any(mark in text for mark in ',"\n\r') or text.startswith("\ufeff"):
        return '"' + text.replace('"', '""') + '"'
    return text
