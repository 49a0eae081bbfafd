"""Linked tables: what is derived of units and events, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.constraints import Within
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.linked_tables import LinkedTables
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.errors import DataError, SchemaError, UnknownNameError
from tests.linked.panels import EVENTS, LINKED, LONG, UNITS

PEOPLE = pd.DataFrame({"patient": ["x", "y", "z"], "sex": ["f", "m", "m"], "age": [3, 50, 99]})
VISITS = pd.DataFrame(
    {
        "patient": ["y", "x", "y", "y"],
        "day": [30, 5, 10, 20],
        "ward": ["c", "a", "a", "b"],
        "dose": [1.5, 2.5, np.nan, 3.5],
    }
)


def plain(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    wide = frame.astype(object).where(frame.notna(), None)
    return [tuple(row) for row in wide.itertuples(index=False)]


def test_units_have_the_number_of_their_events_and_the_first() -> None:
    starts = LinkedTables(schema=LINKED, events=VISITS, units=PEOPLE).starts
    assert starts.schema.names == (
        *("sex", "age", "number of events"),
        *("day (first)", "ward (first)", "dose (first)"),
    )
    assert plain(starts.frame) == [
        ("f", 3, 1, 5, "a", 2.5),
        ("m", 50, 3, 10, "a", None),
        ("m", 99, 0, None, None, None),
    ]


def test_transitions_say_what_follows_what() -> None:
    tables = LinkedTables(schema=LINKED, events=VISITS, units=PEOPLE)
    found = tables.transitions.frame
    assert found.columns.tolist() == [
        *("sex", "age", "number of events", "position", "ward", "dose"),
        *("day (previous)", "ward (previous)", "dose (previous)", "time since"),
    ]
    assert plain(found) == [
        ("m", 50, 3, 1, "b", 3.5, 10, "a", None, 10),
        ("m", 50, 3, 2, "c", 1.5, 20, "b", 3.5, 10),
    ]
    assert tables.transitions.units is not None
    assert len(set(tables.transitions.units.tolist())) == 1
    assert "50" not in repr(tables)


def test_without_a_table_of_units_they_are_those_that_have_events() -> None:
    starts = LinkedTables(schema=LONG, events=VISITS).starts
    assert plain(starts.frame) == [(3, 10, "a", None), (1, 5, "a", 2.5)]
    assert not starts.schema.column("day (first)").missing


def test_without_a_time_events_come_in_the_order_of_the_table() -> None:
    schema = replace(LINKED, time=None)
    found = LinkedTables(schema=schema, events=VISITS, units=PEOPLE).transitions.frame
    assert found["day (previous)"].tolist() == [30, 10]
    assert found["day"].tolist() == [10, 20]
    assert "time since" not in found


def test_more_events_than_declared_count_as_so_many() -> None:
    many = pd.DataFrame({"patient": ["y"] * 9, "day": range(9), "ward": "a", "dose": 1.0})
    tables = LinkedTables(schema=LONG, events=many)
    assert tables.starts.frame["number of events"].tolist() == [6]
    assert tables.transitions.frame["position"].tolist() == [1, 2, 3, 4, 5, 5, 5, 5]


def test_names_that_collide_are_told_apart() -> None:
    events = Schema(
        unit="who",
        max_rows_per_unit=1,
        columns=(CategoricalColumn(name="sex", categories=("f", "m")),),
    )
    own = Schema(
        columns=(
            CategoricalColumn(name="sex", categories=("f", "m")),
            IntegerColumn(name="number of events", lower=0, upper=1),
            CategoricalColumn(name="sex (first)", categories=("f", "m")),
        )
    )
    schema = LinkedSchema(events=events, units=own, max_events=3)
    for derived in (schema.starts, schema.transitions):
        assert len(set(derived.names)) == len(derived.names)
    assert schema.number == "number of events'"
    assert schema.names.unit["sex"] == "sex'"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda u, e: (u, e.drop(columns="patient")), UnknownNameError, "patient"),
        (lambda u, e: (u.drop(columns="patient"), e), UnknownNameError, "patient"),
        (lambda u, e: (u.head(1), e), DataError, "each event belongs to a unit"),
        (lambda u, e: (pd.concat([u, u]), e), DataError, "one row in the table of units"),
        (lambda u, e: (None, e), DataError, "the schema has columns of units"),
        (lambda u, e: (u, e.assign(day=-1)), DataError, "between 0 and 99"),
        (lambda u, e: (u, e.assign(patient=[None, "x", "y", "y"])), DataError, "which unit"),
        (lambda u, e: (u, e.tail(1)), DataError, "two events"),
        (lambda u, e: (u, e.head(0)), DataError, "no rows"),
    ],
)
def test_records_that_do_not_fit_are_refused(
    change: Callable[..., Any], error: type[Exception], said: str
) -> None:
    units, events = change(PEOPLE, VISITS)
    with pytest.raises(error, match=said) as refusal:
        LinkedTables(schema=LINKED, events=events, units=units)
    assert "\n" not in str(refusal.value)


GAP = IntegerColumn(name="gap", lower=1, upper=30, on_invalid="clip")


def test_constraints_that_no_rows_would_keep_are_refused() -> None:
    events = replace(EVENTS, constraints=(Within(when={"ward": "a"}, then={"dose": "<4"}),))
    units = replace(UNITS, constraints=(Within(when={"age": "<20"}, then={"sex": "f"}),))
    for fields in ({"events": events}, {"units": units}):
        with pytest.raises(SchemaError, match="would not keep it"):
            replace(LINKED, **fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_events": 1}, "max_events must be"),
        ({"max_events": True}, "max_events must be"),
        ({"events": replace(EVENTS, unit="record", max_rows_per_unit=1)}, "name their identifier"),
        ({"events": replace(EVENTS, public_rows=9)}, "public_rows belongs to the units"),
        ({"units": replace(UNITS, unit="house", max_rows_per_unit=1)}, "one patient"),
        ({"units": replace(UNITS, unit="patient", max_rows_per_unit=2)}, "one patient"),
        ({"events": replace(EVENTS, unit="ward")}, "none of the columns"),
        ({"time": "ward"}, "integers or floats"),
        ({"time": "dose"}, "never missing"),
        ({"time": None, "gap": GAP}, "no column"),
        ({"gap": replace(GAP, on_invalid="error")}, "clipped"),
        ({"gap": replace(GAP, lower=-1)}, "at least 0"),
        ({"gap": FloatColumn(name="gap", lower=0, upper=9, on_invalid="clip")}, "kind of its time"),
        ({"gap": replace(GAP, lower=20)}, "must fit into the bounds"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        replace(LINKED, **fields)
    with pytest.raises(UnknownNameError, match="day"):
        replace(LINKED, time="dya")
