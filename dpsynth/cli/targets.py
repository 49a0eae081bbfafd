"""Options that say what metrics of prediction predict."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dpsynth.cli.options import F
    from dpsynth.data.datasets import Target
    from dpsynth.data.schema import Schema


def target_options(command: "F") -> "F":
    """Add --target, --above and --positive."""
    column = click.option(
        "--target", metavar="COLUMN", help="Column that metrics of prediction predict."
    )
    above = click.option(
        "--above", type=float, help="A numeric target is positive above this value."
    )
    positive = click.option("--positive", help="A categorical target is positive at this category.")
    return column(above(positive(command)))


def target_of(schema: "Schema", *, target: str | None, **rule: Any) -> "Target | None":
    """Return what the options name, None where they name no column.

    Args:
        schema: of the records.
        target: the column.
        rule: `above` and `positive`, as of `Target`.

    Raises:
        UnknownNameError: no such column.
        InvalidValueError: both rules or neither.
    """
    from dpsynth.data.datasets import Target

    if target is None:
        return None
    schema.column(target)
    return Target(column=target, **rule)
