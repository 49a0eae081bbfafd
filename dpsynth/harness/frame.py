"""Rows as a table: a DataFrame in memory, a Parquet file on the disk."""

from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.atomic import opened_atomically
from dpsynth.harness.row import CLAIM, COLUMNS, Row

if TYPE_CHECKING:
    import pyarrow as pa
    from pandas import DataFrame
    from pyarrow.dataset import Dataset

_DTYPES: dict[Any, str] = {
    float: "float64",
    float | None: "float64",
    int: "Int64",
    int | None: "Int64",
    bool | None: "boolean",
}
_AT_A_TIME = 20_000  # rows that are held as Python values while a file is written


def to_frame(rows: Iterable[Row]) -> "DataFrame":
    """Return `rows` as a DataFrame whose columns and types do not depend on what is missing."""
    import pandas as pd

    values = [[getattr(r, c) for c in COLUMNS] for r in rows]
    return typed(pd.DataFrame(values, columns=list(COLUMNS)))


def typed(frame: "DataFrame") -> "DataFrame":
    """Return `frame` with every column of a row, in its type; what it lacks is empty."""
    frame = frame.reindex(columns=list(COLUMNS))
    for name in COLUMNS:
        dtype: Any = _dtype(name)
        frame[name] = frame[name].astype(dtype)
    return frame


def read_parquet(path: Path) -> "DataFrame":
    """Return the rows that `write_parquet` wrote; an older version's lack columns."""
    import pandas as pd

    return typed(pd.read_parquet(path))


def write_parquet(rows: Iterable[Row], path: Path) -> None:
    """Write `rows` to `path`, a part at a time.

    Raises:
        FileError: the disk is full; nothing was changed.
    """
    import pyarrow.parquet as pq

    left = iter(rows)
    with opened_atomically(path) as handle, pq.ParquetWriter(handle, _schema()) as writer:
        while part := list(islice(left, _AT_A_TIME)):
            writer.write_table(to_arrow(part))


def parquet_dataset(path: Path) -> "Dataset":
    """Return the rows that `write_parquet` wrote, not read yet; what an older file lacks is empty.

    Args:
        path: the file.
    """
    from pyarrow.dataset import dataset

    return dataset(path, format="parquet", schema=_schema())


def to_arrow(rows: Iterable[Row]) -> "pa.Table":
    """Return `rows` as an Arrow table."""
    import pyarrow as pa

    held = list(rows)
    columns = {c: [getattr(row, c) for row in held] for c in COLUMNS}
    return pa.table(columns, schema=_schema())


@cache
def _schema() -> "pa.Schema":
    import pyarrow as pa

    types = {"float64": pa.float64(), "Int64": pa.int64(), "boolean": pa.bool_()}
    few = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [(c, few if c in CLAIM else types.get(_dtype(c), pa.string())) for c in COLUMNS]
    )


def _dtype(name: str) -> str:
    # Sentences of a claim are long and few: each is held once.
    return "category" if name in CLAIM else _DTYPES.get(Row.__annotations__[name], "string")
