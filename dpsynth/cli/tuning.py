"""The verb tune: hyperparameters under the ledger, or on public records."""

from functools import partial
from typing import Any

import click

from dpsynth.atomic import check_writable, write_atomically
from dpsynth.cli.options import (
    guarantee_options,
    parse_assignments,
    schema_option,
    seed_option,
    set_option,
)
from dpsynth.cli.output import claim, receipt_of_failure, warning, write_receipt
from dpsynth.cli.targets import target_of, target_options
from dpsynth.errors import InvalidValueError


@click.command()
@click.argument("data", required=False)
@click.option("--public", metavar="FILE", help="Records that you declare public, instead of DATA.")
@click.option(
    "--simulated",
    type=int,
    metavar="ROWS",
    help="Instead of DATA: so many records, drawn from a law that knows the schema alone.",
)
@schema_option("Its")
@click.option("--generator", required=True, help="Name, or module:Class.")
@set_option("all candidates")
@click.option(
    "--grid", "grid_path", required=True, metavar="FILE", help="TOML: name = [its values]."
)
@guarantee_options
@click.option("--mean-runs", type=float, help="Of DATA: expected number of runs. [default: 8]")
@click.option(
    "--law",
    type=click.Choice(["logarithmic", "geometric", "poisson"]),
    help="Of DATA: law of the number of runs. [default: logarithmic]",
)
@click.option("--trials", type=int, help="Of public records: how many. [default: 30]")
@click.option("--utility", help="Of public records: the metric. [default: tvd_2way]")
@target_options
@click.option("--out", required=True, metavar="FILE", help="The model; of public records TOML.")
@click.option("--receipt", metavar="FILE", help="Of DATA: the receipt of all runs (JSON).")
@seed_option
def tune(
    *,
    data: str | None,
    public: str | None,
    simulated: int | None,
    schema_path: str,
    generator: str,
    assignments: tuple[str, ...],
    grid_path: str,
    epsilon: float,
    delta: float,
    relation: str,
    mean_runs: float | None,
    law: str | None,
    trials: int | None,
    utility: str | None,
    out: str,
    receipt: str | None,
    seed: int | None,
    **aim: Any,
) -> None:
    """Choose hyperparameters: the best of a random number of runs on DATA, all of them paid for.

    With --public or --simulated, as many trials as you like, for nothing; `dpsynth synthesize
    --parameters` takes what they find.
    """
    from dpsynth.tuning.grid import read_grid

    of_data = {"mean_runs": mean_runs, "law": law, "receipt": receipt}
    _check_kind((data, public, simulated), {"trials": trials, "utility": utility, **aim}, of_data)
    for path in filter(None, (out, receipt)):
        check_writable(path)
    shared: dict[str, Any] = {
        "schema": schema_path,
        "generator": generator,
        "grid": read_grid(grid_path),
        "fixed": parse_assignments(assignments),
        "epsilon": epsilon,
        "delta": delta,
        "relation": relation,
    }
    if data is None:
        options = {"utility": utility or "tvd_2way", "seed": seed or 0, **shared}
        options["trials"] = 30 if trials is None else trials
        options["told"] = partial(_tell, options["trials"])
        _write_parameters(public, simulated, out, {**options, "target": aim})
        return
    options = {
        "mean_runs": 8.0 if mean_runs is None else mean_runs,
        "law": law or "logarithmic",
        "seed": seed,
        **shared,
    }
    _write_model(data, out, receipt, options)


def _write_model(data: str, out: str, receipt: str | None, options: dict[str, Any]) -> None:
    from dpsynth.tuning.random_stopping import tune as tuned

    with receipt_of_failure(receipt):
        made = tuned(data, **options)
    made.save(out)
    if receipt is not None:
        write_receipt(made.receipt, receipt)
    said = f"{claim(made.receipt)}, all runs together"
    click.echo(f"wrote {out}: {made.generator}; {said}.{warning(made.receipt)}", err=True)


def _write_parameters(
    public: str | None, simulated: int | None, out: str, options: dict[str, Any]
) -> None:
    from dataclasses import replace

    from dpsynth.data.schema import Schema
    from dpsynth.tuning.proxies import tune_on_public
    from dpsynth.tuning.simulated import simulated_under

    if options["target"]["target"] is None:
        options["target"] = None
    else:
        options["target"] = target_of(Schema.load(options["schema"]), **options["target"])
    if simulated is None:
        found = tune_on_public(str(public), **options)
    else:
        table = simulated_under(options.pop("schema"), simulated, seed=options["seed"])
        found = replace(tune_on_public(table, **options), proxy="simulated records")
    write_atomically(out, found.to_toml().encode())
    told = f"{found.utility} {found.value:.4g} at a simulated epsilon of {found.epsilon:g}"
    click.echo(f"wrote {out}: {told}, on {found.proxy}.", err=True)


def _tell(trials: int, ended: int, value: float | None, best: float | None) -> None:
    """Say how a trial ended: on a proxy that is no secret."""
    found = "refused" if value is None else f"{value:.4g}"
    so_far = "" if best is None else f", best so far {best:.4g}"
    click.echo(f"trial {ended} of {trials}: {found}{so_far}", err=True)


def _check_kind(
    records: tuple[object, ...], of_proxies: dict[str, object], of_data: dict[str, object]
) -> None:
    """Refuse options that do not go with the kind of records: of DATA first, or of a proxy."""
    from dpsynth.tuning.random_stopping import NAIVE

    if sum(each is not None for each in records) != 1:
        rule = "private records as DATA, public ones by --public, or --simulated ones: one of them"
        raise InvalidValueError("records", records, rule)
    private = records[0] is not None
    for name, value in (of_proxies if private else of_data).items():
        if value is not None:
            rule = "left out for public records, which cost nothing; use --trials"
            raise InvalidValueError(
                f"--{name.replace('_', '-')}", value, NAIVE if private else rule
            )
