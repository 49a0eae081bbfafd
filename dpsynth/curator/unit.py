"""The unit of privacy: what the records must keep for a budget to mean what it says."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.counting import Counter
from dpsynth.data.identity import countable_unit
from dpsynth.errors import DataError, InvalidValueError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from dpsynth.curator.blocks import StoredRecords
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table


def check_unit(schema: "Schema", budget: Budget) -> None:
    """Refuse a budget for another unit of privacy than the schema's.

    Raises:
        InvalidValueError: another unit, or fewer rows a unit.
    """
    if budget.unit != schema.unit:
        raise InvalidValueError("unit of the budget", budget.unit, f"the schema's, {schema.unit!r}")
    if budget.max_rows_per_unit < schema.max_rows_per_unit:
        raise InvalidValueError(
            "max_rows_per_unit of the budget",
            budget.max_rows_per_unit,
            f"at least the schema's, {schema.max_rows_per_unit}",
        )


def check_counted_unit(counter: Counter, schema: "Schema", budget: Budget) -> None:
    """Refuse a unit with too many rows among records that can only be counted, not sampled.

    Raises:
        InvalidValueError: several identifiers may share a code.
        DataError: a unit with more rows than declared.
    """
    column = countable_unit(schema.unit, schema.columns)
    if column is not None:
        check_rows(int(counter.counts((column.name,)).max()), budget)


def check_rows(rows: int, budget: Budget) -> None:
    """Refuse a unit of more than so many rows as the budget allows.

    Raises:
        DataError: it has more.
    """
    if rows > budget.max_rows_per_unit:
        rule = f"a unit may have at most {budget.max_rows_per_unit} rows"
        raise DataError(budget.unit, "a unit with more rows than declared", rule)


def bounded(
    table: "Table", codes: NDArray[np.integer[Any]], noise: NoiseSource
) -> NDArray[np.integer[Any]]:
    """Return `codes` with at most `max_rows_per_unit` rows of each unit, sampled uniformly.

    Where the records carry no identifier all rows stay: then the bound is a promise (`promises`).

    Args:
        table: says which rows belong together.
        codes: its encoded records.
        noise: source of the choice.
    """
    units, most = table.units, table.schema.max_rows_per_unit
    if units is None:
        return codes
    kept = kept_rows(units, most, noise.words(len(units)))
    # Columns stay contiguous, as the counter wants them.
    return codes if len(kept) == len(codes) else codes.T[:, kept].T


def kept_rows(units: NDArray[np.int64], most: int, words: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the positions of the `most` rows of each unit that have the least words, in order.

    With independent uniform words each unit of more rows keeps a uniformly random subset of them.

    Stability: whether a row stays depends on the words of its own unit alone. Words are independent
    of one another, so two tables that differ in one unit can be given the same words for all rows
    that they share, without a change of law; then all other units keep the same rows, and the
    tables differ in at most `most` rows that come or go, or that become at most `most` others.
    Whatever is (epsilon, delta)-private, or private in any divergence that is jointly
    quasi-convex, for such tables is so on average over the words.

    Args:
        units: a number for each row, equal for rows of one unit.
        most: the largest number of rows of a unit, at least 1.
        words: one a row. Where two rows of a unit have the same (once in 2**64 pairs) the first
            goes before the second, which depends on their own unit too.

    Reference: McSherry 2009 (stable transformations, PINQ); Wilson et al. 2020 (contributions of a
        user bounded by sampling).
    """
    order = np.lexsort((words, units))
    first = np.ones(len(units), dtype=np.bool_)
    first[1:] = np.diff(units[order]) != 0
    starts = np.flatnonzero(first)
    rank = np.arange(len(units)) - starts[np.cumsum(first) - 1]
    return np.sort(order[rank < most])


def promises(records: "Table | StoredRecords") -> tuple[str, ...]:
    """Return what the guarantee takes on trust about the unit, for the receipt."""
    schema = records.schema
    if schema.unit in ("record", *schema.names) or records.units is not None:
        return ()
    return (
        f"at most {schema.max_rows_per_unit} row(s) of a {schema.unit}, promised and not enforced: "
        "the records carry no identifier",
    )
