"""CSV as text: parsing and writing without a loss, in a few passes of Arrow.

An empty field is a missing value (so is NaN among numbers), and nothing else is: the texts NA, None
and null are values like any other, which a schema may declare as categories. Blank lines are
skipped; fields are quoted with the double quote where they must be.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table

if TYPE_CHECKING:
    import pandas as pd

# A block of 20 columns has some 100,000 rows.
_BLOCK_BYTES = 2**23
# Values that are tried before a whole block.
_FEW = 16


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


def read_csv_blocks(
    file: BinaryIO, *, names: Iterable[str], texts: Iterable[str]
) -> "Iterator[pd.DataFrame]":
    """Yield the frame in an open CSV file with a header line, in blocks of some thousand rows.

    Args:
        file: bytes in UTF-8.
        names: of the columns that are expected; the caller checks those of the frames, the first
            of which has no rows.
        texts: which of them to leave as the texts that they are; the others become in each block
            what they would become in the whole: numbers or truth values where all spell such.

    Raises:
        ValueError: the file is no such thing; Arrow says what it met.
    """
    pa, csv = import_module("pyarrow"), import_module("pyarrow.csv")
    types = dict.fromkeys(names, pa.binary())
    types |= dict.fromkeys(texts, pa.dictionary(pa.int32(), pa.string()))
    reader = csv.open_csv(
        file,
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    with reader:
        yield reader.schema.empty_table().to_pandas()
        for batch in reader:
            arrays = [_as_spelt(column) for column in batch.columns]
            yield pa.Table.from_arrays(arrays, names=batch.schema.names).to_pandas()


def _as_spelt(column: Any) -> Any:
    """Return bytes as numbers or truth values where all spell such, else as texts."""
    pa, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    if not pa.types.is_binary(column.type):
        return column
    try:
        texts = compute.cast(column, pa.string())
    except pa.ArrowInvalid:
        raise UnicodeError from None
    numbers = compute.utf8_trim(texts, " \t")  # as the texts that they are, they take long
    for spelt, kind in ((numbers, pa.int64()), (texts, pa.bool_()), (numbers, pa.float64())):
        try:
            compute.cast(spelt[:_FEW], kind)  # Arrow makes a message of each value that it refuses
            return compute.cast(spelt, kind)
        except pa.ArrowInvalid:
            continue
    return texts


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
    if not isinstance(column, CategoricalColumn):
        return pa.array(values, from_pandas=True)
    codes = pa.array(values.codes, mask=values.codes < 0)
    return pa.array([_quoted(str(c)) for c in column.categories], pa.large_string()).take(codes)


def _quoted(text: str) -> str:
    if any(mark in text for mark in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text
