"""Events of given units, drawn one after the other from the model of transitions."""

from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import Column, FloatColumn, IntegerColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.completion import Completion

if TYPE_CHECKING:
    import pandas as pd

Codes: TypeAlias = NDArray[np.integer[Any]]


@final
class EventSampler:
    """Draws the events of units: a Markov chain of order 1, given what the unit is.

    First events and their times come with the units. The next events of all units are then drawn
    together, each from the model's exact law given its unit's columns and number of events, its
    position, and the event before with its time. The time since that event is drawn with them, and
    is never so long that the events to come would not fit into the bounds of time.

    Args:
        schema: the public description.
        fitted: the model under `schema.transitions`; its columns say how values spread within bins.
    """

    def __init__(self, schema: LinkedSchema, fitted: GraphicalSyntheticModel) -> None:
        self._schema, self._domain = schema, fitted.model.domain
        self._values = tuple(c.name for c in schema.values)
        self._drawn = tuple(fitted.schema.column(name) for name in self._values)
        self._completion = Completion(fitted.model, schema.given)
        self._clock = None
        if schema.time is not None:
            self._clock = _Clock(schema, fitted.schema.column(schema.names.gap))

    def draw(self, units: Table, *, rng: np.random.Generator) -> "pd.DataFrame":
        """Return the events of `units`, by unit and in order of time.

        Args:
            units: at least one row, under `schema.starts`.
            rng: source of the draws.

        Returns:
            A column of the schema's name for the identifier, which holds the position of a unit in
            `units`, and the schema's columns of events.
        """
        schema, names = self._schema, self._schema.names
        number = units.values(schema.number).to_numpy(dtype=np.int64)
        owner = np.flatnonzero(number > 0)
        if not len(owner):
            return _empty(schema)
        first = _first_events(schema, units, owner, self._clock, rng=rng)
        rows = self._rows(units, owner)
        if self._values:
            own = Table(schema=_only(schema.values), frame=first.frame[list(self._values)])
            self._set(rows, self._values, Codec(schema=own.schema).encode(own))
        times = np.zeros(len(owner))
        if schema.time is not None:
            times = first.values(schema.time).to_numpy(dtype=np.float64)
        drawn = [(owner, self._of(rows, self._values), times)]
        for position in range(1, int(number.max())):
            more = number[owner] > position
            owner, rows, times = owner[more], rows[more], times[more]
            self._set(rows, [names.previous[c] for c in self._values], self._of(rows, self._values))
            rows[:, self._axis(names.position)] = position - 1
            rows, times = self._next(rows, times, number[owner] - position - 1, rng=rng)
            drawn.append((owner, self._of(rows, self._values), times))
        return self._frame(drawn, rng=rng)

    def _rows(self, units: Table, owner: NDArray[np.intp]) -> Codes:
        """Return rows that say what the units are, and nothing else yet."""
        sizes, names = self._domain.sizes, self._schema.names
        codes = Codec(schema=self._schema.starts).encode(units)[owner, : len(names.unit)]
        dtype = np.min_scalar_type(max(sizes.values()) - 1)
        rows = np.zeros((len(owner), len(sizes)), dtype=dtype)
        self._set(rows, list(names.unit.values()), codes)
        return rows

    def _next(
        self,
        rows: Codes,
        times: NDArray[np.float64],
        left: NDArray[np.int64],
        *,
        rng: np.random.Generator,
    ) -> tuple[Codes, NDArray[np.float64]]:
        """Return rows with the event that follows, and its time; `left` will come after it."""
        clock, names = self._clock, self._schema.names
        if clock is None or self._schema.time is None:
            return self._completion.draw(rows, rng=rng), times
        rows[:, self._axis(names.previous[self._schema.time])] = clock.codes(times)
        latest = clock.latest(left)
        allowed = {names.gap: clock.allowed(times, latest)}
        drawn = self._completion.draw(rows, rng=rng, allowed=allowed)
        return drawn, clock.after(times, drawn[:, self._axis(names.gap)], latest, rng=rng)

    def _axis(self, attribute: str) -> int:
        return self._domain.axes((attribute,))[0]

    def _of(self, rows: Codes, attributes: "tuple[str, ...]") -> Codes:
        return rows[:, self._domain.axes(attributes)]

    def _set(self, rows: Codes, attributes: "list[str] | tuple[str, ...]", codes: Codes) -> None:
        rows[:, self._domain.axes(attributes)] = codes

    def _frame(
        self,
        drawn: list[tuple[NDArray[np.intp], Codes, NDArray[np.float64]]],
        *,
        rng: np.random.Generator,
    ) -> "pd.DataFrame":
        """Return drawn events as values, sorted by unit."""
        import pandas as pd

        schema = self._schema
        owner = np.concatenate([part for part, _, _ in drawn])
        order = np.argsort(owner, kind="stable")
        key = schema.key
        columns: dict[str, Any] = {key: owner[order]}
        if self._values:
            codes = np.concatenate([part for _, part, _ in drawn])[order]
            decoded = Codec(schema=_only(self._drawn)).decode(codes, rng=rng)
            columns |= {name: decoded.values(name) for name in self._values}
        if schema.time is not None:
            times = np.concatenate([part for _, _, part in drawn])[order]
            whole = isinstance(schema.events.column(schema.time), IntegerColumn)
            columns[schema.time] = times.astype(np.int64) if whole else times
        made = Table.from_ticks(
            _only(schema.events.columns), pd.DataFrame(columns).drop(columns=key)
        )
        shown = made.frame
        shown.insert(0, key, columns[key])
        return shown


def _first_events(
    schema: LinkedSchema,
    units: Table,
    owner: NDArray[np.intp],
    clock: "_Clock | None",
    *,
    rng: np.random.Generator,
) -> Table:
    """Return the first event of each of `owner`, positions in `units`.

    Where noise has given a unit events but no first one, or one too late for all of them, that of
    another unit is taken; where no other will do, the first is as early as may be.
    """
    import pandas as pd

    first, kept = schema.names.first, _only(schema.events.columns)
    frame = pd.DataFrame({c: units.values(name).take(owner) for c, name in first.items()})
    needed = [c.name for c in schema.events.columns if not c.missing]
    whole = frame[needed].notna().all(axis=1).to_numpy()
    if not whole.any():
        codes = np.zeros((len(owner), len(kept.names)), dtype=np.int64)
        return Codec(schema=kept).decode(codes, rng=rng)
    if clock is None or schema.time is None:
        times = latest = np.zeros(len(owner))
    else:
        times = frame[schema.time].to_numpy(dtype=np.float64, na_value=np.inf)
        number = units.values(schema.number).to_numpy(dtype=np.int64)[owner]
        latest = clock.latest(number - 1)
    donors = np.flatnonzero(whole)[np.argsort(times[whole], kind="stable")]
    source = np.arange(len(owner))
    wrong = np.flatnonzero(~whole | (times > latest))
    early = np.searchsorted(times[donors], latest[wrong], side="right")
    source[wrong] = donors[rng.integers(0, np.maximum(early, 1))]
    frame = frame.take(source).reset_index(drop=True)
    if clock is not None:
        hopeless = wrong[early == 0]
        frame.loc[hopeless, schema.time] = clock.lower
    return Table.from_ticks(kept, frame)


def _only(columns: "tuple[Column, ...]") -> Schema:
    """Return a schema of `columns` and nothing else, to encode and decode them."""
    return Schema(columns=columns)


def _empty(schema: LinkedSchema) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({name: [] for name in (schema.key, *schema.events.names)})


@final
class _Clock:
    """Times and the gaps between them, as codes and as numbers."""

    def __init__(self, schema: LinkedSchema, gap: Column) -> None:
        assert schema.time is not None
        column = schema.events.column(schema.time)
        assert isinstance(column, IntegerColumn | FloatColumn)  # checked by the schema
        assert isinstance(gap, IntegerColumn | FloatColumn)  # of the kind of the time
        self.lower = column.lower
        self._upper, self._gap = column.upper, gap
        self._edges, self._starts = _edges(column), _edges(self._gap)[:-1]

    def codes(self, times: NDArray[np.float64]) -> Codes:
        """Return the codes of times."""
        return np.searchsorted(self._edges[1:-1], times, side="right")

    def latest(self, left: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when an event must have happened that so many will follow."""
        return (self._upper - left * float(self._gap.lower)).astype(np.float64)

    def allowed(self, times: NDArray[np.float64], latest: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which gaps may follow, n x codes: those that begin early enough, and the least."""
        inside = self._starts <= (latest - times)[:, None]
        inside[:, 0] = True
        return inside

    def after(
        self,
        times: NDArray[np.float64],
        gaps: Codes,
        latest: NDArray[np.float64],
        *,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Return the times of the next events."""
        codec = Codec(schema=_only((self._gap,)))
        passed = codec.decode(gaps[:, None], rng=rng).values(self._gap.name)
        return np.minimum(times + passed.to_numpy(dtype=np.float64), latest)


def _edges(column: IntegerColumn | FloatColumn) -> NDArray[Any]:
    return integer_edges(column) if isinstance(column, IntegerColumn) else float_edges(column)
