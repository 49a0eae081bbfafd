"""Conditions on one column: "<16", a category, a list of them; as sets of values and of codes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, TypeAlias, cast, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.clock import Clock
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.spelling import spelling, spellings
from dpsynth.errors import SchemaError, UnknownNameError

Plain: TypeAlias = str | int | float | bool
Condition: TypeAlias = Plain | tuple[Plain, ...]
"""What a constraint says of one column: a value, a comparison ("<16", ">=0, <10", "!=no",
"18..65"), "missing" or "present"; or a list of which one must hold."""

Bools: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.float64]

MISSING, PRESENT = "missing", "present"
_OPERATORS = {"<=": le, ">=": ge, "!=": ne, "==": eq, "=": eq, "<": lt, ">": gt}
_COMPARISON = re.compile(r"\s*(<=|>=|!=|==|=|<|>)?\s*(\S+)\s*")

Comparison: TypeAlias = tuple[str, float]


@final
@dataclass(frozen=True, kw_only=True)
class ValueSet:
    """The values of a column that a condition admits.

    Values are numbers: those of a numeric column, positions of categories; a missing one is NaN.

    Args:
        column: what the values are of.
        parts: comparisons that hold together; a value that is not missing is admitted by any part.
        missing: whether a missing value is admitted.
    """

    column: Column
    parts: tuple[tuple[Comparison, ...], ...]
    missing: bool

    @property
    def about_missing(self) -> bool:
        """Whether the condition says what becomes of a missing value."""
        return self.missing or () in self.parts

    def holds(self, values: Numbers) -> Bools:
        """Return for each value whether it is admitted."""
        absent = np.isnan(values)
        found = absent & self.missing
        for part in self.parts:
            meets = ~absent
            for operator, threshold in part:
                meets &= _OPERATORS[operator](values, threshold)
            found |= meets
        return found

    def codes(self) -> Bools:
        """Return for each code of the column whether its values are admitted.

        Raises:
            SchemaError: the values of a code are admitted in part, or no value of the column is.
        """
        first, last = code_values(self.column)
        found = self.holds(first)
        self._refuse_cuts(found, first, last)
        if self.column.missing:
            found = np.append(found, self.missing)
        if not found.any():
            raise SchemaError(self.column.name, self._text(), "no value of the column meets it")
        return found

    def _refuse_cuts(self, found: Bools, first: Numbers, last: Numbers) -> None:
        """Refuse a bin that has values on both sides of a threshold.

        Between thresholds nothing changes, so that the ends of each bin and the neighbours of each
        threshold decide.
        """
        near = [v for part in self.parts for _, t in part for v in self._around(t)]
        inside = np.array([v for v in near if first[0] <= v <= last[-1]], dtype=np.float64)
        bins = np.concatenate(
            [np.arange(len(first)), np.searchsorted(first, inside, side="right") - 1]
        )
        cut = self.holds(np.concatenate([last, inside])) != found[bins]
        if cut.any():
            code = int(bins[cut][0])
            low, high = float(first[code]), float(last[code])
            edge = next(edge for edge in self.edges() if low < edge <= high)
            rule = f"values from {low:g} to {high:g} share a bin, which it cuts: one must start at "
            raise SchemaError(self.column.name, self._text(), rule + repr(edge))

    def edges(self) -> tuple[float, ...]:
        """Return where bins must start for no bin to be cut: values that are admitted while those
        just below are not, or the other way round. Bounds of the column are not asked about."""
        near = sorted({v for part in self.parts for _, t in part for v in self._around(t)})
        values = np.array(near, dtype=np.float64)
        below = values - 1 if self._whole else np.nextafter(values, -np.inf)
        changes = self.holds(values) != self.holds(below)
        return tuple(float(value) for value in values[changes])

    @property
    def _whole(self) -> bool:
        return not isinstance(self.column, FloatColumn)

    def _around(self, threshold: float) -> Sequence[float]:
        if not self._whole:
            return (
                threshold,
                float(np.nextafter(threshold, -np.inf)),
                float(np.nextafter(threshold, np.inf)),
            )
        whole = np.floor(threshold)
        return (whole - 1, whole, whole + 1, whole + 2)

    def _text(self) -> str:
        parts = [", ".join(f"{o}{t:g}" for o, t in part) or PRESENT for part in self.parts]
        return " or ".join(parts + [MISSING] * self.missing)


def code_values(column: Column) -> tuple[Numbers, Numbers]:
    """Return the least and the largest value of each code, that of a missing value left out."""
    if isinstance(column, CategoricalColumn):
        positions = np.arange(len(column.categories), dtype=np.float64)
        return positions, positions
    if isinstance(column, FloatColumn):
        edges = float_edges(column)
        last = np.nextafter(edges[1:], edges[:-1])
        last[-1] = edges[-1]  # the last bin is closed
        return edges[:-1], np.maximum(last, edges[:-1])
    starts = integer_edges(column).astype(np.float64)
    return starts[:-1], starts[1:] - 1


def value_set(column: Column, condition: Condition) -> ValueSet:
    """Return the values of `column` that meet `condition`.

    Raises:
        SchemaError: a condition that the column's kind does not have.
        UnknownNameError: a category that the column lacks.
    """
    wanted = condition if isinstance(condition, tuple) else (condition,)
    parts = list[tuple[Comparison, ...]]()
    missing = False
    for one in wanted:
        if isinstance(column, CategoricalColumn):
            part = _of_category(column, one)
        else:
            part = _of_number(column, one)
        if part is None:
            missing = True
        else:
            parts.append(part)
    if missing and not column.missing:
        raise SchemaError(column.name, MISSING, "its values are never missing")
    return ValueSet(column=column, parts=tuple(parts), missing=missing)


def plain_condition(column: str, value: object) -> Condition:
    """Return a condition as it was written, lists as tuples and scalars of arrays made plain.

    Raises:
        SchemaError: it is neither a text, a number, a truth value nor a list of these.
    """
    if isinstance(value, list | tuple):
        members = tuple(_plain(column, one) for one in cast("Sequence[object]", value))
        if not members:
            raise SchemaError(column, [], "a condition lists at least one value")
        return members
    return _plain(column, value)


def _plain(column: str, value: object) -> Plain:
    plain: object = cast("Any", value).item() if isinstance(value, np.generic) else value
    if not isinstance(plain, str | int | float | bool) or plain != plain or plain == "":  # noqa: PLR0124
        rule = "a condition is a text that is not empty, a number, a truth value or a list of these"
        raise SchemaError(column, plain, rule)
    return plain


def _of_category(column: CategoricalColumn, value: Plain) -> tuple[Comparison, ...] | None:
    known, kind = spellings(column), type(column.categories[0])
    position = known.get(spelling(value, kind))
    if position is not None:
        return (("==", float(position)),)
    if value == MISSING:
        return None
    if value == PRESENT:
        return ()
    other = value.removeprefix("!=").strip() if isinstance(value, str) else value
    excluded = known.get(spelling(other, kind)) if other != value else None
    if excluded is None:
        names = [str(category) for category in column.categories]
        raise UnknownNameError(f"category of {column.name!r}", str(other), names)
    return (("!=", float(excluded)),)


def _of_number(column: Column, value: Plain) -> tuple[Comparison, ...] | None:
    if isinstance(value, bool):
        raise SchemaError(column.name, value, "a condition on numbers is no truth value")
    clock = column.clock if isinstance(column, IntegerColumn) else None
    if not isinstance(value, str):
        return (("==", float(value)),)
    if value == MISSING:
        return None
    if value == PRESENT:
        return ()
    found = list[Comparison]()
    for text in value.split(","):
        low, between, high = text.partition("..")
        for part in (f">={low}", f"<={high}") if between else (text,):
            match = _COMPARISON.fullmatch(part)
            number = None if match is None else _number(column, clock, match[2])
            if match is None or number is None:
                rule = 'a condition on numbers is one, "missing", "present", ">=0, <10" or "0..9"'
                raise SchemaError(column.name, value, rule)
            found.append((match[1] or "==", number))
    return tuple(found)


def _number(column: Column, clock: Clock | None, text: str) -> float | None:
    if clock is not None:
        return float(clock.tick(column.name, "a condition", text))
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
