"""The unit of privacy: what the records must keep for a budget to mean what it says."""

from typing import TYPE_CHECKING

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
    if budget.unit != schema.unit:
        raise InvalidValueError("unit of the budget", budget.unit, f"the schema's, {schema.unit!r}")
    if budget.max_rows_per_unit < schema.max_rows_per_unit:
        raise InvalidValueError(
            "max_rows_per_unit of the budget",
            budget.max_rows_per_unit,
            f"at least the schema's, {schema.max_rows_per_unit}",
        )
    if schema.unit in schema.names:
        most = int(table.frame[schema.unit].value_counts(dropna=False).max())
        if most > budget.max_rows_per_unit:
            rule = f"a unit may have at most {budget.max_rows_per_unit} rows"
            raise DataError(schema.unit, "a unit with more rows than declared", rule)
