"""CSV that is larger than memory: read in blocks, each understood as the whole would be."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

from dpsynth.data.csv_text import csv_options, refusal

if TYPE_CHECKING:
    import pandas as pd

# A block of 20 columns has some 100,000 rows.
_BLOCK_BYTES = 2**23
# Values that are tried before a whole block.
_FEW = 16


def read_csv_blocks(
    file: BinaryIO, *, texts: Iterable[str], numbers: Iterable[str]
) -> "Iterator[pd.DataFrame]":
    """Yield the frame in an open CSV file with a header line, in blocks of some thousand rows.

    Args:
        file: bytes in UTF-8.
        texts: columns to leave as the texts that they are.
        numbers: columns of numbers, which in a block stay texts where a value of it spells none.
            The caller checks the names of all columns in the first frame, which has no rows.

    Raises:
        ValueError: the file is no such thing, or a record has another number of fields.
    """
    pa = import_module("pyarrow")
    types = dict.fromkeys(numbers, pa.binary())
    types |= dict.fromkeys(texts, pa.dictionary(pa.int32(), pa.string()))
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        yield from _blocks(file, types, refuse)
    except ValueError as error:
        raise refusal(error, wrong, block=_BLOCK_BYTES, header=True) from error


def _blocks(
    file: BinaryIO, types: Mapping[str, Any], refuse: Callable[[Any], str]
) -> "Iterator[pd.DataFrame]":
    pa, csv = import_module("pyarrow"), import_module("pyarrow.csv")
    with csv.open_csv(file, **csv_options(types, block=_BLOCK_BYTES, refuse=refuse)) as reader:
        yield reader.schema.empty_table().to_pandas()
        for batch in reader:
            arrays = [_as_spelt(column) for column in batch.columns]
            yield pa.Table.from_arrays(arrays, names=batch.schema.names).to_pandas()


def _as_spelt(column: Any) -> Any:
    """Return bytes as numbers where all spell such, else as texts."""
    pa, compute = import_module("pyarrow"), import_module("pyarrow.compute")
    if not pa.types.is_binary(column.type):
        return column
    texts = compute.cast(column, pa.string())
    numbers = compute.utf8_trim(texts, " \t")
    try:
        # Arrow makes a message of each value that it refuses: a few are tried first.
        compute.cast(numbers[:_FEW], pa.float64())
        return compute.cast(numbers, pa.float64())
    except pa.ArrowInvalid:
        return texts
