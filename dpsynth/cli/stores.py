"""The verbs of a results store: status, compact, query."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.duration import told
from dpsynth.cli.output import print_table
from dpsynth.errors import FileError

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.harness.record import Stored

_SUFFIXES = (".csv", ".json", ".parquet")


@click.command()
@click.argument("store")
def status(store: str) -> None:
    """Say how far the sweep of a results STORE is, and what failed in it.

    It may be asked while a sweep runs.
    """
    from dpsynth.harness.lock import holder
    from dpsynth.harness.store import Store

    kept = Store(store)
    cells, name = kept.plan()["cells"], kept.experiment().get("name")
    found = [(cell, kept.look(cell)) for cell in cells]
    counts = Counter("-" if stored is None else stored.status for _, stored in found)
    damaged = sum(kept.damaged(cell) for cell, stored in found if stored is None)
    failed = [stored for _, stored in found if stored is not None and stored.status != "done"]
    click.echo(f"{name}: {counts['done']} of {len(cells)} cells are finished")
    rows = [["finished", counts["done"]], ["failed", len(failed)], ["damaged", damaged]]
    rows += [["not run yet", counts["-"] - damaged], ["imported", len(kept.imported())]]
    rows += [["of other plans or versions, not in reports", kept.others()]]
    print_table(["cells", "count"], rows)
    for stored in failed:
        _show_failure(stored)
    who = holder(kept.path)
    click.echo(f"A sweep runs: {who}." if who else "No sweep runs.")
    if not kept.compacted:
        click.echo(f"Not compacted: 'dpsynth compact {store}' makes queries and reports faster.")


def _show_failure(stored: "Stored") -> None:
    settings = stored.settings
    dataset = settings["dataset"]["name"] if settings["dataset"] else "audit"
    title = f"{dataset}, {settings['generator']['label']}, epsilon {settings['epsilon']:g}"
    seconds = told(sum(stored.seconds.values()))
    click.echo(f"  {stored.status} in {stored.phase} after {seconds}: {title}: {stored.error}")


@click.command()
@click.argument("store")
def compact(store: str) -> None:
    """Gather the cells of a results STORE in one Parquet file, as a sweep does at its end."""
    from dpsynth.harness.store import Store

    kept = Store(store)
    kept.plan()  # says when this is no store, before a lock makes a folder
    with kept.locked():
        click.echo(f"wrote {kept.compact()}")


@click.command()
@click.argument("store")
@click.argument("sql")
@click.option("--out", metavar="FILE", help="Write what is found to a .csv, .json or .parquet.")
def query(store: str, sql: str, *, out: str | None) -> None:
    """Run SQL (of DuckDB) on the table 'results' of a results STORE: a line is a number of a cell.

    For instance: SELECT generator, epsilon, avg(value) FROM results
    WHERE metric = 'tvd_2way' GROUP BY ALL ORDER BY ALL
    """
    from dpsynth.harness.query import query as ask
    from dpsynth.harness.store import Store

    if out is not None and Path(out).suffix.lower() not in _SUFFIXES:
        raise FileError(out, f"the name of such a file must end in {' or '.join(_SUFFIXES)}")
    found = ask(Store(store), sql)
    if out is None:
        values = found.astype(object).where(found.notna(), None)
        print_table([str(c) for c in found.columns], values.to_numpy().tolist())
    else:
        _write(found, out)
        click.echo(f"wrote {len(found)} lines to {out}")


def _write(found: "DataFrame", out: str) -> None:
    import io

    from dpsynth.atomic import write_atomically

    suffix, buffer = Path(out).suffix.lower(), io.BytesIO()
    if suffix == ".csv":
        found.to_csv(buffer, index=False)
    elif suffix == ".json":
        found.to_json(buffer, orient="records", indent=1)
    else:
        found.to_parquet(buffer, index=False)
    write_atomically(out, buffer.getvalue())
