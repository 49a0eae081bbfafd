"""The verb infer: intervals for the population, from a saved model or from copies."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.options import sampling_seed_option, seeded
from dpsynth.cli.output import print_table, write_json

if TYPE_CHECKING:
    import numpy as np

    from dpsynth.data.table import Table
    from dpsynth.evaluation.inference import Combined
    from dpsynth.inference.released import Interval

_RECORDS = {".csv", ".parquet"}


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="MODEL | COPY COPY...")
@click.option("--slopes-of", metavar="COLUMN", help="Slopes of least squares of this column, too.")
@click.option(
    "--on", multiple=True, metavar="COLUMN", help="What explains it; by default all other numbers."
)
@click.option("--schema", "schema_path", metavar="FILE", help="Of copies: their schema (TOML).")
@click.option("--apart", is_flag=True, help="Copies are of models fitted apart, not of one fit.")
@click.option("--rows", type=int, help="With --apart: real records that each was fitted to.")
@sampling_seed_option
@click.option("--out", metavar="FILE", help="The intervals as JSON.")
def infer(
    *,
    sources: tuple[str, ...],
    slopes_of: str | None,
    on: tuple[str, ...],
    schema_path: str | None,
    apart: bool,
    rows: int | None,
    seed: int | None,
    out: str | None,
) -> None:
    """Print 95% intervals for means, shares and slopes of the population; this costs no privacy.

    Of a saved MODEL with noisy measurements (two_stage, mst, aim) they follow from these, and a
    slope on columns that were never measured together is refused. Of synthetic COPIES they follow
    from what the copies differ in: those that `dpsynth sample --copies` drew, the first one first,
    or, with --apart, those of models fitted apart, each with a part of the budget.
    """
    from dpsynth.atomic import check_writable
    from dpsynth.errors import InvalidValueError

    if out is not None:
        check_writable(out)
    tables = [Path(source).suffix.lower() in _RECORDS for source in sources]
    if len(sources) == 1 and not tables[0]:
        for option, value in (("--schema", schema_path), ("--rows", rows), ("--apart", apart)):
            if value:
                raise InvalidValueError(option, value, "left out with a saved model")
        found = _of_model(sources[0], slopes_of, on, seeded(seed))
    elif not all(tables):
        rule = "one saved model, or several .csv or .parquet files of copies"
        raise InvalidValueError("the sources", ", ".join(sources), rule)
    else:
        found = _of_copies(sources, schema_path, slopes_of, on, rows=_rows(rows, apart=apart))
    if out is not None:
        write_json([asdict(interval) for interval in found], out)


def _rows(rows: int | None, *, apart: bool) -> int | None:
    """Return the real records that copies fitted apart have; None for copies of one fit."""
    from dpsynth.errors import InvalidValueError

    if apart and rows is None:
        raise InvalidValueError("--rows", rows, "given with --apart, a public or noisy number")
    if rows is not None and not apart:
        raise InvalidValueError("--rows", rows, "left out without --apart")
    return rows


def _of_model(
    path: str, slopes_of: str | None, on: tuple[str, ...], rng: "np.random.Generator | None"
) -> "tuple[Interval, ...]":
    from dpsynth.inference.released import released_intervals
    from dpsynth.synthesis import Synthesis

    synthesis = Synthesis.load(path)
    found = released_intervals(
        synthesis.model, slopes_of=slopes_of, on=on, rng=synthesis.stream(rng)
    )
    print_table(
        ["quantity", "value", "lower", "upper", "bins"],
        [[i.quantity, i.value, i.lower, i.upper, i.within_bins] for i in found],
    )
    click.echo(
        "bins: how much further a mean may be off, at most, for where values lie within bins."
    )
    return found


def _of_copies(
    paths: tuple[str, ...],
    schema_path: str | None,
    slopes_of: str | None,
    on: tuple[str, ...],
    *,
    rows: int | None,
) -> "tuple[Combined, ...]":
    from dpsynth.data.files import load_file
    from dpsynth.data.schema import Schema
    from dpsynth.errors import InvalidValueError
    from dpsynth.evaluation.inference import combined_intervals, replicated_intervals

    if schema_path is None:
        raise InvalidValueError("--schema", schema_path, "given with copies")
    schema = Schema.load(schema_path)
    copies: list[Table] = [load_file(path, schema) for path in paths]
    if rows is None:
        found = replicated_intervals(copies, slopes_of=slopes_of, on=on)
    else:
        found = combined_intervals(copies, rows=rows, slopes_of=slopes_of, on=on)
    print_table(
        ["quantity", "value", "lower", "upper"],
        [[i.quantity, i.value, i.lower, i.upper] for i in found],
    )
    if slopes_of is not None:
        click.echo(
            "Copies do not tell which slopes their model knows: "
            "`dpsynth infer MODEL` refuses those that it does not."
        )
    return found
