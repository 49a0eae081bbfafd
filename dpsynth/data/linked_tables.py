"""Units and their events, checked and turned into the two tables that generators are fitted to."""

from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.identity import identities
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd


@final
class LinkedTables:
    """The records of units and events under a linked schema.

    Stability: a row of `starts` is a function of one unit and its events, a row of `transitions`
    too. One unit more, or another in its place, therefore adds or changes one row of the former,
    and of the latter as many as it has events but one, of which a curator keeps `max_rows_per_unit`
    (see `curator.unit.kept_rows`).

    Args:
        schema: the public description.
        events: one row an event: the identifier and the schema's columns.
        units: one row a unit, as above; None exactly where the schema has no units.

    Raises:
        UnknownNameError: a column that the schema or a frame lacks.
        DataError: no rows, a value that its column forbids, a missing identifier, a unit that
            occurs twice, an event of a unit that does not occur, or no unit with two events.
    """

    __slots__ = ("_schema", "_starts", "_transitions")

    def __init__(
        self, *, schema: LinkedSchema, events: "pd.DataFrame", units: "pd.DataFrame | None" = None
    ) -> None:
        happened = _identified(schema.events, schema.key, events)
        owner, known = identities(schema.key, events[schema.key])
        if schema.units is not None:
            if units is None:
                raise DataError(None, "no units", "the schema has columns of units")
            own = _identified(schema.units, schema.key, units)
            owner = _owners(schema.key, owner, known, units)
            total = len(units)
        else:
            if units is not None:
                raise DataError(None, "units", "the schema has no columns of units")
            own, total = None, len(known)
        times = np.zeros(len(owner))
        if schema.time is not None:
            times = happened.values(schema.time).to_numpy(dtype=np.float64)
        order = np.lexsort((times, owner))
        self._schema = schema
        self._starts = _starts(schema, own, happened.take(order), owner[order], total)
        self._transitions = _transitions(
            schema, self._starts, happened.take(order), owner[order], times[order]
        )

    @property
    def schema(self) -> LinkedSchema:
        """The public description."""
        return self._schema

    @property
    def starts(self) -> Table:
        """One row a unit, with the number of its events and the first; under `schema.starts`."""
        return self._starts

    @property
    def transitions(self) -> Table:
        """One row an event that has one before it; under `schema.transitions`."""
        return self._transitions

    def __repr__(self) -> str:
        return f"LinkedTables({self._starts!r}, {self._transitions!r})"


def _identified(schema: Schema, key: str, frame: "pd.DataFrame") -> Table:
    if key not in frame:
        raise UnknownNameError("column of the table", key, [str(name) for name in frame.columns])
    return Table(schema=schema, frame=frame.drop(columns=key))


def _owners(
    key: str, owner: NDArray[np.int64], known: list[str], units: "pd.DataFrame"
) -> NDArray[np.int64]:
    """Return the row of `units` that each event belongs to."""
    rows, names = identities(key, units[key])
    if len(names) < len(rows):
        twice = names[int(np.flatnonzero(np.bincount(rows) > 1)[0])]
        raise DataError(key, twice, "each unit has one row in the table of units")
    places = {name: i for i, name in enumerate(names)}
    for name in known:
        if name not in places:
            raise DataError(key, name, "each event belongs to a unit in the table of units")
    return np.array([places[name] for name in known], dtype=np.int64)[owner]


def _starts(
    schema: LinkedSchema, own: Table | None, events: Table, owner: NDArray[np.int64], total: int
) -> Table:
    """Return the units with the number of their events, which are sorted, and the first."""
    import pandas as pd

    columns = {} if own is None else {name: own.values(name) for name in own.schema.names}
    columns[schema.number] = np.bincount(owner, minlength=total)
    frame = pd.DataFrame(columns)
    begins = np.flatnonzero(_first(owner))
    for column, name in schema.names.first.items():
        values = pd.Series(events.values(column).take(begins), index=owner[begins])
        frame[name] = values.reindex(frame.index)
    frame[schema.key] = np.arange(total)
    return Table.from_ticks(schema.starts, frame)


def _transitions(
    schema: LinkedSchema,
    starts: Table,
    events: Table,
    owner: NDArray[np.int64],
    times: NDArray[np.float64],
) -> Table:
    """Return the events, which are sorted, that have one before them, with what they follow."""
    import pandas as pd

    names, first = schema.names, _first(owner)
    after = np.flatnonzero(~first)
    if not len(after):
        raise DataError(None, "no unit with two events", "what follows what is learnt from them")
    begins = np.flatnonzero(first)
    columns: dict[str, Any] = {
        name: starts.values(column).take(owner[after]) for column, name in names.unit.items()
    }
    columns[names.position] = (np.arange(len(owner)) - begins[np.cumsum(first) - 1])[after]
    for column in schema.values:
        columns[column.name] = events.values(column.name).take(after)
    for column, name in names.previous.items():
        columns[name] = events.values(column).take(after - 1)
    if schema.time is not None:
        columns[names.gap] = times[after] - times[after - 1]
    columns[schema.key] = owner[after]
    return Table.from_ticks(schema.transitions, pd.DataFrame(columns))


def _first(owner: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the events, sorted by owner, are the first of their unit."""
    first = np.ones(len(owner), dtype=np.bool_)
    first[1:] = np.diff(owner) != 0
    return first
