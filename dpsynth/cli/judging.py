"""The verb evaluate: scores of synthetic records, read off real ones outside the guarantee."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from dpsynth.cli.augmenting import judge_augmentation
from dpsynth.cli.groups import judge_subgroups
from dpsynth.cli.options import check_seed, schema_option
from dpsynth.cli.output import UNPROTECTED, print_table, write_json
from dpsynth.cli.private_judging import judge_privately
from dpsynth.cli.targets import target_of, target_options

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.evaluation.evaluate import Evaluation
    from dpsynth.evaluation.metric import Metric

_ALONE = "left out with --private"


@click.command()
@click.argument("real")
@click.argument("synthetic")
@schema_option("Their")
@click.option("--holdout", metavar="FILE", help="Real records that the generator never saw.")
@target_options
@click.option("--metric", "metrics", multiple=True, help="A metric's name; by default all.")
@click.option("--sensitive", metavar="COLUMN", help="Compare its groups, too.")
@click.option(
    "--augment", is_flag=True, help="Does SYNTHETIC add to REAL? With --target and --holdout."
)
@click.option("--graph", metavar="FILE", help="A causal graph (TOML): compare its effects, too.")
@click.option("--private", is_flag=True, help="Charge the evaluation; mean total variation only.")
@click.option("--epsilon", type=float, help="With --private: budget of the evaluation.")
@click.option("--delta", type=float, default=1e-9, show_default=True, help="With --private.")
@click.option(
    "--relation",
    type=click.Choice(["replace", "add_remove"]),
    default="replace",
    show_default=True,
    help="With --private; add_remove needs public_rows in the schema.",
)
@click.option("--receipt", metavar="FILE", help="With --private: what was spent (JSON).")
@click.option(
    "--seed",
    type=int,
    help="Of subsampling, by default 0; with --private of the noise: research, not for release.",
)
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
    sensitive: str | None,
    augment: bool,
    graph: str | None,
    private: bool,
    epsilon: float | None,
    delta: float,
    relation: str,
    receipt: str | None,
    seed: int | None,
    out: str | None,
) -> None:
    """Score SYNTHETIC records against REAL ones, each score beside its references.

    Without --holdout, REAL is split in two at random, and what prediction is tested on may be what
    the generator was fitted to. Where --target stands alone, what is nearest to half of REAL is
    positive. With --private the scores are noisy and may be published.
    """
    if private:
        given = {"--holdout": holdout, "--target": target, "--sensitive": sensitive}
        given |= {"--metric": metrics or None, "--graph": graph, "--augment": augment or None}
        _refuse_all(given, _ALONE)
        bought = (epsilon, delta, relation)
        return judge_privately(real, synthetic, schema_path, bought, receipt, seed=seed, out=out)
    _refuse_all({"--epsilon": epsilon, "--receipt": receipt}, "given with --private only")
    if augment and None in (target, holdout):
        _refuse_all({"--augment": "alone"}, "given with --target and a --holdout to test on")
    import numpy as np

    from dpsynth.data.files import load_file
    from dpsynth.data.schema import Schema
    from dpsynth.evaluation.evaluate import evaluate as score

    schema = Schema.load(schema_path)
    rng = np.random.default_rng(check_seed(seed or 0))
    tables = *_real(real, holdout, schema, rng), load_file(synthetic, schema)
    aim = target_of(schema, target=target, above=above, positive=positive, real=tables[0])
    chosen = [*(metrics or _all_metrics(has_target=aim is not None)), *_of_graph(schema, graph)]
    found = score(*tables, metrics=chosen, target=aim, rng=rng)
    _print_scores(found)
    scores: Any = [asdict(e) for e in found]
    more = _more(tables, aim, sensitive=sensitive, augment=augment, rng=rng)
    click.echo(UNPROTECTED)
    if out is not None:
        write_json({"scores": scores, **more} if more else scores, out)
    return None


def _more(
    tables: "tuple[Table, Table, Table]",
    aim: "Target | None",
    *,
    sensitive: str | None,
    augment: bool,
    rng: Any,
) -> dict[str, Any]:
    """Print what is asked for beside the scores, and return it for JSON."""
    found: dict[str, Any] = {}
    if sensitive is not None:
        found["subgroups"] = judge_subgroups(tables, sensitive, aim, rng)
    if augment and aim is not None:
        found["augmentation"] = judge_augmentation(tables, aim, rng)
    return found


def _refuse_all(given: dict[str, Any], rule: str) -> None:
    """Refuse options that have no meaning here.

    Raises:
        InvalidValueError: one of them was given.
    """
    from dpsynth.errors import InvalidValueError

    for option, value in given.items():
        if value is not None:
            raise InvalidValueError(option, value, rule)


def _all_metrics(*, has_target: bool) -> tuple[str, ...]:
    from dpsynth.registry import METRICS

    return tuple(m for m in METRICS if has_target or not _predicts(m))


def _of_graph(schema: "Schema", path: str | None) -> "list[Metric]":
    from dpsynth.cli.asking import read_graph
    from dpsynth.evaluation.interventions import InterventionalTvd
    from dpsynth.sampling.causal_graph import CausalGraph

    if path is None:
        return []
    return [InterventionalTvd(graph=CausalGraph.of(schema, read_graph(path)).parents)]


def _predicts(metric: str) -> bool:
    from dataclasses import fields

    from dpsynth.registry import METRICS

    return any(f.name == "target" for f in fields(METRICS.get(metric)))


def _real(path: str, holdout: str | None, schema: "Schema", rng: Any) -> "tuple[Table, Table]":
    """Return training and hold-out records; without a file of the latter, halves of the former."""
    from dpsynth.data.files import load_file

    table = load_file(path, schema)
    if holdout is not None:
        return table, load_file(holdout, schema)
    click.echo("No --holdout: REAL is split in two at random.", err=True)
    order = rng.permutation(len(table))
    half = len(table) // 2
    return table.take(order[:half]), table.take(order[half:])


def _print_scores(scores: "list[Evaluation]") -> None:
    print_table(
        ["metric", "value", "lower", "upper", "hold-out", "indep.", "best"],
        [
            [
                score.metric,
                score.value,
                score.lower,
                score.upper,
                score.holdout,
                score.independent,
                "high" if score.higher_is_better else "low",
            ]
            for score in scores
        ],
        width=8,  # so that the longest name of a metric leaves lines of 80
    )
