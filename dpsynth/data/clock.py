"""Dates, moments and durations as whole numbers: ticks of a public resolution."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from importlib import import_module
from numbers import Number
from typing import Any, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import DataError, SchemaError

TimeKind: TypeAlias = Literal["date", "datetime", "duration"]

_MICROSECONDS = {"us": 1, "ms": 1000, "s": 10**6, "min": 6 * 10**7, "h": 36 * 10**8}
_DAY = 24 * _MICROSECONDS["h"]
_UNITS = (("s", 10**6), ("ms", 1000), ("us", 1))
_NO_UNIT = re.compile(r"[\d\s.,+-]+")
"""A number alone, which pandas would take for nanoseconds."""


@final
@dataclass(frozen=True, kw_only=True)
class Clock:
    """How a column's whole numbers are times: so many steps of `resolution` from the epoch.

    The epoch is the start of 1970 (in UTC, where there is a time zone); for a duration it is 0.
    What is finer than the resolution is cut off.

    Args:
        kind: "date" (whole days), "datetime" or "duration".
        resolution: the step: a whole number and "us", "ms", "s", "min", "h" or "D"; dates have
            "1D".
        timezone: name of the zone that moments are given in; None: they have none.
        format: how dates and moments are written as texts, in the signs of strftime; None is
            ISO 8601.

    Raises:
        SchemaError: a field outside its rule.
    """

    kind: TimeKind
    resolution: str = "1s"
    timezone: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("date", "datetime", "duration"):
            raise SchemaError(None, self.kind, "kind must be 'date', 'datetime' or 'duration'")
        for field in ("resolution", "timezone", "format"):
            value = getattr(self, field)
            if not isinstance(value, str | None) or value == "":
                raise SchemaError(None, value, f"{field} must be a text that is not empty")
        if self.kind == "date":
            object.__setattr__(self, "resolution", "1D")
        self.step  # noqa: B018 - refuses a resolution that is none
        if self.kind != "datetime" and self.timezone is not None:
            raise SchemaError(None, self.timezone, "only a datetime has a timezone")
        if self.kind == "duration" and self.format is not None:
            raise SchemaError(None, self.format, "a duration has no format")
        if self.timezone is not None:
            self._zone()

    @cached_property
    def step(self) -> int:
        """Microseconds of one tick."""
        text = self.resolution
        digits = text.rstrip("usminhD")
        unit = text[len(digits) :]
        size = _DAY if unit == "D" else _MICROSECONDS.get(unit, 0)
        if not (digits.isascii() and digits.isdigit() and int(digits) > 0 and size):
            raise SchemaError(
                None, text, "resolution must be a whole number and us, ms, s, min, h or D"
            )
        return int(digits) * size

    def _zone(self) -> Any:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        assert self.timezone is not None
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise SchemaError(None, self.timezone, "timezone must name a known one") from None

    @property
    def _letter(self) -> str:
        """NumPy's letter for such times."""
        return "m" if self.kind == "duration" else "M"

    @property
    def _seconds(self) -> tuple[int, int]:
        """The first and the last second that there may be: microseconds of more are not exact."""
        return (-(2**33), 2**33) if self.kind == "duration" else (-62_135_596_800, 253_402_300_799)

    @property
    def ends(self) -> tuple[int, int]:
        """The first and the last tick that there may be."""
        first, last = self._seconds
        return -(-first * 10**6 // self.step), last * 10**6 // self.step

    @property
    def _reach(self) -> str:
        return "within 2**33 seconds" if self.kind == "duration" else "in the years 1 to 9999"

    def tick(self, column: str, field: str, value: object) -> int:
        """Return a bound as a tick.

        Args:
            column, field: for the sentence that refuses it.
            value: a text in ISO 8601, a date, or a tick already.

        Raises:
            SchemaError: it is none of these.
        """
        if isinstance(value, int) and not isinstance(value, bool):
            least, most = self._seconds
            if not least * 10**6 <= value * self.step <= most * 10**6:
                raise SchemaError(column, value, f"{field} must lie {self._reach}")
            return value
        pd = _pandas()
        if isinstance(value, date | datetime):
            value = value.isoformat()
        try:
            plain = replace(self, format=None)  # bounds are in ISO 8601 whatever the records are
            ticks, absent = plain.ticks(column, pd.Series([value], dtype=object))
        except DataError as error:
            rule = f"{field} must be a {self.kind}, as {self.text(0)!r}"
            raise SchemaError(column, value, rule) from error
        if absent[0]:
            raise SchemaError(column, value, f"{field} must be a {self.kind}")
        return int(ticks[0])

    def text(self, tick: float) -> str:
        """Return a tick as a text in ISO 8601; a duration as days and hours."""
        pd = _pandas()
        shown: Any = pd.Series(self.times(np.array([int(tick)]))).iloc[0]
        if self.kind == "duration":
            return str(shown)
        moment: str = shown.isoformat()
        return moment[:10] if self.kind == "date" else moment

    def ticks(self, column: str, values: Any) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return a series of times as ticks, and where they are missing.

        Args:
            column: its name, for errors.
            values: times of pandas' own dtypes, or texts and Python's dates as objects.

        Raises:
            DataError: a value that is no such time, or one with a time zone where none is declared.
        """
        parse = self._durations if self.kind == "duration" else self._moments
        parsed = parse(column, values)
        absent = np.asarray(parsed.isna())
        seconds = parsed.to_numpy().astype(f"{self._letter}8[s]")
        whole = np.where(absent, 0, seconds.astype(np.int64))
        far = (whole < self._seconds[0]) | (whole > self._seconds[1])
        if far.any():
            first = values[far].iloc[0]
            raise DataError(column, str(first), f"values must lie {self._reach}")
        micro = parsed.to_numpy().astype(f"{self._letter}8[us]")
        whole = np.where(absent, 0, micro.astype(np.int64))
        if self.kind == "date" and (whole % _DAY).any():
            first = values[whole % _DAY != 0].iloc[0]
            raise DataError(column, str(first), "values must be dates, without a time of day")
        return whole // self.step, absent

    def _moments(self, column: str, values: Any) -> Any:
        texts = self._texts(column, values)
        parsed: Any = _attempted(
            _pandas().to_datetime,
            texts,
            errors="coerce",
            format=self.format or "ISO8601",
            utc=self.timezone is not None,
        )
        self._check_parsed(column, texts, parsed)
        if getattr(parsed.dtype, "tz", None) is not None:
            if self.timezone is None:
                rule = "a time zone needs timezone in the schema"
                raise DataError(column, str(texts.dropna().iloc[0]), rule)
            parsed = parsed.dt.tz_convert("UTC").dt.tz_localize(None)
        return parsed

    def _durations(self, column: str, values: Any) -> Any:
        texts = self._texts(column, values)
        for value in texts.dropna().unique():
            if isinstance(value, str) and _NO_UNIT.fullmatch(value):
                rule = "values must be durations with a unit, as '1 days 02:30:00' or '90 s'"
                raise DataError(column, value, rule)
        parsed: Any = _attempted(_pandas().to_timedelta, texts, errors="coerce")
        self._check_parsed(column, texts, parsed)
        return parsed

    def _texts(self, column: str, values: Any) -> Any:
        """Return times or texts that may spell them, None for an empty one; numbers are neither."""
        types = _pandas().api.types
        rule = f"values must be {self.kind}s, not numbers"
        if types.is_numeric_dtype(values.dtype):
            raise DataError(column, values.iloc[0], rule)
        categorical = isinstance(values.dtype, _pandas().CategoricalDtype)
        texts = values.astype(object) if categorical or self.kind == "duration" else values
        if texts.dtype != object:
            strings = types.is_string_dtype(texts.dtype)
            return texts.where(texts.notna() & (texts != ""), None) if strings else texts
        from dpsynth.data.spelling import plain_values  # which knows columns, and they clocks

        plain = plain_values(column, texts)
        for value in plain.dropna():
            if isinstance(value, Number):
                raise DataError(column, value, rule)
        return plain

    def _check_parsed(self, column: str, texts: Any, parsed: Any) -> None:
        pd = _pandas()
        if not (pd.api.types.is_datetime64_any_dtype(parsed.dtype) or parsed.dtype.kind == "m"):
            raise DataError(column, "several time zones", f"values must be {self.kind}s of one")
        wrong = np.asarray(parsed.isna() & texts.notna())
        if wrong.any():
            shape = f"written as {self.format}" if self.format else "written as in ISO 8601"
            if self.kind == "duration":
                shape = "as '1 days 02:30:00'"
            raise DataError(
                column, str(texts[wrong].iloc[0]), f"values must be {self.kind}s {shape}"
            )

    def times(self, ticks: NDArray[np.int64], absent: NDArray[np.bool_] | None = None) -> Any:
        """Return ticks as an array of pandas' times, of the coarsest unit that holds them."""
        pd = _pandas()
        unit, size = next((u, n) for u, n in _UNITS if self.step % n == 0)
        whole = ticks.astype(np.int64) * (self.step // size)
        times = whole.astype(f"{self._letter}8[{unit}]")
        if absent is not None:
            times[absent] = np.array("NaT", dtype=times.dtype)
        shown: Any = pd.Series(times)
        if self.timezone is not None:
            shown = shown.dt.tz_localize(UTC).dt.tz_convert(self.timezone)
        return shown.array


def _attempted(parse: Any, texts: Any, **options: Any) -> Any:
    """Return what pandas reads; what it cannot even try is nothing that it could read."""
    try:
        return parse(texts, **options)
    except (TypeError, ValueError, ArithmeticError):
        return _pandas().Series(np.full(len(texts), "NaT", dtype="M8[us]"), index=texts.index)


def _pandas() -> Any:
    # By name: what pandas' stubs say of columns of unknown type is of no use here.
    return import_module("pandas")
