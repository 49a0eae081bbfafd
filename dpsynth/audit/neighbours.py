"""Two neighbouring tables on which a privacy claim is hardest to keep."""

from dataclasses import dataclass
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
