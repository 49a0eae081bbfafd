"""Conditions on the values of a column, as a user writes them, and what they mean for its codes.

A missing value satisfies no comparison; only None, the empty text and "missing" ask for it.
Requests for samples and constraints are written alike, and both are read here.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, isnan, nan, nextafter
from typing import TYPE_CHECKING, Any, TypeAlias, cast, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import code_values
from dpsynth.data.clock import Clock
from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.spelling import spelling, spellings
from dpsynth.data.values import value_law
from dpsynth.errors import InvalidValueError, SchemaError, UnknownNameError

if TYPE_CHECKING:
    from dpsynth.data.schema import Schema

Span: TypeAlias = tuple[float, float]
"""The least and the largest number of an interval, both in it; of categories their codes."""

MISSING, PRESENT = "missing", "present"

_COMPARISON = re.compile(r"(>=|<=|!=|==|=|>|<)?(.*)", flags=re.DOTALL)
_FURTHER = re.compile(r",\s*(?=[<>=!])")  # a comma in a duration is followed by no sign
_RULE = (
    "None, a value, a comparison like '>=65', '>=3, <9', '!=0' or '18..65', a pair (low, high) of "
    "numbers, or a list of these"
)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Values of a column: all those of some codes, or those of all codes that lie in a range.

    Args:
        likelihood: for each code the share of its values that the part holds, from 0 to 1.
        span: where those values are; None where they are all values of their codes.
    """

    likelihood: NDArray[np.float64]
    span: Span | None


@final
@dataclass(frozen=True, kw_only=True)
class Condition:
    """The values of a column that satisfy a condition.

    Args:
        column: the public description of the column.
        spans: disjoint and ascending: of numbers, or of the codes of categories.
        missing: whether a missing value satisfies it.
    """

    column: Column
    spans: tuple[Span, ...]
    missing: bool = False

    def __or__(self, other: "Condition") -> "Condition":
        return any_of(self.column, (self, other))

    def __and__(self, other: "Condition") -> "Condition":
        common = [
            (max(low, lower), min(high, upper))
            for low, high in self.spans
            for lower, upper in other.spans
            if max(low, lower) <= min(high, upper)
        ]
        missing = self.missing and other.missing
        return Condition(column=self.column, spans=tuple(common), missing=missing)

    def __invert__(self) -> "Condition":
        gaps: list[Span] = []
        start, end = _bounds(self.column)
        for low, high in self.spans:
            if start < low:
                gaps.append((start, _before(self.column, low)))
            start = _after(self.column, high)
        if start <= end:
            gaps.append((start, end))
        missing = self.column.missing and not self.missing
        return Condition(column=self.column, spans=tuple(gaps), missing=missing)

    def holds(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which values satisfy it: numbers, or codes of categories; none is missing."""
        low, high = np.array(self.spans, dtype=np.float64).reshape(-1, 2).T
        return np.searchsorted(low, values, side="right") > np.searchsorted(high, values)

    def edges(self) -> tuple[float, ...]:
        """Return the values that satisfy it while those just below do not, or the other way round,
        ascending; what is below the column's least value is not asked about."""
        lower, upper = _bounds(self.column)
        ends = [end for low, high in self.spans for end in (low, _after(self.column, high))]
        return tuple(float(end) for end in ends if lower < end <= upper)

    def cuts(self) -> NDArray[np.bool_]:
        """Return for each code but that of a missing value whether only some of its values satisfy
        the condition."""
        if isinstance(self.column, CategoricalColumn):
            return np.zeros(len(self.column.categories), dtype=np.bool_)
        first, last = code_values(self.column)
        below, inside = (np.searchsorted(self.edges(), v, side="right") for v in (first, last))
        return below < inside

    def parts(self) -> tuple[Part, ...]:
        """Return disjoint parts that make up the condition; none where no record satisfies it.

        There is one part, unless two spans cut bins in two.
        """
        shares = [share_of_codes(self.column, span) for span in self.spans]
        absent = np.zeros(self.column.size)
        absent[-1] = self.missing
        if len(shares) == 1:
            # A share of real numbers can be 1 when rounded and not hold the ends of its bin.
            span = self.spans[0] if self.cuts().any() else None
            found = [Part(likelihood=shares[0] + absent, span=span)]
        else:
            whole = sum([np.where(share == 1, 1.0, 0.0) for share in shares], absent)
            found = [Part(likelihood=whole, span=None)] + [
                Part(likelihood=np.where(share < 1, share, 0.0), span=span)
                for share, span in zip(shares, self.spans, strict=True)
            ]
        return tuple(part for part in found if part.likelihood.any())


def any_of(column: Column, conditions: Iterable[Condition]) -> Condition:
    """Return what at least one of some conditions on `column` asks for; of none, nothing."""
    found = list(conditions)
    joined: list[Span] = []
    for low, high in sorted(span for one in found for span in one.spans):
        if joined and low <= _after(column, joined[-1][1]):
            joined[-1] = joined[-1][0], max(high, joined[-1][1])
        else:
            joined.append((low, high))
    missing = any(one.missing for one in found)
    return Condition(column=column, spans=tuple(joined), missing=missing)


def share_of_codes(column: Column, span: Span) -> NDArray[np.float64]:
    """Return for each code the share of its values that lie in `span`, both ends included.

    Within a bin values spread as the column's pieces say; the code for missing values has none.
    """
    found = np.zeros(column.size)
    if isinstance(column, CategoricalColumn):
        low, high = span
        found[int(low) : int(high) + 1] = 1.0
    else:
        # A bin's pieces weigh 1 together, up to rounding.
        share = value_law(column, span).mass
        found[: column.size - column.missing] = np.where(share > 1 - 1e-12, 1.0, share)
    return found


def parse_conditions(schema: "Schema", where: Mapping[str, Any]) -> dict[str, Condition]:
    """Return the condition on each column that `where` names.

    Args:
        schema: the public description of the records.
        where: column -> what `parse_condition` understands.

    Raises:
        InvalidValueError: no mapping; otherwise as of `parse_condition`.
        UnknownNameError: a column that the schema lacks, or a category that its column lacks.
    """
    if not isinstance(where, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidValueError("where", where, "a mapping from columns to conditions")
    return {name: parse_condition(schema.column(name), value) for name, value in where.items()}


def parse_condition(column: Column, value: Any) -> Condition:
    """Return the values of `column` that `value` asks for.

    Args:
        column: the public description of the column.
        value: what `read_condition` understands; a pair (low, high) of numbers, both included, None
            for no bound; or a list or set of these, any of which a record may satisfy.

    Raises:
        InvalidValueError: something else, or what no value of the column satisfies.
        UnknownNameError: a category that the column lacks; close ones are named.
    """
    plain = _plain(value)
    number = not isinstance(column, CategoricalColumn)
    if isinstance(plain, tuple) and number:
        found = _range(column, cast("tuple[Any, ...]", plain))
    elif isinstance(plain, Collection) and not isinstance(plain, str | bytes | Mapping):
        found = _union(column, cast("Collection[Any]", plain))
    else:
        found = read_condition(column, plain)
    if not found.parts():
        raise InvalidValueError(f"the condition on {column.name!r}", value, _possible(column))
    return found


def read_condition(column: Column, value: Any) -> Condition:
    """Return the values of `column` that one condition asks for, perhaps none.

    Args:
        column: the public description of the column.
        value: None, the empty text or "missing" for a missing value; "present" or "!=" for any
            other; a category or a number; or a comparison as text ('>=65', '<3', '!=divorced',
            '18..65' with both ends), of numbers several that hold together ('>=3, <9'). What is a
            category is read as one.

    Raises:
        InvalidValueError: something else.
        UnknownNameError: a category that the column lacks; close ones are named.
    """
    word = missing_word(column, value)
    absent = value is None or value == "" or (isinstance(value, float) and isnan(value))
    if absent or word == MISSING:
        return Condition(column=column, spans=(), missing=column.missing)
    if isinstance(column, CategoricalColumn) and word != PRESENT:
        return _category(column, value)
    found = _other_than(Condition(column=column, spans=()))
    if word != PRESENT:
        for text in _FURTHER.split(value) if isinstance(value, str) else [value]:
            found &= _compared(column, text, value)
    return found


def missing_word(column: Column, value: Any) -> str | None:
    """Return MISSING or PRESENT where a condition says one of them, or "!=", which is PRESENT too;
    None for any other, and for a category of that name."""
    text = value.strip() if isinstance(value, str) else None
    word = PRESENT if text == "!=" else text
    if word not in (MISSING, PRESENT):
        return None
    named = isinstance(column, CategoricalColumn) and _spelled(column, value) in spellings(column)
    return None if named else word


def _union(column: Column, values: Iterable[Any]) -> Condition:
    return any_of(column, (parse_condition(column, value) for value in values))


def _category(column: CategoricalColumn, value: Any) -> Condition:
    codes = spellings(column)
    category = _spelled(column, value)
    if category in codes:
        code = codes[category]
        return Condition(column=column, spans=((code, code),))
    if isinstance(value, str) and value.startswith("!="):
        other = value[2:] if _spelled(column, value[2:]) in codes else value[2:].strip()
        return _other_than(_category(column, other))
    known = [str(category) for category in column.categories]
    raise UnknownNameError(f"category of {column.name!r}", str(value), known)


def _spelled(column: CategoricalColumn, value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise InvalidValueError(f"the condition on {column.name!r}", value, _RULE)
    return spelling(value, type(column.categories[0]))


def _compared(column: Column, value: Any, written: Any) -> Condition:
    """Return what a number, or a text with a comparison, asks of a column of numbers."""
    first, dots, last = value.partition("..") if isinstance(value, str) else (value, "", "")
    if dots:
        return _between(column, _number(column, first, written), _number(column, last, written))
    match = _COMPARISON.fullmatch(value.strip()) if isinstance(value, str) else None
    sign, text = match.groups() if match else (None, value)
    number = _number(column, text, written)
    # What is above a number is what is not at most that number.
    low = -inf if sign in ("<=", ">") else number
    high = inf if sign in (">=", "<") else number
    found = _between(column, low, high)
    return _other_than(found) if sign in (">", "<", "!=") else found


def _other_than(condition: Condition) -> Condition:
    """Return what every value satisfies that does not satisfy `condition`; none is missing."""
    rest = ~condition
    return Condition(column=condition.column, spans=rest.spans)


def _range(column: Column, pair: tuple[Any, ...]) -> Condition:
    if len(pair) != 2:
        raise InvalidValueError(f"the condition on {column.name!r}", pair, _RULE)
    low, high = pair
    return _between(
        column,
        -inf if low is None else _number(column, low, pair),
        inf if high is None else _number(column, high, pair),
    )


def _number(column: Column, value: Any, written: Any) -> float:
    plain = _plain(value)
    if isinstance(column, IntegerColumn) and column.clock is not None:
        return _tick(column, column.clock, plain, written)
    try:
        number = nan if isinstance(plain, bool) else float(plain)
    except (TypeError, ValueError, OverflowError):
        number = nan
    if not isfinite(number):
        raise InvalidValueError(f"the condition on {column.name!r}", written, _RULE)
    return number


def _tick(column: IntegerColumn, clock: Clock, value: Any, written: Any) -> float:
    try:
        return clock.tick(column.name, "the condition", value)
    except SchemaError:
        rule = f"a {clock.kind} or a comparison with one, as '>={clock.text(column.lower)}'"
        raise InvalidValueError(f"the condition on {column.name!r}", written, rule) from None


def _plain(value: Any) -> Any:
    return cast("Any", value).item() if isinstance(value, np.generic) else value


def _between(column: Column, low: float, high: float) -> Condition:
    """Return the numbers of the column from `low` to `high`, both included."""
    lower, upper = _bounds(column)
    least, most = max(low, lower), min(high, upper)
    if isinstance(column, IntegerColumn):
        least, most = ceil(least), floor(most)
    return Condition(column=column, spans=((least, most),) if least <= most else ())


def _bounds(column: Column) -> Span:
    if isinstance(column, CategoricalColumn):
        return 0, len(column.categories) - 1
    return column.lower, column.upper


def _after(column: Column, value: float) -> float:
    return value + 1 if _discrete(column) else nextafter(value, inf)


def _before(column: Column, value: float) -> float:
    return value - 1 if _discrete(column) else nextafter(value, -inf)


def _discrete(column: Column) -> bool:
    return isinstance(column, CategoricalColumn | IntegerColumn)


def _possible(column: Column) -> str:
    absent = " or a missing one" if column.missing else "; none is missing"
    if isinstance(column, CategoricalColumn):
        return f"satisfied by a category of the column{absent}"
    if isinstance(column, IntegerColumn):
        return f"satisfied by a whole number from {column.lower} to {column.upper}{absent}"
    between = f"from {column.lower:g} to {column.upper:g}"
    if column.decimals is not None:
        return f"satisfied by a number of {column.decimals} decimals {between}{absent}"
    return (
        f"satisfied by a range of numbers {between}, "
        f"since a single one has no share of the records{absent}"
    )
