"""The unit of privacy: what the records must keep for a budget to mean what it says."""

from typing import TYPE_CHECKING

from dpsynth.curator.counting import Counter
from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.schema import Schema
from dpsynth.errors import DataError, InvalidValueError
from dpsynth.privacy.budget import Budget

if TYPE_CHECKING:
    from dpsynth.data.table import Table


def check_unit(table: "Table", budget: Budget) -> None:
    """Refuse records that the budget's unit of privacy does not describe.

    Raises:
        InvalidValueError: another unit than the schema's, or fewer rows a unit.
        DataError: a unit with more rows than declared.
    """
    schema = table.schema
    _check_promise(schema, budget)
    if schema.unit in schema.names:
        most = int(table.frame[schema.unit].value_counts(dropna=False).max())
        _check_most(schema, budget, most)


def check_counted_unit(counter: Counter, schema: Schema, budget: Budget) -> None:
    """Do what `check_unit` does for records that can only be counted.

    Raises:
        InvalidValueError, DataError: as there; or several identifiers may share a code.
    """
    _check_promise(schema, budget)
    if schema.unit in schema.names:
        column = schema.column(schema.unit)
        if not _one_code_a_value(column):
            rule = "with a code for each of its values, or records that fit into memory"
            raise InvalidValueError("the unit's column", column.name, rule)
        _check_most(schema, budget, int(counter.counts((column.name,)).max()))


def _check_promise(schema: Schema, budget: Budget) -> None:
    if budget.unit != schema.unit:
        raise InvalidValueError("unit of the budget", budget.unit, f"the schema's, {schema.unit!r}")
    if budget.max_rows_per_unit < schema.max_rows_per_unit:
        raise InvalidValueError(
            "max_rows_per_unit of the budget",
            budget.max_rows_per_unit,
            f"at least the schema's, {schema.max_rows_per_unit}",
        )


def _check_most(schema: Schema, budget: Budget, most: int) -> None:
    if most > budget.max_rows_per_unit:
        rule = f"a unit may have at most {budget.max_rows_per_unit} rows"
        raise DataError(schema.unit, "a unit with more rows than declared", rule)


def _one_code_a_value(column: Column) -> bool:
    if isinstance(column, IntegerColumn):
        return not column.binned
    return isinstance(column, CategoricalColumn)
