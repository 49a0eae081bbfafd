"""Constraints at the doors of a table: what becomes of records, and of values that are drawn."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.rules import numbers
from dpsynth.data.schema import Schema
from dpsynth.errors import DataError, NoRecordsError


def keeping(schema: Schema, arrays: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """Return which records keep all constraints; None where all do.

    Whether a record is left out is a public function of that record alone: tables that differ in
    the records of one unit differ in those, or in some of those, afterwards.

    Args:
        schema: its `on_violation` says whether to refuse or to leave out.
        arrays: pandas arrays of all columns.

    Raises:
        DataError: a record breaks a constraint and is not to be dropped.
        NoRecordsError: none is left.
    """
    rules = schema.rules
    values = rules.values(arrays)
    broken = rules.broken(values)
    wrong = np.logical_or.reduce(broken)
    if not wrong.any():
        return None
    if schema.on_violation == "error":
        number = next(i for i, rows in enumerate(broken) if rows.any())
        row = int(np.flatnonzero(broken[number])[0])
        constraint = schema.constraints[number]
        found = {name: _plain(arrays[name][row]) for name in constraint.involved}
        rule = f"constraint {number + 1} of the schema ({type(constraint).__name__}) forbids it"
        raise DataError(None, found, rule)
    if wrong.all():
        raise NoRecordsError("no rows that keep the constraints")
    return ~wrong


def arrange(
    schema: Schema,
    codes: NDArray[np.integer[Any]],
    decoded: list[Any],
    *,
    rng: np.random.Generator,
) -> None:
    """Put decoded columns in the orders that the schema declares, in place.

    Args:
        schema: whose columns and constraints they are.
        codes: one row a record; each stays within its bins.
        decoded: pandas arrays, one a column.
        rng: source of values that are drawn again.

    Raises:
        DataError: codes that no values in order have.
    """
    orders = schema.rules.orders
    if not orders.columns:
        return
    places = {name: schema.names.index(name) for name in orders.columns}
    own = {name: codes[:, i].astype(np.int64) for name, i in places.items()}
    for clique in orders.cliques():
        if orders.broken(clique)[tuple(own[name] for name in clique)].any():
            raise DataError(None, clique, "its codes have no values in the order declared")
    values = {name: numbers(schema.column(name), decoded[i]) for name, i in places.items()}
    for name, found in orders.arranged(values, own, rng=rng).items():
        decoded[places[name]] = _like(decoded[places[name]], found)


def _like(array: Any, values: NDArray[np.float64]) -> Any:
    """Return numbers as a pandas array of the same kind as `array`."""
    import pandas as pd

    if isinstance(array, np.ndarray):
        return values.astype(cast("NDArray[Any]", array).dtype)
    absent = np.isnan(values)
    return pd.arrays.IntegerArray(np.where(absent, 0, values).astype(np.int64), absent)


def _plain(value: Any) -> object:
    import pandas as pd

    if pd.isna(value):
        return None
    return cast("Any", value).item() if isinstance(value, np.generic) else value
