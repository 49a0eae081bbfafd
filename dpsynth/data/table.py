"""Records that fit their schema: checked when made, and never shown."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import Column, IntegerColumn
from dpsynth.data.conform import conform
from dpsynth.data.enforcement import keeping
from dpsynth.data.identity import unit_numbers
from dpsynth.data.presenting import presented
from dpsynth.data.schema import Schema
from dpsynth.errors import DataError, NoRecordsError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd


@final
class Table:
    """Validated records under a schema.

    Columns have the schema's order. Inside they are categorical (in the schema's order), int64
    (Int64 where values may be missing; times are ticks) or float64. Values out of bounds have been
    clipped, foreign categories sent to the declared one, and records that break a constraint left
    out, where the schema says so. The representation shows the schema only: no record, and not
    their number, which is secret under add/remove.

    Args:
        schema: the public description.
        frame: a DataFrame with exactly the schema's columns, in any order, and at least one row.
            It may have one column more, which identifies the schema's unit of privacy: it says
            which rows belong together, and is no column of the table.
        units: a number for each row of `frame`, where it is known already which belong together:
            a table's values tell no more than its schema, which may merge identifiers.

    Raises:
        UnknownNameError: a column that the schema or the frame lacks.
        DataError: no rows, a value that its column forbids, a missing identifier, or a record that
            a constraint forbids.
    """

    __slots__ = ("_frame", "_schema", "_units")

    def __init__(
        self, *, schema: Schema, frame: "pd.DataFrame", units: NDArray[np.int64] | None = None
    ) -> None:
        import pandas as pd

        named = check_names(schema.names, frame, unit=schema.unit)
        if len(named) == 0:
            raise NoRecordsError()
        # Before values are clipped or merged: two people must not become one.
        self._units = unit_numbers(schema.unit, named) if units is None else units
        columns = {c.name: conform(c, named[c.name]) for c in schema.columns}
        kept = keeping(schema, columns) if schema.constraints else None
        if kept is not None:
            columns = {name: array[kept] for name, array in columns.items()}
            self._units = None if self._units is None else self._units[kept]
        self._schema = schema
        self._frame = pd.DataFrame(columns, copy=False)

    @classmethod
    def from_frame(
        cls, schema: Schema, frame: "pd.DataFrame", *, units: NDArray[np.int64] | None = None
    ) -> "Table":
        """Return the table of `frame`'s records; arguments and errors as of the class."""
        return cls(schema=schema, frame=frame, units=units)

    @classmethod
    def canonical(cls, schema: Schema, columns: "Mapping[str, Any]") -> "Table":
        """Return the table of arrays that `conform` made, or a codec; they are not checked again.

        Args:
            schema: the public description.
            columns: name -> array, in the schema's order and of one length.

        Raises:
            DataError: no rows.
        """
        import pandas as pd

        table = cls.__new__(cls)
        table._schema, table._units = schema, None
        table._frame = pd.DataFrame(columns, copy=False)
        if len(table._frame) == 0:
            raise NoRecordsError()
        return table

    @classmethod
    def from_ticks(cls, schema: Schema, frame: "pd.DataFrame") -> "Table":
        """Return the table of a frame whose times are ticks already, as `values` has them.

        Arguments and errors are otherwise as of the class.
        """
        counted = [
            replace(column, clock=None) if isinstance(column, IntegerColumn) else column
            for column in schema.columns
        ]
        table = cls(schema=replace(schema, columns=tuple(counted)), frame=frame)
        table._schema = schema
        return table

    @property
    def schema(self) -> Schema:
        """The public description."""
        return self._schema

    @property
    def frame(self) -> "pd.DataFrame":
        """A copy of the records, in the dtypes that their columns declare."""
        import pandas as pd

        columns = {c.name: presented(c, self._frame[c.name].array) for c in self._schema.columns}
        return pd.DataFrame(columns, copy=True)

    @property
    def units(self) -> NDArray[np.int64] | None:
        """A number for each row, the same for rows of the same unit; None where the records carry
        no identifier.

        Raises:
            DataError: a missing identifier, in a table that was made of codes.
        """
        if self._units is None:
            self._units = unit_numbers(self._schema.unit, self._frame)
        return self._units

    def values(self, name: str) -> Any:
        """Return the pandas array of one column as it is kept, to read and not to write.

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
        taken = self._frame.take(positions).reset_index(drop=True)
        table = Table.canonical(self._schema, {n: taken[n].array for n in self._schema.names})
        table._units = None if self._units is None else self._units[positions]
        return table

    def __repr__(self) -> str:
        columns = ", ".join(_describe(column) for column in self._schema.columns)
        return f"Table({columns})"


def _describe(column: Column) -> str:
    kind = type(column).__name__.removesuffix("Column").lower()
    return f"{column.name}: {kind}[{column.size}]"


def check_names(
    expected: Sequence[str], frame: "pd.DataFrame", *, unit: str = "record"
) -> "pd.DataFrame":
    """Return `frame` with its columns named by texts, once each, as a schema names them.

    Args:
        expected: names of the columns.
        frame: the records.
        unit: name of a further column that may be there; "record": none.

    Raises:
        UnknownNameError: a column that the schema or the frame lacks.
        DataError: several columns of one name.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DataError(None, type(frame).__name__, "records come as a pandas DataFrame")
    names = [str(name) for name in frame.columns]
    times, declared = Counter(names), set(expected)
    if "" in times:
        rule = "each must have one (pandas writes its index so, unless index=False)"
        raise DataError(None, "a column without a name", rule)
    for name in names:
        if times[name] > 1:
            raise DataError(name, "several columns of that name", "names must be unique")
    for name in expected:
        if name not in times:
            raise UnknownNameError("column of the table", name, names)
    for name in names:
        if name not in declared and (name != unit or unit == "record"):
            raise UnknownNameError("column of the schema", name, expected)
    return frame.set_axis(names, axis="columns")
