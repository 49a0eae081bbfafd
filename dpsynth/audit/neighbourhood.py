"""All kinds of neighbours of one table, with the record that differs at the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError
from dpsynth.privacy.budget import Budget, Neighbouring

if TYPE_CHECKING:
    from pandas import DataFrame


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbour:
    """A table that differs from another in one unit.

    Args:
        how: "added", "removed" or "replaced", and by what.
        table: the neighbour.
    """

    how: str
    table: Table


def neighbourhood(table: Table, budget: Budget, *, rng: np.random.Generator) -> Iterator[Neighbour]:
    """Yield neighbours of `table` under the budget's relation and unit.

    The unit that comes or changes has as many rows as it may have, all in the lowest corner of the
    domain, or all in the highest, or equal to the first record: corners may be values that no
    other record has. The unit that goes or changes is the last row.

    Args:
        table: at least two records, of which the last is a unit of its own.
        budget: says which tables are neighbours.
        rng: source of values within a code, of which any will do.
    """
    frame, units = table.frame, table.units
    rows, k = len(table), budget.max_rows_per_unit
    kept = np.arange(rows - 1)
    removes = budget.relation is Neighbouring.ADD_REMOVE
    if removes:
        yield Neighbour(how="a record removed", table=table.take(kept))
    verb, stay = ("added", rows) if removes else ("replaced", rows - 1)
    for what, record in _corners(table, rng):
        try:
            other = _extended(table.schema, frame[:stay], record, units, times=k)
        except DataError:
            continue  # a corner that the constraints rule out is nobody's record
        if len(other) == stay + k:
            yield Neighbour(how=f"a record {verb}: {what}", table=other)


def _corners(table: Table, rng: np.random.Generator) -> "Iterator[tuple[str, DataFrame]]":
    codec = Codec(schema=table.schema)
    lowest = np.zeros((1, len(codec.schema.domain.shape)), dtype=np.int64)
    highest = np.array([codec.schema.domain.shape], dtype=np.int64) - 1
    for what, codes in (("the lowest corner", lowest), ("the highest corner", highest)):
        yield what, codec.decode(codes, rng=rng).frame
    yield "as the first", table.frame[:1]


def _extended(
    schema: Schema,
    kept: "DataFrame",
    record: "DataFrame",
    units: NDArray[np.int64] | None,
    *,
    times: int,
) -> Table:
    import pandas as pd

    frame = pd.concat([kept, *[record] * times], ignore_index=True)
    for name in frame.columns:  # categories of equal columns stay as they are
        frame[name] = frame[name].astype(kept[name].dtype)
    if units is not None:
        new = np.full(times, units.max() + 1)
        units = np.concatenate([units[: len(kept)], new])
    return Table.from_frame(schema, frame, units=units)
