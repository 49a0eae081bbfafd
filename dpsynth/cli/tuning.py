"""The verb tune: hyperparameters under the ledger, or on public records."""

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
from dpsynth.cli.output import claim, warning
from dpsynth.errors import InvalidValueError


@click.command()
@click.argument("data", required=False)
@click.option("--public", metavar="FILE", help="Records that you declare public, instead of DATA.")
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
@click.option("--out", required=True, metavar="FILE", help="The model; of public records TOML.")
@click.option("--receipt", metavar="FILE", help="Of DATA: the receipt of all runs (JSON).")
@seed_option
def tune(
    *,
    data: str | None,
    public: str | None,
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
) -> None:
    """Choose hyperparameters: the best of a random number of runs on DATA, all of them paid for.

    With --public, as many trials as you like, for nothing; `dpsynth synthesize --parameters` takes
    what they find.
    """
    from dpsynth.tuning.grid import read_grid

    _check_kind(
        data, public, trials=trials, utility=utility, mean_runs=mean_runs, law=law, receipt=receipt
    )
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
    if public is not None:
        options = {"utility": utility or "tvd_2way", "seed": seed or 0, **shared}
        _write_parameters(public, out, 30 if trials is None else trials, options)
        return
    options = {
        "mean_runs": 8.0 if mean_runs is None else mean_runs,
        "law": law or "logarithmic",
        "seed": seed,
        **shared,
    }
    _write_model(str(data), out, receipt, options)


def _write_model(data: str, out: str, receipt: str | None, options: dict[str, Any]) -> None:
    from dpsynth.tuning.random_stopping import tune as tuned

    made = tuned(data, **options)
    made.save(out)
    if receipt is not None:
        write_atomically(receipt, made.receipt.to_json().encode())
    said = f"{claim(made.receipt)}, all runs together"
    click.echo(f"wrote {out}: {made.generator}; {said}.{warning(made.receipt)}", err=True)


def _write_parameters(public: str, out: str, trials: int, options: dict[str, Any]) -> None:
    from dpsynth.tuning.proxies import tune_on_public

    found = tune_on_public(public, trials=trials, **options)
    write_atomically(out, found.to_toml().encode())
    told = f"{found.utility} {found.value:.4g} at a simulated epsilon of {found.epsilon:g}"
    click.echo(f"wrote {out}: {told}, on public records.", err=True)


def _check_kind(data: str | None, public: str | None, **given: object) -> None:
    """Refuse options that do not go with the kind of records."""
    from dpsynth.tuning.random_stopping import NAIVE

    if (data is None) == (public is None):
        rule = "private records as DATA, or public ones by --public, and not both"
        raise InvalidValueError("records", (data, public), rule)
    for name in ("trials", "utility"):
        if data is not None and given[name] is not None:
            raise InvalidValueError(f"--{name}", given[name], NAIVE)
    for name in ("mean_runs", "law", "receipt"):
        if public is not None and given[name] is not None:
            rule = "left out for public records, which cost nothing; use --trials"
            raise InvalidValueError(f"--{name.replace('_', '-')}", given[name], rule)
