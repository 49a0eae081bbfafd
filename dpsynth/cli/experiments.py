"""The researcher's verbs: sweep, report."""

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from dpsynth.cli.duration import told
from dpsynth.cli.options import running_options
from dpsynth.cli.output import print_table
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.harness.config import Experiment, Limits
    from dpsynth.harness.store import Record, Store
    from dpsynth.harness.sweep import Outlook, Plan

FAILED = 1
INTERRUPTED = 130


@click.command()
@click.argument("file")
@click.option("--profile", default="full", show_default=True, help="A [profile.NAME] of FILE.")
@click.option("--out", metavar="STORE", help="Results store; by default results/NAME-PROFILE.")
@running_options
@click.pass_context
def sweep(
    context: click.Context,
    *,
    file: str,
    profile: str,
    out: str | None,
    workers: int | None,
    cluster: str | None,
    dry_run: bool,
) -> None:
    """Run the experiment in FILE (TOML), or what is left of it.

    Finished cells are kept through Ctrl-C, kill -9 and a full disk, and never computed again.
    """
    from dpsynth.harness.config import Experiment

    experiment = Experiment.load(file, profile=profile)
    store = out or f"results/{experiment.name}-{profile}"
    code = run_experiment(experiment, store, workers=workers, cluster=cluster, dry_run=dry_run)
    context.exit(code)


def run_experiment(
    experiment: "Experiment",
    store_path: str,
    *,
    workers: int | None,
    cluster: str | None = None,
    dry_run: bool,
) -> int:
    """Run what a store lacks of `experiment`, say how it went, and return the exit code.

    Args:
        experiment: what to run.
        store_path: the results store.
        workers: processes at a time; None for one a core.
        cluster: address of a Dask scheduler whose workers run the cells; None for this machine.
        dry_run: count the cells, say what they will take, and stop.
    """
    if workers is not None and workers < 1:
        raise InvalidValueError("--workers", workers, "at least 1")
    if workers is not None and cluster is not None and not dry_run:
        rule = "left out with --cluster: the cluster says how many run at a time"
        raise InvalidValueError("--workers", workers, rule)
    from dpsynth.harness.engine import cores
    from dpsynth.harness.progress import Progress
    from dpsynth.harness.store import Store
    from dpsynth.harness.sweep import look_at, make_plan, run_sweep

    plan = make_plan(experiment)
    store = Store(store_path)
    outlook = look_at(plan, store)
    _announce(plan, outlook)
    if dry_run:
        _foretell(outlook, store, workers or cores(), experiment.limits)
        return 0
    progress = Progress(sys.stderr)
    records: list[Record] = []
    try:
        for record in run_sweep(plan, store, progress=progress, workers=workers, cluster=cluster):
            records.append(record)
    except KeyboardInterrupt:
        again = "run the same command again to go on"
        click.echo(f"Stopped: {len(records)} new results are in {store.path}; {again}.", err=True)
        return INTERRUPTED
    _conclude(plan, records, len(outlook.finished), str(store.path))
    return FAILED if any(record.status != "done" for record in records) else 0


def _announce(plan: "Plan", outlook: "Outlook") -> None:
    experiment = plan.experiment
    counts = Counter(cell.kind for cell in plan.cells)
    sizes = (
        f"{len(experiment.datasets)} data sets",
        f"{len({c.generator.label for c in plan.cells})} generators",
        f"{len(experiment.epsilons) * len(experiment.deltas)} budgets",
        f"{len(experiment.seeds)} seeds",
    )
    click.echo(f"{experiment.name}: {' x '.join(sizes)}")
    print_table(
        ["cells", "count"],
        [
            ["releases (fit, sample, evaluate, attack)", counts["release"]],
            ["releases of third parties", counts["third_party"]],
            ["audits of a claim", counts["audit"]],
            ["finished already", len(outlook.finished)],
            ["failed before, to be tried again", len(outlook.failed)],
            ["damaged in the store, to be redone", len(outlook.damaged)],
            ["to run", len(outlook.to_run)],
        ],
    )
    for skipped in plan.skipped:
        click.echo(f"left out: {skipped.title}: {skipped.reason}.")


def _foretell(outlook: "Outlook", store: "Store", workers: int, limits: "Limits") -> None:
    """Say what the cells that are to run will take, judged by finished ones."""
    from dpsynth.harness.cost import estimate

    if not outlook.to_run:
        click.echo("Cost: nothing is left to run.")
        return
    cost = estimate(outlook.to_run, store, workers=workers)
    known = cost.alike + cost.elsewhere
    if known:
        click.echo(
            f"Cost of {known} of these cells: about {told(cost.seconds)} of computing, "
            f"{told(cost.wall_seconds)} with {workers} at a time, at most "
            f"{cost.peak_rss_mb or 0:.0f} MiB a process (by finished cells: {cost.alike} by like "
            f"ones, {cost.elsewhere} by the same generator measured otherwise or elsewhere)."
        )
    if cost.unknown:
        click.echo(
            f"Cost of {cost.unknown} of these cells: unknown, no cell of their generators has "
            f"finished in this store or those beside it; at most {told(limits.timeout_seconds)} "
            "each by the limit."
        )


def _conclude(plan: "Plan", records: "list[Record]", finished: int, store: str) -> None:
    failed = [record for record in records if record.status != "done"]
    titles = {cell.id: cell.title for cell in plan.cells}
    privacy = [record for record in failed if record.status == "privacy_error"]
    for record in privacy:
        click.echo(f"PRIVACY: {titles[record.cell]}: {record.error}", err=True)
    done = finished + len(records) - len(failed)
    if not plan.cells:
        click.echo("There is nothing to run: every generator was left out.", err=True)
    click.echo(f"{done} of {len(plan.cells)} cells are finished, {len(failed)} failed: {store}")
    for record in failed:
        click.echo(f"  {record.status} in {record.phase}: {titles[record.cell]}", err=True)
        click.echo(f"    {record.error} ({store}/cells/{record.cell}.json)", err=True)


@click.command()
@click.argument("store")
@click.option("--out", required=True, metavar="FOLDER", help="Where figures, tables and page go.")
def report(store: str, out: str) -> None:
    """Draw the figures, tables and HTML page of a results STORE."""
    from dpsynth.report.html import write_report

    page = write_report(store, out)
    click.echo(f"wrote {page}")
