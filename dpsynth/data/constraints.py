"""Public knowledge about records: what values can occur together.

A missing value breaks no rule, unless a condition names it ("missing", "present").
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import Column
from dpsynth.data.domain import Clique
from dpsynth.data.value_sets import Bools, Condition, plain_condition, value_set
from dpsynth.errors import SchemaError

Conditions: TypeAlias = tuple[tuple[str, Condition], ...]


class Constraint(ABC):
    """A rule that every record keeps. Values: final, frozen, and checked when made."""

    @property
    @abstractmethod
    def involved(self) -> Clique:
        """The columns that it speaks of, each once."""

    @property
    @abstractmethod
    def numeric(self) -> Clique:
        """Those of them that must be numbers."""

    @abstractmethod
    def clauses(self) -> Iterator["Clause"]:
        """Yield the rules that it stands for, each about as few columns as can be."""


@final
@dataclass(frozen=True, kw_only=True)
class Clause:
    """A rule that codes decide: it names conditions of some columns, cell by cell.

    Args:
        columns: at least one.
        listed: conditions that hold together; any of these combinations is meant.
        unless: the rule is broken where a combination holds and this does not; None: where it does.
        inverted: the rule is broken where none holds.
    """

    columns: Clique
    listed: tuple[Conditions, ...]
    unless: tuple[str, Condition] | None = None
    inverted: bool = False

    def mark(self, columns: Mapping[str, Column], broken: Bools) -> None:
        """Mark in `broken` the cells that break it; only those that a row speaks of are touched.

        Args:
            columns: all columns of the schema.
            broken: truth values of the cells of the clause's columns, axes in their order.

        Raises:
            SchemaError, UnknownNameError: a condition that a column cannot tell by its codes.
        """
        spoken: set[str] = set()  # columns of which a condition names a missing value

        def meets(column: str, condition: Condition) -> Bools:
            found = value_set(columns[column], condition)
            if found.about_missing:
                spoken.add(column)
            return found.codes()

        rows = [self._cells(columns, row, meets) for row in self.listed]
        if self.inverted:
            none = np.ones(broken.shape, dtype=np.bool_)
            for cells in rows:
                none[np.ix_(*cells)] = False
            for column in self.columns:
                none &= self._along(column, self._bound(columns[column], spoken))
            broken |= none
            return
        wrong = np.ones((1,) * len(self.columns), dtype=np.bool_)
        if self.unless is not None:
            column, condition = self.unless
            wrong = ~meets(column, condition) & self._bound(columns[column], spoken)
            wrong = self._along(column, wrong)
        for cells in rows:
            broken[np.ix_(*cells)] |= wrong

    def _cells(
        self,
        columns: Mapping[str, Column],
        row: Conditions,
        meets: Callable[[str, Condition], Bools],
    ) -> list[NDArray[np.intp]]:
        """Return for each of the clause's columns the codes that meet the conditions of a row."""
        admitted: dict[str, Bools] = {}
        for column, condition in row:
            found = meets(column, condition)
            admitted[column] = admitted[column] & found if column in admitted else found
        return [
            np.flatnonzero(admitted[c]) if c in admitted else np.arange(columns[c].size)
            for c in self.columns
        ]

    def _bound(self, column: Column, spoken: Collection[str]) -> Bools:
        """Return which codes of a column can break a rule that names none of its missing values."""
        codes = np.ones(column.size, dtype=np.bool_)
        codes[-1] = not column.missing or column.name in spoken
        return codes

    def _along(self, column: str, codes: Bools) -> Bools:
        """Return truth values of a column's codes along its own axis."""
        at = self.columns.index(column)
        return codes.reshape([-1 if i == at else 1 for i in range(len(self.columns))])


@final
@dataclass(frozen=True, kw_only=True)
class Forbidden(Constraint):
    """No record meets all of these conditions at once.

    Args:
        when: column -> condition, at least one.

    Raises:
        SchemaError: no condition, or one of a wrong type.
    """

    when: Mapping[str, Condition] | Conditions

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", _conditions("when", self.when))

    @property
    def involved(self) -> Clique:
        return tuple(c for c, _ in _pairs(self.when))

    @property
    def numeric(self) -> Clique:
        return ()

    def clauses(self) -> Iterator[Clause]:
        yield Clause(columns=self.involved, listed=(_pairs(self.when),))


@final
@dataclass(frozen=True, kw_only=True)
class Within(Constraint):
    """A record that meets all conditions of `when` meets all of `then`.

    Args:
        when: column -> condition, at least one.
        then: column -> condition, at least one; none of the columns of `when`.

    Raises:
        SchemaError: no condition, one of a wrong type, or a column in both.
    """

    when: Mapping[str, Condition] | Conditions
    then: Mapping[str, Condition] | Conditions

    def __post_init__(self) -> None:
        for field in ("when", "then"):
            object.__setattr__(self, field, _conditions(field, getattr(self, field)))
        _check_once("a column is in when or in then", self.involved)

    @property
    def involved(self) -> Clique:
        return tuple(c for c, _ in (*_pairs(self.when), *_pairs(self.then)))

    @property
    def numeric(self) -> Clique:
        return ()

    def clauses(self) -> Iterator[Clause]:
        when = _pairs(self.when)
        for column, condition in _pairs(self.then):
            names = (*(c for c, _ in when), column)
            yield Clause(columns=names, listed=(when,), unless=(column, condition))


@final
@dataclass(frozen=True, kw_only=True)
class Determines(Constraint):
    """Columns decide another one: a functional dependency whose mapping is public.

    Args:
        columns: the columns that decide, at least one.
        determined: the column that they decide, none of them.
        mapping: rows of one condition for each of `columns`, and what `determined` then is. A
            combination that no row names leaves `determined` free.

    Raises:
        SchemaError: a column twice, no row, or a row of another length.
    """

    columns: tuple[str, ...]
    determined: str
    mapping: tuple[tuple[Condition, ...], ...]

    def __post_init__(self) -> None:
        columns = _names("columns", self.columns)
        _check_name("determined", self.determined)
        object.__setattr__(self, "columns", columns)
        _check_once("each column is named once", self.involved)
        object.__setattr__(self, "mapping", _rows("mapping", self.involved, self.mapping))

    @property
    def involved(self) -> Clique:
        return (*self.columns, self.determined)

    @property
    def numeric(self) -> Clique:
        return ()

    def clauses(self) -> Iterator[Clause]:
        # Rows that decide the same say one thing, in one pass over the cells.
        decided: dict[Condition, list[Conditions]] = {}
        for *given, value in self.mapping:
            row = tuple(zip(self.columns, given, strict=True))
            decided.setdefault(value, []).append(row)
        for value, rows in decided.items():
            yield Clause(columns=self.involved, listed=tuple(rows), unless=(self.determined, value))


@final
@dataclass(frozen=True, kw_only=True)
class Combinations(Constraint):
    """Only listed combinations of columns occur.

    Args:
        columns: at least two.
        allowed: rows of one condition for each of them, at least one.

    Raises:
        SchemaError: a column twice, a single one, no row, or a row of another length.
    """

    columns: tuple[str, ...]
    allowed: tuple[tuple[Condition, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", _names("columns", self.columns))
        if len(self.columns) < 2:
            raise SchemaError(None, self.columns, "columns names at least two")
        _check_once("each column is named once", self.columns)
        object.__setattr__(self, "allowed", _rows("allowed", self.columns, self.allowed))

    @property
    def involved(self) -> Clique:
        return self.columns

    @property
    def numeric(self) -> Clique:
        return ()

    def clauses(self) -> Iterator[Clause]:
        rows = tuple(tuple(zip(self.columns, row, strict=True)) for row in self.allowed)
        yield Clause(columns=self.columns, listed=rows, inverted=True)


@final
@dataclass(frozen=True, kw_only=True)
class Ordered(Constraint):
    """One number is at most another, or below it. Orders add up: a before b before c puts a before
    c, also where b is missing.

    Args:
        lower: the column of the lesser value.
        upper: the column of the larger one.
        strict: whether equal values are ruled out.

    Raises:
        SchemaError: a column that is no text, or the same twice.
    """

    lower: str
    upper: str
    strict: bool = False

    def __post_init__(self) -> None:
        for field in ("lower", "upper"):
            _check_name(field, getattr(self, field))
        if not isinstance(self.strict, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SchemaError(None, self.strict, "strict must be true or false")
        _check_once("lower and upper are two columns", self.involved)

    @property
    def involved(self) -> Clique:
        return (self.lower, self.upper)

    @property
    def numeric(self) -> Clique:
        return self.involved

    def clauses(self) -> Iterator[Clause]:
        return iter(())  # what orders rule out, they rule out together (`Orders`)


def _pairs(conditions: Mapping[str, Condition] | Conditions) -> Conditions:
    return cast("Conditions", conditions)  # what __post_init__ made of it


def _conditions(field: str, value: object) -> Conditions:
    items: object = value
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
    if isinstance(items, str) or not isinstance(items, Iterable):
        raise SchemaError(None, repr(items), f"{field} must be a table of column = condition")
    pairs = list[tuple[str, Condition]]()
    for item in cast("Iterable[object]", items):
        two = cast("tuple[object, ...]", item) if isinstance(item, tuple) else ()
        if len(two) != 2:
            raise SchemaError(None, str(two), f"{field} must be a table of column = condition")
        column = _check_name(field, two[0])
        pairs.append((column, plain_condition(column, two[1])))
    if not pairs:
        raise SchemaError(None, {}, f"{field} must have at least one condition")
    return tuple(pairs)


def _names(field: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SchemaError(None, value, f"{field} must be a list of columns")
    names = tuple(_check_name(field, name) for name in cast("Iterable[object]", value))
    if not names:
        raise SchemaError(None, [], f"{field} must name at least one column")
    return names


def _rows(field: str, columns: Clique, value: object) -> tuple[tuple[Condition, ...], ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SchemaError(None, value, f"{field} must be a list of rows")
    found = list[tuple[Condition, ...]]()
    for row in cast("Iterable[object]", value):
        cells = list(cast("list[object]", row)) if isinstance(row, list | tuple) else []
        if len(cells) != len(columns):
            rule = f"each row of {field} is a list of {len(columns)}, for {', '.join(columns)}"
            raise SchemaError(None, cast("object", row), rule)
        found.append(
            tuple(plain_condition(c, cell) for c, cell in zip(columns, cells, strict=True))
        )
    if not found:
        raise SchemaError(None, [], f"{field} must have at least one row")
    return tuple(found)


def _check_name(field: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise SchemaError(None, value, f"{field} must name a column")
    return value


def _check_once(rule: str, names: Clique) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(None, name, rule)
