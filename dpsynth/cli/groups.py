"""What the verb evaluate says of the groups of a sensitive column."""

from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.output import print_table, show

if TYPE_CHECKING:
    import numpy as np

    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table


def judge_subgroups(
    tables: "tuple[Table, Table, Table]",
    sensitive: str,
    target: "Target | None",
    rng: "np.random.Generator",
) -> dict[str, Any]:
    """Print how groups of `sensitive` fare, and return it for JSON.

    Args:
        tables: training, hold-out and synthetic records.
        sensitive: a categorical column.
        target: what is predicted; None: nothing.
        rng: source of splits and fits.
    """
    from dpsynth.evaluation.subgroups import compare_subgroups

    found = compare_subgroups(*tables, sensitive=sensitive, target=target, rng=rng)
    click.echo("")
    print_table(
        [sensitive, "rows", "tvd", "lower", "upper", "hold-out", "tstr_auc", "trtr_auc"],
        [
            [g.group, g.synthetic, g.tvd, g.lower, g.upper, g.holdout, g.auc, g.auc_real]
            for g in found.groups
        ],
        width=8,
    )
    click.echo(
        f"Between groups: tvd gap {show(found.tvd_gap)}, ratio {show(found.tvd_ratio)}; "
        f"tstr_auc gap {show(found.auc_gap)}."
    )
    if found.disparity is not None:
        d = found.disparity
        click.echo(
            f"Decisions differ between groups: demographic parity {show(d.demographic_parity)} "
            f"(real {show(d.demographic_parity_real)}),\nequalised odds {show(d.equalized_odds)} "
            f"(real {show(d.equalized_odds_real)})."
        )
    return _told(asdict(found))


def _told(value: Any) -> Any:
    """Return a record with null for numbers that are none, which JSON has no word for."""
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_told(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value
