"""Two neighbouring tables on which a privacy claim is hardest to keep."""

from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.domain import Domain
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Neighbouring

if TYPE_CHECKING:
    from pandas import DataFrame


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NeighbouringTables:
    """Two tables of one schema that differ in one record.

    Args:
        first: the table on which the audited fit is recorded.
        second: its neighbour.

    Raises:
        InvalidValueError: the schemas differ.
    """

    first: Table
    second: Table

    def __post_init__(self) -> None:
        if self.first.schema != self.second.schema:
            raise InvalidValueError("schema of the neighbour", self.second.schema, "the same")

    @property
    def domain(self) -> Domain:
        return self.first.schema.domain

    @property
    def digest(self) -> str:
        """SHA-256 of schema and records of both."""
        whole = sha256(self.first.schema.to_toml().encode())
        for codes in self.codes():
            whole.update(str(codes.shape).encode() + codes.astype(np.int64).tobytes())
        return whole.hexdigest()

    def codes(self) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
        """Return the encoded records of both tables."""
        codec = Codec(schema=self.first.schema)
        return codec.encode(self.first), codec.encode(self.second)


def narrow_neighbours(
    relation: Neighbouring, *, columns: int = 3, rows: int = 10
) -> NeighbouringTables:
    """Return a narrow worst case: few records, and one more that differs from all in every column.

    The loss of an additive query depends on the record that differs and not on the others, so few
    records lose no power. Under REPLACE a record moves to the opposite corner of the domain and so
    changes two cells of every marginal.

    Args:
        relation: how the tables differ.
        columns: binary columns.
        rows: records of the first table, at least 1.
    """
    import pandas as pd

    names = [f"x{i}" for i in range(columns)]
    schema = Schema(columns=tuple(CategoricalColumn(name=n, categories=("0", "1")) for n in names))

    def frame(ones: int, zeros: int) -> "DataFrame":
        return pd.DataFrame({n: ["0"] * zeros + ["1"] * ones for n in names})

    moved = relation is Neighbouring.REPLACE
    return NeighbouringTables(
        first=Table(schema=schema, frame=frame(0, rows)),
        second=Table(schema=schema, frame=frame(1, rows - moved)),
    )


def worst_cases(relation: Neighbouring) -> dict[str, NeighbouringTables]:
    """Return the narrow pairs on which every claim is tried, by name.

    `corner` is `narrow_neighbours`. `one column` leaves nothing to select, so that whoever spends
    on measurements alone there shows the whole claim; its record is removed, not added.
    `dependence` gives what is selected by misfit or dependence equal chances and opposite
    movements.
    """
    single = narrow_neighbours(relation, columns=1)
    return {
        "corner": narrow_neighbours(relation),
        "one column": NeighbouringTables(first=single.second, second=single.first),
        "dependence": dependence_neighbours(relation),
    }


def dependence_neighbours(relation: Neighbouring) -> NeighbouringTables:
    """Return 50,000 records of four binary columns, 1,500 ones in each: any two depend alike.

    By chance two columns would be 1 together in 45 records. Two pairs of columns are in 65, the
    other four in 25. One more record of ones only moves the misfit of the former up by 1 and of the
    latter down by 1, and their dependence by 1.88: a choice among them by the exponential mechanism
    tells nearly as much as it may. Ones are few since a record there moves dependence by as much
    as its values are rare. Under REPLACE the record was 1, 0, 1, 0, which moves two misfits up by 2
    and two down by 2.

    Args:
        relation: how the tables differ.
    """
    import pandas as pd

    columns = 4
    groups: list[tuple[tuple[int, ...], int]] = [((), 44_230)]  # columns that are 1, records
    groups += [((column,), 1_385) for column in range(columns)]
    for pair in combinations(range(columns), 2):
        groups.append((pair, 65 if pair in ((0, 1), (2, 3)) else 25))
    cells = [[int(c in ones) for c in range(columns)] for ones, _ in groups]
    records = np.repeat(cells, [count for _, count in groups], axis=0)
    moved = np.flatnonzero((records == (1, 0, 1, 0)).all(axis=1))[:1]
    kept = np.delete(records, moved, axis=0) if relation is Neighbouring.REPLACE else records
    more = np.concatenate([kept, np.ones((1, columns), dtype=records.dtype)])
    names = [f"x{i}" for i in range(columns)]
    schema = Schema(columns=tuple(CategoricalColumn(name=n, categories=("0", "1")) for n in names))

    def table(codes: NDArray[Any]) -> Table:
        return Table(schema=schema, frame=pd.DataFrame(codes.astype(str), columns=names))

    return NeighbouringTables(first=table(records), second=table(more))
