"""What constraints say of one column: conditions as they are written, and as sets of codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data import conditions
from dpsynth.data.binning import code_values
from dpsynth.data.columns import Column, IntegerColumn
from dpsynth.data.conditions import MISSING, missing_word, read_condition
from dpsynth.errors import InvalidValueError, SchemaError

Plain: TypeAlias = str | int | float | bool
Condition: TypeAlias = Plain | tuple[Plain, ...]
"""What a constraint says of one column: a value, a comparison ("<16", ">=0, <10", "!=no",
"18..65"), "missing" or "present"; or a list of which one must hold."""

Bools: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.float64]

_RULE = (
    'a condition on numbers is one (a truth value is none), "missing", "present", ">=0, <10" or '
    '"0..9"'
)


@final
@dataclass(frozen=True, kw_only=True)
class ValueSet:
    """The values of a column that a condition admits.

    Args:
        written: the condition.
        values: which they are.
        about_missing: whether the condition says what becomes of a missing value.
    """

    written: Condition
    values: conditions.Condition
    about_missing: bool

    def codes(self) -> Bools:
        """Return for each code of the column whether its values are admitted.

        Raises:
            SchemaError: the values of a code are admitted in part (a schema splits such bins, but
                none can hold the largest real number alone), or no value of the column is.
        """
        column = self.values.column
        first, last = code_values(column)
        cut = np.flatnonzero(self.values.cuts())
        if cut.size:
            low, high = float(first[cut[0]]), float(last[cut[0]])
            edge = next(edge for edge in self.values.edges() if low < edge <= high)
            rule = (
                f"values from {low:g} to {high:g} share a bin, which it cuts at {edge!r}"
                " (the largest value has no bin of its own: raise `upper`)"
            )
            raise SchemaError(column.name, self.written, rule)
        found = self.values.holds(first)
        if column.missing:
            found = np.append(found, self.values.missing)
        if not found.any():
            raise SchemaError(column.name, self.written, "no value of the column meets it")
        return found


def value_set(column: Column, condition: Condition) -> ValueSet:
    """Return the values of `column` that meet `condition`.

    Raises:
        SchemaError: a condition that the column's kind does not have.
        UnknownNameError: a category that the column lacks.
    """
    wanted = condition if isinstance(condition, tuple) else (condition,)
    words = {missing_word(column, one) for one in wanted}
    if MISSING in words and not column.missing:
        raise SchemaError(column.name, MISSING, "its values are never missing")
    found: list[conditions.Condition] = []
    for one in wanted:
        try:
            found.append(read_condition(column, one))
        except InvalidValueError as error:
            timed = isinstance(column, IntegerColumn) and column.clock is not None
            rule = f"a condition must be {error.rule}" if timed else _RULE
            raise SchemaError(column.name, one, rule) from None
    values = conditions.any_of(column, found)
    return ValueSet(written=condition, values=values, about_missing=bool(words - {None}))


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
