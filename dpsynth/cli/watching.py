"""The verb drift: is a new batch still of the population that a saved model describes?"""

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import click

from dpsynth.atomic import check_writable, write_atomically
from dpsynth.cli.options import guarantee_options, seed_option
from dpsynth.cli.output import print_table, write_json

if TYPE_CHECKING:
    from dpsynth.drift.detect import Drift

DRIFTED = 1


@click.command()
@click.argument("model")
@click.argument("new")
@guarantee_options
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Of a false alarm.")
@click.option("--top", type=int, default=5, show_default=True, help="How many changes to show.")
@click.option("--out", metavar="FILE", help="The verdict and every change as JSON.")
@click.option("--receipt", metavar="FILE", help="The receipt of what was spent on NEW (JSON).")
@seed_option
@click.pass_context
def drift(
    context: click.Context,
    *,
    model: str,
    new: str,
    epsilon: float,
    delta: float,
    relation: str,
    alpha: float,
    top: int,
    out: str | None,
    receipt: str | None,
    seed: int | None,
) -> None:
    """Compare a NEW batch of records (CSV or Parquet) with a saved MODEL.

    The records of NEW are protected by a budget of their own; the model costs nothing. Exit code 0
    when no drift is found, 1 when the batch has drifted, 2 for a mistake.
    """
    from dpsynth.drift.detect import detect_drift

    for path in (out, receipt):
        if path is not None:
            check_writable(path)
    found = detect_drift(
        model, new, epsilon=epsilon, delta=delta, relation=relation, alpha=alpha, seed=seed
    )
    _print(found, top)
    if out is not None:
        write_json(_record(found), out)
    if receipt is not None:
        write_atomically(receipt, found.receipt.to_json().encode())
    if found.drifted:
        context.exit(DRIFTED)


def _record(found: "Drift") -> dict[str, Any]:
    names = [field.name for field in fields(found) if field.name not in ("changes", "receipt")]
    record = {name: getattr(found, name) for name in names}
    return {**record, "changes": [asdict(change) for change in found.changes]}


def _print(found: "Drift", top: int) -> None:
    verdict = "DRIFTED" if found.drifted else "no drift found"
    click.echo(
        f"{verdict}: p = {found.p_value:.3g} at alpha {found.alpha:g}, {found.rows:.0f} rows."
    )
    print_table(
        ["columns", "adjusted p", "values", "model", "batch", "chance"],
        [
            [" x ".join(c.columns), c.adjusted, c.values, c.expected, c.found, c.deviation]
            for c in found.changes[:top]
        ],
    )
    if found.left_out:
        click.echo(f"Not compared: {', '.join(found.left_out)}.")
    click.echo(found.receipt.summary())
