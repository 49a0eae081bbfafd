"""The data owner's verbs for units with many events: synthesize-linked, sample-linked."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.atomic import write_atomically
from dpsynth.cli.options import (
    check_rows,
    guarantee_options,
    parse_assignments,
    sampling_seed_option,
    seed_option,
    seeded,
    set_option,
)
from dpsynth.cli.output import check_outputs, claim, warning
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    import numpy as np

    from dpsynth.data.linked_schema import LinkedSchema
    from dpsynth.linked.synthesis import LinkedSynthesis


@click.command()
@click.argument("events")
@click.option("--units", metavar="FILE", help="A row for each unit; left out where there is none.")
@click.option(
    "--events-schema",
    required=True,
    metavar="FILE",
    help="Public schema of events (TOML): `unit` names the identifier.",
)
@click.option("--units-schema", metavar="FILE", help="Public schema of units, where there are any.")
@click.option("--time", help="The column that orders events; by default their order in the file.")
@click.option("--gap-schema", metavar="FILE", help="A schema of one column: how gaps are coded.")
@click.option("--max-events", type=int, required=True, help="Most events of a unit; public.")
@click.option("--generator", default="pairs_first", show_default=True, help="Of the events.")
@set_option("the generator of the events")
@click.option("--units-generator", default="two_stage", show_default=True, help="Of the units.")
@click.option("--units-share", type=float, help="Part of the budget for units.  [default: 0.3]")
@guarantee_options
@click.option(
    "--accountant",
    type=click.Choice(["gdp", "zcdp", "pure"]),
    default="gdp",
    show_default=True,
    help="How the budget is counted.",
)
@click.option("--rows", type=int, help="Number of units; by default what the model holds.")
@click.option("--out", required=True, metavar="FILE", help="Synthetic events: .csv or .parquet.")
@click.option("--out-units", metavar="FILE", help="Synthetic units: .csv or .parquet.")
@click.option("--receipt", metavar="FILE", help="The receipt of every unit of privacy (JSON).")
@click.option("--model", metavar="FILE", help="The fitted model, for `dpsynth sample-linked`.")
@seed_option
def synthesize_linked(
    *,
    events: str,
    units: str | None,
    events_schema: str,
    units_schema: str | None,
    time: str | None,
    gap_schema: str | None,
    max_events: int,
    generator: str,
    assignments: tuple[str, ...],
    units_generator: str,
    units_share: float | None,
    epsilon: float,
    delta: float,
    relation: str,
    accountant: str,
    rows: int | None,
    out: str,
    out_units: str | None,
    receipt: str | None,
    model: str | None,
    seed: int | None,
) -> None:
    """Turn EVENTS (CSV or Parquet), and the units that have them, into synthetic ones.

    One unit with all its events is protected.
    """
    from dpsynth.linked.synthesis import UNITS_SHARE
    from dpsynth.linked.synthesis import synthesize_linked as fit
    from dpsynth.synthesis import build_generator

    _check(rows, out, out_units, receipt, model)
    made = fit(
        events,
        units,
        schema=_schema(events_schema, units_schema, time, gap_schema, max_events),
        epsilon=epsilon,
        delta=delta,
        generator=build_generator(generator, parse_assignments(assignments)),
        units_generator=units_generator,
        units_share=UNITS_SHARE if units_share is None else units_share,
        seed=seed,
        relation=relation,
        accountant=accountant,
    )
    if receipt is not None:
        write_atomically(receipt, made.receipt.to_json().encode())
    if model is not None:
        made.save(model)
    _write(made, rows, out, out_units, rng=None)


@click.command()
@click.argument("model")
@click.option("--rows", type=int, help="Number of units; by default what the model holds.")
@click.option("--out", required=True, metavar="FILE", help="Synthetic events: .csv or .parquet.")
@click.option("--out-units", metavar="FILE", help="Synthetic units: .csv or .parquet.")
@sampling_seed_option
def sample_linked(
    model: str, rows: int | None, out: str, out_units: str | None, seed: int | None
) -> None:
    """Sample a saved linked MODEL again; this costs no privacy."""
    from dpsynth.linked.synthesis import LinkedSynthesis

    _check(rows, out, out_units)
    rng = seeded(seed)
    _write(LinkedSynthesis.load(model), rows, out, out_units, rng=rng)


def _schema(
    events: str, units: str | None, time: str | None, gap: str | None, max_events: int
) -> "LinkedSchema":
    from dpsynth.data.columns import FloatColumn, IntegerColumn
    from dpsynth.data.linked_schema import LinkedSchema
    from dpsynth.data.schema import Schema

    column = None
    if gap is not None:
        column = Schema.load(gap).columns[0]
        if not isinstance(column, IntegerColumn | FloatColumn):
            raise InvalidValueError("--gap-schema", gap, "a schema of one integer or float column")
    return LinkedSchema(
        events=Schema.load(events),
        units=None if units is None else Schema.load(units),
        time=time,
        gap=column,
        max_events=max_events,
    )


def _check(rows: int | None, out: str, out_units: str | None, *others: str | None) -> None:
    check_rows(rows)
    check_outputs(out, *others)
    if out_units is not None:
        check_outputs(out_units)


def _write(
    made: "LinkedSynthesis",
    rows: int | None,
    out: str,
    out_units: str | None,
    *,
    rng: "np.random.Generator | None",
) -> None:
    sample = made.sample(rows, rng=rng)
    sample.save(events=out, units=out_units)
    click.echo(
        f"wrote {len(sample.events)} events of {len(sample.units)} units to {Path(out)}: "
        f"{claim(made.receipt)} with all its events.{warning(made.receipt)}",
        err=True,
    )
