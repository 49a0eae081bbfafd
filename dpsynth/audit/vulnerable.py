"""Pairs of tables from a user's own: the records that are most exposed, and a schema's worst case.

What is rare is hard to hide: a record is exposed where its values are rare and no other is near.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.neighbours import NeighbouringTables
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Neighbouring

_SHORTLIST = 300


def vulnerable_records(table: Table, count: int) -> NDArray[np.intp]:
    """Return the row numbers of the `count` most exposed records, the most exposed first.

    The records whose values are rarest (product of the frequencies of the columns) are shortlisted;
    of these, the ones come first that differ from their nearest other record in most columns.

    Args:
        table: records.
        count: how many, at least 1 and fewer than there are records.

    Raises:
        InvalidValueError: a count out of range.

    Reference: Meeus, Guepin, Cretu & de Montjoye 2023 (vulnerable-record search by distance).
    """
    codes = Codec(schema=table.schema).encode(table)
    if not 1 <= count < len(codes):
        rule = f"from 1 to {len(codes) - 1}, one fewer than there are records"
        raise InvalidValueError("records", count, rule)
    rarity = np.zeros(len(codes))
    for column in codes.T:
        seen = np.bincount(column.astype(np.int64))
        rarity -= np.log(seen[column] / len(codes))
    shortlist = np.argsort(-rarity, kind="stable")[: max(_SHORTLIST, count)]
    away = np.array([_nearest(codes, row) for row in shortlist])
    return shortlist[np.lexsort((-rarity[shortlist], -away))][:count]


def _nearest(codes: NDArray[Any], row: int) -> int:
    """Return in how many columns a record differs from the nearest other one."""
    differ = (codes != codes[row]).sum(axis=1)
    differ[row] = codes.shape[1]
    return int(differ.min())


def vulnerable_pairs(
    table: Table, relation: Neighbouring, *, count: int = 1
) -> dict[str, NeighbouringTables]:
    """Return a pair for each of the most exposed records of a table, by name.

    Under ADD_REMOVE the record is added to the others; under REPLACE it takes the place of a copy
    of the record that is most ordinary.

    Args:
        table: records.
        relation: how the tables differ.
        count: how many records.

    Raises:
        InvalidValueError: as of `vulnerable_records`.
    """
    rows = np.arange(len(table))
    exposed = vulnerable_records(table, count)
    pairs: dict[str, NeighbouringTables] = {}
    ordinary = _most_ordinary(table) if relation is Neighbouring.REPLACE else None
    for rank, row in enumerate(exposed, start=1):
        without = np.delete(rows, row)
        first = without if ordinary is None else np.append(without, ordinary)
        name = f"vulnerable record {rank}"
        pairs[name] = NeighbouringTables(
            first=table.take(first), second=table.take(np.append(without, row))
        )
    return pairs


def _most_ordinary(table: Table) -> int:
    codes = Codec(schema=table.schema).encode(table)
    common = np.zeros(len(codes))
    for column in codes.T:
        seen = np.bincount(column.astype(np.int64))
        common += np.log(seen[column])
    return int(np.argmax(common))


def schema_pair(
    schema: Schema, relation: Neighbouring, *, rows: int = 10, rng: np.random.Generator
) -> NeighbouringTables:
    """Return the worst case under a schema: equal records, and one unlike them in every column.

    Args:
        schema: public.
        relation: how the tables differ.
        rows: records of the first table, at least 2.
        rng: of values within bins.
    """
    sizes = np.array(schema.domain.shape)
    alike = np.zeros((rows, sizes.size), dtype=np.int64)
    kept = alike[1:] if relation is Neighbouring.REPLACE else alike
    codec = Codec(schema=schema)
    first = codec.decode(alike, rng=rng)
    other = codec.decode(np.concatenate([kept, (sizes - 1)[None]]), rng=rng)
    return NeighbouringTables(first=first, second=other)
