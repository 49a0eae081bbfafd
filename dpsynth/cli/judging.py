"""The verb evaluate: scores of synthetic records, read off real ones outside the guarantee."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.options import check_seed, schema_option
from dpsynth.cli.output import UNPROTECTED, print_table, write_json

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.evaluation.evaluate import Evaluation


@click.command()
@click.argument("real")
@click.argument("synthetic")
@schema_option("Their")
@click.option("--holdout", metavar="FILE", help="Real records that the generator never saw.")
@click.option("--target", metavar="COLUMN", help="Column that metrics of prediction predict.")
@click.option("--above", type=float, help="A numeric target is positive above this value.")
@click.option("--positive", help="A categorical target is positive at this category.")
@click.option("--metric", "metrics", multiple=True, help="A metric's name; by default all.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of subsampling.")
@click.option("--out", metavar="FILE", help="The scores as JSON.")
def evaluate(
    *,
    real: str,
    synthetic: str,
    schema_path: str,
    holdout: str | None,
    target: str | None,
    above: float | None,
    positive: str | None,
    metrics: tuple[str, ...],
    seed: int,
    out: str | None,
) -> None:
    """Score SYNTHETIC records against REAL ones, each score beside its references.

    Without --holdout, REAL is split in two at random, and what prediction is tested on may be what
    the generator was fitted to.
    """
    import numpy as np

    from dpsynth.data.files import load_file
    from dpsynth.data.schema import Schema
    from dpsynth.evaluation.evaluate import evaluate as score

    schema = Schema.load(schema_path)
    aim = _target(schema, target, above=above, positive=positive)
    rng = np.random.default_rng(check_seed(seed))
    train, unseen = load_file(real, schema), None
    if holdout is None:
        train, unseen = _halves(train, rng)
        click.echo("No --holdout: REAL is split in two at random.", err=True)
    found = score(
        train,
        unseen or load_file(holdout or real, schema),
        load_file(synthetic, schema),
        metrics=metrics or _all_metrics(has_target=aim is not None),
        target=aim,
        rng=rng,
    )
    _print_scores(found)
    if out is not None:
        write_json([asdict(e) for e in found], out)


def _target(
    schema: "Schema", column: str | None, *, above: float | None, positive: str | None
) -> "Target | None":
    from dpsynth.data.datasets import Target

    if column is None:
        return None
    schema.column(column)
    return Target(column=column, above=above, positive=positive)


def _all_metrics(*, has_target: bool) -> tuple[str, ...]:
    from dpsynth.registry import METRICS

    return tuple(m for m in METRICS if has_target or not _predicts(m))


def _predicts(metric: str) -> bool:
    from dataclasses import fields

    from dpsynth.registry import METRICS

    return any(f.name == "target" for f in fields(METRICS.get(metric)))


def _halves(table: "Table", rng: Any) -> "tuple[Table, Table]":
    order = rng.permutation(len(table))
    half = len(table) // 2
    return table.take(order[:half]), table.take(order[half:])


def _print_scores(scores: "list[Evaluation]") -> None:
    print_table(
        ["metric", "value", "lower", "upper", "hold-out", "independent", "better"],
        [
            [
                score.metric,
                score.value,
                score.lower,
                score.upper,
                score.holdout,
                score.independent,
                "higher" if score.higher_is_better else "lower",
            ]
            for score in scores
        ],
    )
    click.echo(UNPROTECTED)
