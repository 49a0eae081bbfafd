"""The public description of units with many events: people and visits, households and payments."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import final

from dpsynth.data.columns import Column, FloatColumn, IntegerColumn
from dpsynth.data.schema import Schema
from dpsynth.errors import SchemaError


@final
@dataclass(frozen=True, kw_only=True)
class LinkedSchema:
    """A table of events, with or without a table of the units that have them.

    From it follow two tables of plain records, which are what generators are fitted to: `starts`
    has one row a unit with the number of its events and the first of them, `transitions` one row an
    event that has one before it: what its unit is, what came before, and how long ago.

    Args:
        events: columns of an event. Its `unit` names the identifier, which both tables have and
            which is none of their columns; its `max_rows_per_unit` is how many transitions of a
            unit, sampled, the law of what follows what is learnt from.
        max_events: the largest number of events of a unit, at least 2; a unit with more counts as
            one with so many.
        units: columns of a unit; None where there is no table of units, so that every unit has an
            event.
        time: the column of `events` that orders those of a unit: integer or float, never missing.
            None: they come in the order of the table, and no time is kept.
        gap: how the time from an event to the next is coded, a column of the same kind that clips.
            Its lower bound, at least 0, keeps synthetic events as far apart. None: from 0 to the
            largest difference that the bounds of `time` allow.

    Raises:
        SchemaError: a field outside its rule.
    """

    events: Schema
    max_events: int
    units: Schema | None = None
    time: str | None = None
    gap: IntegerColumn | FloatColumn | None = None

    def __post_init__(self) -> None:
        _check_max_events(self.max_events)
        if self.key == "record":
            raise SchemaError(None, self.key, "unit of the events must name their identifier")
        if self.events.public_rows is not None:
            rule = "public_rows belongs to the units: the number of events is bought"
            raise SchemaError(None, self.events.public_rows, rule)
        if self.units is not None and (
            self.units.unit not in ("record", self.key) or self.units.max_rows_per_unit != 1
        ):
            raise SchemaError(None, self.units.unit, f"a row of units is one {self.key}")
        for schema in (self.events, self.units):
            if schema is not None and self.key in schema.names:
                raise SchemaError(self.key, self.key, "the identifier is none of the columns")
            if schema is not None and schema.constraints:
                raise SchemaError(
                    None, "a constraint", "synthetic rows of linked tables would not keep it"
                )
        self._check_time()

    @property
    def key(self) -> str:
        """The name of the identifier."""
        return self.events.unit

    @property
    def own(self) -> tuple[Column, ...]:
        """Columns of a unit, without the number of its events."""
        return () if self.units is None else self.units.columns

    @property
    def number(self) -> str:
        """What the number of events of a unit is called."""
        return _free("number of events", [c.name for c in self.own])

    @property
    def starts(self) -> Schema:
        """The schema of units with the number of their events and the first of them, in this order.

        A unit may have no event where it has a table of its own; then all of the first is missing.
        """
        number = IntegerColumn(
            name=self.number,
            lower=1 if self.units is None else 0,
            upper=self.max_events,
            bins=self.max_events + (self.units is not None),
            on_invalid="clip",
        )
        first = [
            replace(c, name=self.names.first[c.name], missing=c.missing or self.units is not None)
            for c in self.events.columns
        ]
        return Schema(
            columns=(*self.own, number, *first),
            unit=self.key,
            max_rows_per_unit=1,
            public_rows=None if self.units is None else self.units.public_rows,
            inferred=() if self.units is None else self.units.inferred,
        )

    @property
    def transitions(self) -> Schema:
        """The schema of events with their units and what came before; see `names`."""
        names = self.names
        columns = [replace(c, name=names.unit[c.name]) for c in self.starts.columns[: self._whose]]
        position = IntegerColumn(
            name=names.position,
            lower=1,
            upper=self.max_events - 1,
            bins=self.max_events - 1,
            on_invalid="clip",
        )
        columns += [position, *self.values]
        columns += [replace(self.events.column(c), name=n) for c, n in names.previous.items()]
        if self.time is not None:
            columns.append(replace(self.gap_column, name=names.gap))
        return Schema(
            columns=tuple(columns),
            unit=self.key,
            max_rows_per_unit=self.events.max_rows_per_unit,
            inferred=self.events.inferred,
        )

    @property
    def values(self) -> tuple[Column, ...]:
        """Columns of an event but for its time."""
        return tuple(c for c in self.events.columns if c.name != self.time)

    @property
    def names(self) -> "RecordNames":
        """What the columns of `starts` and `transitions` are called."""
        own = [*(c.name for c in self.own), self.number]
        taken = list(self.events.names)

        def free(name: str) -> str:
            taken.append(_free(name, taken))
            return taken[-1]

        return RecordNames(
            first={c: _free(f"{c} (first)", own) for c in self.events.names},
            unit={c: free(c) for c in own},
            position=free("position"),
            previous={c: free(f"{c} (previous)") for c in self.events.names},
            gap=free("time since"),
        )

    @property
    def given(self) -> tuple[str, ...]:
        """The columns of `transitions` that are known before an event is drawn."""
        names = self.names
        return (*names.unit.values(), names.position, *names.previous.values())

    @property
    def lags(self) -> tuple[tuple[str, str], ...]:
        """The pairs of `transitions` that say what follows what: each value with what it was, and
        the time since the event before with the time of that."""
        previous = self.names.previous
        pairs = [(previous[c.name], c.name) for c in self.values]
        if self.time is not None:
            pairs.append((previous[self.time], self.names.gap))
        return tuple(pairs)

    @property
    def _whose(self) -> int:
        """How many columns of `starts` say what the unit is, its number of events included."""
        return len(self.own) + 1

    @property
    def gap_column(self) -> IntegerColumn | FloatColumn:
        """How the time from an event to the next is coded.

        Raises:
            SchemaError: events have no time.
        """
        if self.time is None:
            raise SchemaError(None, None, "events without a time have none between them")
        if self.gap is not None:
            return self.gap
        time = self.events.column(self.time)
        if isinstance(time, IntegerColumn):
            upper = time.upper - time.lower
            return IntegerColumn(name="time since", lower=0, upper=upper, on_invalid="clip")
        assert isinstance(time, FloatColumn)  # checked when the schema was made
        upper = time.upper - time.lower
        return FloatColumn(
            name="time since", lower=0.0, upper=upper, bins=time.bins, on_invalid="clip"
        )

    def _check_time(self) -> None:
        if self.time is None:
            if self.gap is not None:
                raise SchemaError(self.gap.name, None, "a gap is one of time, which has no column")
            return
        time = self.events.column(self.time)
        if not isinstance(time, IntegerColumn | FloatColumn) or time.missing:
            rule = "the time is a column of integers or floats that is never missing"
            raise SchemaError(self.time, type(time).__name__, rule)
        gap = self.gap_column
        if type(gap) is not type(time) or gap.lower < 0 or gap.missing or gap.on_invalid != "clip":
            rule = "a gap is of the kind of its time, at least 0, never missing, and clipped"
            raise SchemaError(gap.name, gap.lower, rule)
        if (self.max_events - 1) * gap.lower > time.upper - time.lower:
            rule = f"{self.max_events} events so far apart must fit into the bounds of the time"
            raise SchemaError(gap.name, gap.lower, rule)


@final
@dataclass(frozen=True, kw_only=True)
class RecordNames:
    """Columns of derived records: in `transitions` those of the event itself keep their names.

    Args:
        first: column of events -> the name of what it was in the first, in `starts`.
        unit: column of a unit, its number of events included -> its name in `transitions`.
        position: how many events of the unit came before.
        previous: column of events -> the name of what it was in the event before.
        gap: the time since the event before.
    """

    first: Mapping[str, str]
    unit: Mapping[str, str]
    position: str
    previous: Mapping[str, str]
    gap: str


def _free(name: str, taken: Iterable[str]) -> str:
    """Return `name`, marked until nothing else is called so."""
    others = set(taken)
    while name in others:
        name += "'"
    return name


def _check_max_events(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 2:
        raise SchemaError(None, value, "max_events must be a whole number of at least 2")
