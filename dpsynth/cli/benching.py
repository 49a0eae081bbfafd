"""The verbs of bench: the project's own suites, and the pages of what they found."""

from typing import TYPE_CHECKING

import click

from dpsynth.cli.experiments import run_experiment
from dpsynth.cli.options import running_options
from dpsynth.cli.output import print_table
from dpsynth.errors import DataError, FileError, InvalidValueError

if TYPE_CHECKING:
    from dpsynth.harness.config import Experiment


@click.group()
def bench() -> None:
    """Run the benchmarks that come with the package."""


@bench.command("list")
def list_() -> None:
    """List the suites, their versions, and how many cells each profile has."""
    from dpsynth.harness.suite import ALL, PROFILES, load_suites

    suites = [s for profile in PROFILES for s in load_suites(ALL, profile=profile)]
    print_table(
        ["suite", "version", "profile", "data sets", "generators", "budgets", "seeds", "cells"],
        [
            [
                s.name,
                s.version,
                s.profile,
                len(s.experiment.datasets),
                len(s.experiment.generators),
                len(s.experiment.epsilons) * len(s.experiment.deltas),
                len(s.experiment.seeds),
                _cells(s.experiment),
            ]
            for s in suites
        ],
    )


def _cells(experiment: "Experiment") -> int | None:
    """Return how many cells there are; None where a data set is not here to be counted."""
    from dpsynth.harness.sweep import make_plan

    try:
        return len(make_plan(experiment).cells)
    except (DataError, FileError):
        return None


@bench.command()
@click.argument("suite")
@click.option("--profile", default="smoke", show_default=True, help="smoke or paper.")
@click.option("--out", metavar="STORE", help="By default results/bench-SUITE-VERSION-PROFILE.")
@running_options
@click.pass_context
def run(
    context: click.Context,
    *,
    suite: str,
    profile: str,
    out: str | None,
    workers: int | None,
    cluster: str | None,
    dry_run: bool,
) -> None:
    """Run SUITE (marginals, neural, audit, or all), or what is left of it, and write its pages.

    STORE/leaderboard and STORE/report hold them.
    """
    from dpsynth.harness.suite import load_suites

    suites = load_suites(suite, profile=profile)
    if out is not None and len(suites) > 1:
        raise InvalidValueError("--out", out, "left out for more than one suite")
    codes: list[int] = []
    for chosen in suites:
        store = out or chosen.store
        codes.append(
            run_experiment(
                chosen.experiment, store, workers=workers, cluster=cluster, dry_run=dry_run
            )
        )
        if not dry_run and codes[-1] in (0, 1):  # 1: some cells failed, and the pages say which
            _write_pages(store)
    context.exit(max(codes))


def _write_pages(store: str) -> None:
    import numpy as np

    from dpsynth.report.html import write_report
    from dpsynth.report.leaderboard import rankings, write_leaderboard

    click.echo(f"wrote {write_report(store, f'{store}/report')}")
    rows, found = rankings(store, rng=np.random.default_rng(0))
    click.echo(f"wrote {write_leaderboard(store, f'{store}/leaderboard', rows, found)}")
