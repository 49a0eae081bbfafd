"""Small tables for tests: integer codes under a schema made from sizes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.data.schema import IntegerColumn, Schema
from dpsynth.data.table import Table


def coded_schema(sizes: Sequence[int], **fields: Any) -> Schema:
    """Return a schema of columns c0, c1, ... whose values are the codes 0 .. size - 1."""
    columns = tuple(
        IntegerColumn(name=f"c{i}", lower=0, upper=size - 1) for i, size in enumerate(sizes)
    )
    return Schema(columns=columns, **fields)


def coded_table(codes: NDArray[np.integer[Any]], sizes: Sequence[int], **fields: Any) -> Table:
    """Return the table of n x d `codes` under `coded_schema`."""
    schema = coded_schema(sizes, **fields)
    return Table.from_frame(schema, pd.DataFrame(codes, columns=list(schema.names)))


def dependent_codes(
    n: int, sizes: Sequence[int], *, rng: np.random.Generator
) -> NDArray[np.integer[Any]]:
    """Return codes of skewed columns, each of which often follows the one before."""
    codes = np.empty((n, len(sizes)), dtype=np.int64)
    previous = rng.random(n)
    for i, size in enumerate(sizes):
        fresh = rng.beta(0.7, 1.5, n)
        previous = np.where(rng.random(n) < 0.6, previous, fresh)
        codes[:, i] = np.minimum((previous * size).astype(np.int64), size - 1)
    return codes
