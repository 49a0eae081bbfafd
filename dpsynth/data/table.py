"""Records that fit their schema: checked when made, and never shown."""

from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import Column
from dpsynth.data.conform import conform
from dpsynth.data.enforcement import keeping
from dpsynth.data.schema import Schema
from dpsynth.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd


@final
class Table:
    """Validated records under a schema.

    Columns have the schema's order and dtypes: category (in the schema's order of categories),
    int64 (Int64 where values may be missing), float64. Values out of bounds have been clipped, and
    foreign categories sent to the declared one, and records that break a constraint have been left
    out, where the schema says so. The representation shows
    the schema only: no record, and not their number, which is secret under add/remove.

    Args:
        schema: the public description.
        frame: a DataFrame with exactly the schema's columns, in any order, and at least one row.

    Raises:
        UnknownNameError: a column that the schema or the frame lacks.
        DataError: no rows, a value that its column forbids, or a record that a constraint forbids.
    """

    __slots__ = ("_frame", "_schema")

    def __init__(self, *, schema: Schema, frame: "pd.DataFrame") -> None:
        import pandas as pd

        named = _check_names(schema, frame)
        if len(named) == 0:
            raise DataError(None, "no rows", "at least one is needed")
        columns = {c.name: conform(c, named[c.name]) for c in schema.columns}
        if schema.constraints:
            columns = keeping(schema, columns)
        self._schema = schema
        self._frame = pd.DataFrame(columns, copy=False)

    @classmethod
    def from_frame(cls, schema: Schema, frame: "pd.DataFrame") -> "Table":
        """Return the table of `frame`'s records; arguments and errors as of the class."""
        return cls(schema=schema, frame=frame)

    @property
    def schema(self) -> Schema:
        """The public description."""
        return self._schema

    @property
    def frame(self) -> "pd.DataFrame":
        """A copy of the records: writing to it does not reach the table."""
        return self._frame.copy()

    def values(self, name: str) -> Any:
        """Return the pandas array of one column, to read and not to write.

        Raises:
            UnknownNameError: no such column.
        """
        return self._frame[self._schema.column(name).name].array

    def __len__(self) -> int:
        return len(self._frame)

    def take(self, indices: NDArray[np.integer[Any]]) -> "Table":
        """Return the records at `indices`, in that order; at least one.

        Raises:
            DataError: no index is given, or one lies outside the table.
        """
        positions = np.asarray(indices)
        if positions.size and (positions.min() < 0 or positions.max() >= len(self)):
            raise DataError(None, "too few rows", "an index to take lies outside it")
        return Table(schema=self._schema, frame=self._frame.take(positions))

    def __repr__(self) -> str:
        columns = ", ".join(_describe(column) for column in self._schema.columns)
        return f"Table({columns})"


def _describe(column: Column) -> str:
    kind = type(column).__name__.removesuffix("Column").lower()
    return f"{column.name}: {kind}[{column.size}]"


def _check_names(schema: Schema, frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return `frame` with its columns named by texts, once each, as the schema names them."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(None, type(frame).__name__, "records come as a pandas DataFrame")
    names = [str(name) for name in frame.columns]
    for name in names:
        if names.count(name) > 1:
            raise DataError(name, "several columns of that name", "names must be unique")
    for name in schema.names:
        if name not in names:
            raise UnknownNameError("column of the table", name, names)
    for name in names:
        if name not in schema.names:
            raise UnknownNameError("column of the schema", name, schema.names)
    return frame.set_axis(names, axis="columns")
