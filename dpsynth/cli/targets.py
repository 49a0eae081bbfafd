"""Options that say what metrics of prediction predict."""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dpsynth.cli.options import F
    from dpsynth.data.datasets import Target
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table


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


def target_of(
    schema: "Schema", *, target: str | None, real: "Table | None" = None, **rule: Any
) -> "Target | None":
    """Return what the options name, None where they name no column.

    Args:
        schema: of the records.
        target: the column.
        real: records that tell what is positive where no rule does; None: it has to be said.
        rule: `above` and `positive`, as of `Target`.

    Raises:
        UnknownNameError: no such column.
        InvalidValueError: both rules, or neither and no records or no two values in them.
    """
    from dpsynth.data.datasets import Target

    if target is None:
        return None
    schema.column(target)
    if real is None or any(value is not None for value in rule.values()):
        return Target(column=target, **rule)
    found = _halving(real, target)
    chosen = f"at {found.positive!r}" if found.above is None else f"above {found.above:g}"
    click.echo(f"--target alone: {target} is positive {chosen}, nearest to half of REAL.", err=True)
    return found


def _halving(table: "Table", name: str) -> "Target":
    """Return the target whose share of the table is nearest one half; of two equally near, the
    rarer."""
    import numpy as np

    from dpsynth.data.columns import CategoricalColumn
    from dpsynth.data.datasets import Target
    from dpsynth.errors import InvalidValueError

    column, values = table.schema.column(name), table.values(name)
    if isinstance(column, CategoricalColumn):
        counts = np.bincount(values.codes[values.codes >= 0], minlength=len(column.categories))
        targets = [Target(column=name, positive=category) for category in column.categories]
    else:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        found, here = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
        counts = here.sum() - here.cumsum()
        targets = [Target(column=name, above=float(number)) for number in found]
    mixed = [i for i in range(len(targets)) if 0 < counts[i] < len(table)]
    if not mixed:
        raise InvalidValueError("--target", name, "a column with two values or more in REAL")
    return targets[min(mixed, key=lambda i: (abs(2 * counts[i] - len(table)), counts[i]))]
