"""Times as ticks: what is read is written again, and what is no time is refused in a sentence."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.clock import Clock
from dpsynth.data.conditions import parse_condition
from dpsynth.data.constraints import Forbidden
from dpsynth.data.csv_text import csv_header, csv_lines, parse_csv
from dpsynth.data.encoding import Codec
from dpsynth.data.open_schema import parse_schema
from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.data.value_sets import value_set
from dpsynth.errors import DataError, InvalidValueError, SchemaError


def times(clock: Clock, lower: Any, upper: Any, **fields: Any) -> IntegerColumn:
    """Return a column of times, whose bounds may be texts."""
    return IntegerColumn(name="t", lower=lower, upper=upper, clock=clock, **fields)


DAY = times(Clock(kind="date"), "2000-01-01", "2030-12-31", missing=True)


def table(column: IntegerColumn, values: Any) -> Table:
    return Table.from_frame(Schema(columns=(column,)), pd.DataFrame({"t": values}))


@pytest.mark.parametrize(
    "values",
    [
        ["2001-02-03", None, "2020-12-31"],
        [date(2001, 2, 3), None, date(2020, 12, 31)],
        [datetime(2001, 2, 3), None, datetime(2020, 12, 31)],
        pd.Series(["2001-02-03", None, "2020-12-31"], dtype="datetime64[s]"),
        pd.Categorical(["2001-02-03", None, "2020-12-31"]),
        ["2001-02-03", "", "2020-12-31"],
    ],
    ids=["texts", "dates", "datetimes", "dtype", "categorical", "empty"],
)
def test_dates_of_every_spelling_are_one(values: Any) -> None:
    shown = table(DAY, values).frame["t"]
    assert shown.dtype == "datetime64[s]"
    assert shown.dt.strftime("%Y-%m-%d").tolist()[::2] == ["2001-02-03", "2020-12-31"]
    assert shown.isna().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("clock", "bounds", "values", "texts"),
    [
        (Clock(kind="date"), ("1800-01-01", "2200-01-01"), ["1815-06-18"], ["1815-06-18"]),
        (
            Clock(kind="date", format="%d/%m/%Y"),
            ("2000-01-01", "2020-12-31"),
            ["03/02/2001"],
            ["03/02/2001"],
        ),
        (
            Clock(kind="datetime", resolution="1min", timezone="Europe/Berlin"),
            ("2020-01-01", "2021-01-01"),
            ["2020-06-01T10:11:12+02:00", "2020-12-01T09:00:00+00:00"],
            ["2020-06-01T10:11:00+02:00", "2020-12-01T10:00:00+01:00"],
        ),
        (
            Clock(kind="datetime", resolution="100ms"),
            ("2020-01-01", "2021-01-01"),
            ["2020-06-01T10:11:12.345"],
            ["2020-06-01T10:11:12.300000"],
        ),
        (Clock(kind="duration"), ("0 days", "3 days"), ["1 days 02:00:01"], ["1 days 02:00:01"]),
    ],
    ids=["date", "format", "zone", "fine", "duration"],
)
def test_times_are_written_as_they_are_read(
    clock: Clock, bounds: tuple[str, str], values: list[str], texts: list[str]
) -> None:
    column = times(clock, *bounds)
    found = table(column, values)
    lines = bytes(csv_lines(found)).decode().split("\n")[:-1]
    assert lines == texts
    schema = found.schema
    assert parse_schema(schema.to_toml()) == schema
    import io

    again = parse_csv(io.BytesIO(csv_header(schema) + bytes(csv_lines(found))))
    assert Table.from_frame(schema, again).frame.equals(found.frame)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([3], "not numbers"),
        ([3.5], "not numbers"),
        (["yesterday"], "has 'yesterday', but values must be dates written as in ISO 8601"),
        (["2001-02-30"], "2001-02-30"),
        (["0000-00-00"], "0000-00-00"),
        (["2001-02-03T10:00:00"], "without a time of day"),
        (["1999-12-31"], "between 2000-01-01 and 2030-12-31"),
        (["9999-12-31"], "between 2000-01-01 and 2030-12-31"),
        (np.array(["20000-01-01"], dtype="M8[s]"), "in the years 1 to 9999"),
        (["2001-02-03T00:00:00+02:00"], "needs timezone"),
        ([datetime(2001, 2, 3), "x"], "'x'"),
    ],
)
def test_what_is_no_date_is_refused(values: list[object], said: str) -> None:
    with pytest.raises(DataError) as refusal:
        table(DAY, values)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["60", " 60", "-60", "1,000", "1 60", "0"])
def test_a_duration_has_a_unit(text: str) -> None:
    column = times(Clock(kind="duration"), 0, 86_400)
    with pytest.raises(DataError, match="durations with a unit, as '1 days 02:30:00' or '90 s'"):
        table(column, ["90 s", text])
    with pytest.raises(InvalidValueError, match="a duration or a comparison with one"):
        parse_condition(column, f">={text}")
    shown = table(column, ["90 s", "00:01:00", timedelta(0)]).frame["t"]
    assert shown.dt.total_seconds().tolist() == [90.0, 60.0, 0.0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "hour"}, "kind must be"),
        ({"kind": "datetime", "resolution": "1 fortnight"}, "resolution must be"),
        ({"kind": "datetime", "resolution": "0s"}, "resolution must be"),
        ({"kind": "datetime", "timezone": "Mars/Olympus"}, "timezone must name"),
        ({"kind": "date", "timezone": "UTC"}, "only a datetime"),
        ({"kind": "duration", "format": "%H"}, "a duration has no format"),
    ],
)
def test_a_wrong_clock_is_one_sentence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        Clock(**fields)


def test_a_bound_that_is_no_time_names_the_column() -> None:
    with pytest.raises(SchemaError, match="'t': 'soon' is not allowed, lower must be"):
        times(Clock(kind="date"), "soon", "2020-01-01")


def test_drawn_times_keep_resolution_and_bounds() -> None:
    clock = Clock(kind="datetime", resolution="15min")
    column = times(clock, "2020-01-01", "2020-12-31")
    codec = Codec(schema=Schema(columns=(column,)))
    codes = np.random.default_rng(0).integers(0, column.size, (500, 1))
    drawn = codec.decode(codes, rng=np.random.default_rng(1))
    shown = drawn.frame["t"]
    assert (shown.dt.minute % 15 == 0).all()
    assert (shown.dt.second == 0).all()
    assert shown.between(pd.Timestamp("2020-01-01"), pd.Timestamp("2020-12-31")).all()
    assert np.array_equal(codec.encode(drawn), codes)


def test_constraints_speak_of_times() -> None:
    column = times(Clock(kind="date"), "2020-01-01", "2020-12-31", edges=(18262, 18444, 18628))
    kind = CategoricalColumn(name="k", categories=("a", "b"))
    rule = Forbidden(when={"t": ">=2020-07-01", "k": "b"})  # type: ignore[arg-type]
    schema = Schema(columns=(column, kind), constraints=(rule,))
    assert parse_schema(schema.to_toml()) == schema
    good = pd.DataFrame({"t": ["2020-06-30", "2020-07-01"], "k": ["b", "a"]})
    assert len(Table.from_frame(schema, good)) == 2
    with pytest.raises(DataError, match="forbids it"):
        Table.from_frame(schema, good.assign(k=["a", "b"]))
    with pytest.raises(SchemaError, match="a condition must be a date"):
        Schema(
            columns=(column, kind),
            constraints=(Forbidden(when={"t": ">=soon", "k": "b"}),),  # type: ignore[arg-type]
        )


def test_constraints_take_times_as_they_are_shown() -> None:
    """With a space within, as `Clock.text` writes durations and frames show moments."""
    stay = times(Clock(kind="duration"), 0, 7 * 86_400 - 1, bins=7)
    at = times(Clock(kind="datetime", resolution="1h"), "2020-01-01", "2020-01-02", bins=25)
    assert value_set(stay, "<2 days 00:00:00").codes().tolist() == [True] * 2 + [False] * 5
    assert value_set(stay, ">1 day, 23:59:59").codes().tolist() == [False] * 2 + [True] * 5
    moments = value_set(at, ">=2020-01-01 05:00, <2020-01-01 07:00").codes()
    assert np.flatnonzero(moments).tolist() == [5, 6]
