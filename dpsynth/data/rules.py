"""The constraints of a schema, worked out: cells that are impossible, records that break one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Self, cast, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import code_values
from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.data.constraints import Constraint, Ordered
from dpsynth.data.domain import Clique
from dpsynth.data.orders import Orders
from dpsynth.data.value_sets import Bools, Numbers
from dpsynth.errors import DpsynthError, SchemaError, UnknownNameError

CELLS = 2**24
"""Most cells of the columns of one rule: an array of truth values for each is kept."""

Codes = NDArray[np.int64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Rules:
    """What constraints rule out, by codes, and by values where codes leave it open.

    Args:
        columns: of the schema, in its order.
        constraints: on these columns.
        tables: for each constraint its cliques and which of their cells break it.
        orders: all orders together; they have no tables.
    """

    columns: Mapping[str, Column]
    constraints: tuple[Constraint, ...]
    tables: tuple[Mapping[Clique, Bools], ...]
    orders: Orders

    @classmethod
    def of(cls, columns: Sequence[Column], constraints: Sequence[Constraint]) -> Self:
        """Return the rules that `constraints` make of `columns`.

        Raises:
            SchemaError: a condition that cuts a bin (`split_columns` splits those) or that no value
                meets, orders in a circle, or a rule of too many cells.
            UnknownNameError: a category that a column lacks.
        """
        named = {column.name: column for column in columns}
        tables = list[Mapping[Clique, Bools]]()
        for number, constraint in enumerate(constraints, start=1):
            try:
                tables.append(_tables(named, constraint))
            except DpsynthError as error:
                error.add_note(f"in constraint {number}")
                raise
        orders = Orders.of(named, [c for c in constraints if isinstance(c, Ordered)])
        return cls(
            columns=named, constraints=tuple(constraints), tables=tuple(tables), orders=orders
        )

    @cached_property
    def impossible(self) -> Mapping[Clique, Bools]:
        """Clique -> True for each of its cells that no record can be in; cliques and axes in the
        schema's order, and each clique once."""
        found: dict[Clique, Bools] = {}
        order = list(self.columns)
        for clique, broken in self._parts():
            key = tuple(sorted(clique, key=order.index))
            zeros = broken.transpose([clique.index(a) for a in key])
            found[key] = found[key] | zeros if key in found else zeros
        return found

    def _parts(self) -> Iterator[tuple[Clique, Bools]]:
        for table in self.tables:
            yield from table.items()
        for clique in self.orders.cliques():
            _check_cells(self.columns, clique)
            yield clique, self.orders.broken(clique)

    def values(self, arrays: Mapping[str, Any]) -> dict[str, Numbers]:
        """Return the values of the columns in some rule as numbers, NaN where missing.

        Args:
            arrays: pandas arrays of all columns, as a table holds them.
        """
        involved = dict.fromkeys(name for c in self.constraints for name in c.involved)
        return {name: numbers(self.columns[name], arrays[name]) for name in involved}

    def broken(self, values: Mapping[str, Numbers]) -> list[Bools]:
        """Return for each constraint which records break it.

        Args:
            values: as `values` returns them.
        """
        codes = {name: codes_of(self.columns[name], of) for name, of in values.items()}
        rows = len(next(iter(values.values())))
        found: list[Bools] = []
        for constraint, table in zip(self.constraints, self.tables, strict=True):
            broken = np.zeros(rows, dtype=np.bool_)
            for clique, zeros in table.items():
                broken |= zeros[tuple(codes[name] for name in clique)]
            if isinstance(constraint, Ordered):
                lower, upper = values[constraint.lower], values[constraint.upper]
                broken = lower >= upper if constraint.strict else lower > upper
            found.append(broken)
        return found


def numbers(column: Column, array: Any) -> Numbers:
    """Return a pandas array of a column as numbers: positions of categories, NaN where missing."""
    if isinstance(column, CategoricalColumn):
        positions = np.asarray(array.codes, dtype=np.float64)
        return np.where(positions < 0, np.nan, positions)
    if isinstance(array, np.ndarray):
        return cast("NDArray[Any]", array).astype(np.float64)
    return array.to_numpy(dtype=np.float64, na_value=np.nan)


def codes_of(column: Column, values: Numbers) -> Codes:
    """Return the codes of values as `numbers` has them."""
    first, _ = code_values(column)
    codes = np.searchsorted(first, values, side="right") - 1
    return np.where(np.isnan(values), column.size - 1, codes)


def check_constraints(columns: Sequence[Column], constraints: Sequence[object]) -> None:
    """Refuse what is no constraint, or speaks of columns that are not there or are no numbers.

    Raises:
        SchemaError: no constraint, or an order of categories.
        UnknownNameError: no such column.
    """
    named = {column.name: column for column in columns}
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise SchemaError(
                None, constraint, "constraints are values of dpsynth.data.constraints"
            )
        for name in constraint.involved:
            if name not in named:
                raise UnknownNameError("column of a constraint", name, named)
        for name in constraint.numeric:
            if isinstance(named[name], CategoricalColumn):
                raise SchemaError(name, "categorical", "only numbers have an order")


def _tables(columns: Mapping[str, Column], constraint: Constraint) -> Mapping[Clique, Bools]:
    found: dict[Clique, Bools] = {}
    for clause in constraint.clauses():
        _check_cells(columns, clause.columns)
        key = clause.columns
        if key not in found:
            found[key] = np.zeros([columns[name].size for name in key], dtype=np.bool_)
        clause.mark(columns, found[key])
    return found


def _check_cells(columns: Mapping[str, Column], clique: Clique) -> None:
    cells = prod(columns[name].size for name in clique)
    if cells > CELLS:
        rule = f"its columns have {cells} cells of codes together, and may have {CELLS}"
        raise SchemaError(None, " x ".join(clique), f"a constraint is too large: {rule}")
