"""Records as an attacker compares them: plain numbers, and distances between them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Column

if TYPE_CHECKING:
    from dpsynth.data.table import Table

BLOCK = 2**16
"""Distances held at a time: they stay in the processor's cache, which is several times as fast."""


def plain_records(table: "Table") -> NDArray[np.float64]:
    """Return the records as numbers: values, or positions of categories; NaN where missing.

    Attacks read values and not codes of bins: a generator that copies values gives away more than
    one that copies bins, and an attack should see the difference.

    Returns:
        One row a record, one column a column of the schema, columns contiguous.
    """
    columns = table.schema.columns
    plain = np.empty((len(table), len(columns)), order="F")
    for i, column in enumerate(columns):
        values = table.values(column.name)
        if isinstance(column, CategoricalColumn):
            plain[:, i] = np.where(values.codes < 0, np.nan, values.codes)
        else:
            plain[:, i] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return plain


def distances(
    columns: Sequence[Column], records: NDArray[np.float64], others: NDArray[np.float64]
) -> Iterator[NDArray[np.float32]]:
    """Yield distances from a chunk of `records`, in order, to all of `others`.

    Args:
        columns: the columns to compare, as many as both arrays have.
        records: plain records, one row each.
        others: plain records, one row each.

    Yields:
        Sums over columns: 0 or 1 for categories, the difference over the declared range for
        numbers; a missing value is at 1 from every other and at 0 from another missing one.

    Reference: J. Gower, A General Coefficient of Similarity and Some of Its Properties (1971).
    """
    scales = [_scale(column) for column in columns]
    here = (records * scales).astype(np.float32)
    there = np.ascontiguousarray((others * scales).T, dtype=np.float32)
    size = max(BLOCK // len(others), 1)
    for start in range(0, len(here), size):
        chunk = here[start : start + size]
        total = np.zeros((len(chunk), len(others)), dtype=np.float32)
        for i, column in enumerate(columns):
            total += _distance(column, chunk[:, i, None], there[i])
        yield total


def _scale(column: Column) -> float:
    if isinstance(column, CategoricalColumn) or column.upper == column.lower:
        return 1.0
    return 1.0 / (column.upper - column.lower)


def _distance(
    column: Column, here: NDArray[np.float32], there: NDArray[np.float32]
) -> NDArray[np.float32]:
    if isinstance(column, CategoricalColumn):
        apart = (here != there).astype(np.float32)
    else:
        apart = np.abs(here - there)
    if not column.missing:
        return apart
    absent, missing = np.isnan(here), np.isnan(there)
    return np.where(absent | missing, absent ^ missing, apart).astype(np.float32)


def record_keys(records: NDArray[np.float64]) -> NDArray[np.void]:
    """Return one key a plain record, equal where all values are; missing values equal each other.

    Args:
        records: plain records, at least one column.
    """
    # One NaN, and no negative zero: keys compare bits.
    plain = np.where(np.isnan(records), np.nan, records) + 0.0
    whole = np.ascontiguousarray(plain)
    return whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1])))[:, 0]
