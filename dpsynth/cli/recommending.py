"""The verb recommend: which generator, from public facts and what was measured elsewhere."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from dpsynth.cli.options import accountant_option, check_rows, guarantee_options
from dpsynth.cli.output import print_table, write_json

if TYPE_CHECKING:
    from dpsynth.recommendation.facts import Facts
    from dpsynth.recommendation.recommend import Recommendation


@click.command()
@click.argument("schema_path", metavar="SCHEMA")
@guarantee_options
@accountant_option
@click.option("--rows", type=int, help="Number of records, if public; by default the schema's.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    default=("workload_error",),
    show_default=True,
    help="What the rows are to be good at; tstr_auc where they train classifiers.",
)
@click.option("--max-seconds", type=float, help="No generator expected to take longer.")
@click.option("--max-memory", type=float, metavar="MIB", help="None expected to hold more.")
@click.option("--out", metavar="FILE", help="The recommendations as JSON.")
def recommend(
    *,
    schema_path: str,
    epsilon: float,
    delta: float,
    relation: str,
    accountant: str | None,
    rows: int | None,
    metrics: tuple[str, ...],
    max_seconds: float | None,
    max_memory: float | None,
    out: str | None,
) -> None:
    """Say which generator to take for a table under SCHEMA. It reads no records.

    What it knows are scores that were measured on public data sets; how far such advice was from
    the best generator, on data sets left out, is printed with it.
    """
    from dpsynth.data.open_schema import load_schema
    from dpsynth.privacy.budget import Budget, Neighbouring
    from dpsynth.recommendation.facts import Facts
    from dpsynth.recommendation.recommend import recommend as advise

    check_rows(rows)
    schema = load_schema(schema_path)
    budget = Budget(epsilon=epsilon, delta=delta, relation=Neighbouring(relation))
    found = [
        advise(
            schema,
            budget,
            metric=metric,
            rows=rows,
            accountant=accountant,
            most_seconds=max_seconds,
            most_memory_mb=max_memory,
        )
        for metric in dict.fromkeys(metrics)
    ]
    facts = Facts.of(schema, rows=rows)
    _print_facts(facts, budget.epsilon, budget.delta)
    for sentence in dict.fromkeys(w for r in found for w in r.warnings):
        click.echo(click.wrap_text(f"dpsynth: {sentence}.", 80), err=True)
    for recommendation in found:
        _print_prospects(recommendation)
    _print_regrets(found, rows_known=facts.rows is not None)
    if out is not None:
        write_json([asdict(r) for r in found], out)


def _print_facts(facts: "Facts", epsilon: float, delta: float) -> None:
    rows = "rows not known" if facts.rows is None else f"{facts.rows:,.0f} rows"
    told = (
        f"{facts.columns} columns, {facts.numeric:.0%} numbers, {facts.codes:.3g} codes each, "
        f"{rows}; epsilon {epsilon:g}, delta {delta:g}."
    )
    click.echo(click.wrap_text(told, 80))


def _print_prospects(found: "Recommendation") -> None:
    from dpsynth.recommendation.advice import BASELINE
    from dpsynth.recommendation.benchmark import HIGHER_IS_BETTER

    best = "high" if HIGHER_IS_BETTER[found.metric] else "low"
    click.echo(f"\n{found.metric} ({best} is best): {found.generator or 'none can be used'}")
    print_table(
        ["generator", "expected", "lower", "upper", "seconds", "MiB"],
        [[p.generator, p.score, p.lower, p.upper, p.seconds, p.memory_mb] for p in found.prospects],
        width=6,
    )
    for p in found.prospects:
        if p.refused is not None:
            click.echo(click.wrap_text(f"{p.generator}: not here: {p.refused}", 80))
    if found.unranked:
        few = ", ".join(f"{name} {ratio:.2f}" for name, ratio in found.unranked.items())
        told = (
            f"Not ranked (measured on few data sets), there in parts of {BASELINE}'s score: {few}."
        )
        click.echo(click.wrap_text(told, 80))


def _print_regrets(found: "list[Recommendation]", *, rows_known: bool) -> None:
    from dpsynth.recommendation.advice import BASELINE

    known = "" if rows_known else " (rows not looked at)"
    click.echo(f"\nRegret on data sets left out, share of the best score{known}:")
    rules = [
        (r.metric, words, regret)
        for r in found
        for words, regret in (("by facts", r.regret), (f"always {BASELINE}", r.baseline))
    ]
    print_table(
        ["metric", "rule", "mean", "lower", "upper", "worst", "sources"],
        [
            [metric, rule, r.mean, r.lower, r.upper, r.worst, r.families]
            for metric, rule, r in rules
        ],
        width=6,
    )
    for r in found:
        if not r.by_facts:
            click.echo(f"{r.metric}: choosing by facts is no better than always {BASELINE}.")
