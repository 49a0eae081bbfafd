"""The data owner's verbs: schema, synthesize, sample."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.atomic import write_atomically
from dpsynth.cli.options import (
    accountant_option,
    check_seed,
    guarantee_options,
    limits_options,
    parse_assignments,
    schema_option,
    set_option,
)
from dpsynth.cli.output import check_outputs
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.synthesis import Synthesis


@click.group()
def schema() -> None:
    """Draft the public description of a table."""


@schema.command()
@click.argument("file")
@click.option("--public", is_flag=True, help="Declares that the data are public.")
@click.option("--out", metavar="FILE", help="Where to write; by default the screen.")
def infer(file: str, public: bool, out: str | None) -> None:
    """Draft a schema for FILE (CSV or Parquet) from its own values.

    Bounds and categories taken from sensitive records leak them, so this works only for data that
    are declared public; receipts of models fitted under the draft list what was taken.
    """
    from dpsynth.data.files import read_frame
    from dpsynth.data.infer import infer_schema

    text = infer_schema(read_frame(file), public=public).to_toml()
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())
        click.echo(f"wrote {out}; check every bound and category before you use it.", err=True)


@click.command()
@click.argument("data")
@schema_option("Its")
@click.option("--generator", default="two_stage", show_default=True, help="Name, or module:Class.")
@set_option("the generator")
@guarantee_options
@accountant_option
@limits_options
@click.option(
    "--rows", type=int, help="How many; by default what the model holds, never the exact n."
)
@click.option(
    "--public-table",
    metavar="FILE",
    help="Records of the same schema that are public, for --generator public_prior.",
)
@click.option("--out", required=True, metavar="FILE", help="Synthetic records: .csv or .parquet.")
@click.option("--receipt", metavar="FILE", help="The receipt of every unit of privacy (JSON).")
@click.option("--model", metavar="FILE", help="The fitted model, for `dpsynth sample`.")
@click.option(
    "--seed",
    type=int,
    help="Research mode: reproducible, and not for release. By default release mode.",
)
def synthesize(
    *,
    data: str,
    schema_path: str,
    generator: str,
    assignments: tuple[str, ...],
    epsilon: float,
    delta: float,
    relation: str,
    accountant: str | None,
    max_seconds: float | None,
    max_memory: float | None,
    rows: int | None,
    public_table: str | None,
    out: str,
    receipt: str | None,
    model: str | None,
    seed: int | None,
) -> None:
    """Turn DATA (CSV or Parquet) into synthetic records under differential privacy."""
    from dpsynth.generators.limits import Limits
    from dpsynth.synthesis import build_generator
    from dpsynth.synthesis import synthesize as fit

    _check_rows(rows)
    check_outputs(out, receipt, model)
    synthesis = fit(
        data,
        schema=schema_path,
        generator=build_generator(generator, parse_assignments(assignments)),
        epsilon=epsilon,
        delta=delta,
        seed=seed,
        relation=relation,
        accountant=accountant,
        limits=Limits(seconds=max_seconds, memory_mb=max_memory),
        public=public_table,
    )
    written = synthesis.sample_to(out, rows)
    if receipt is not None:
        write_atomically(receipt, synthesis.receipt.to_json().encode())
    if model is not None:
        synthesis.save(model)
    click.echo(_summary(written, out, synthesis), err=True)


@click.command()
@click.argument("model")
@click.option("--rows", type=int, help="How many; by default what the model holds.")
@click.option("--out", required=True, metavar="FILE", help="Synthetic records: .csv or .parquet.")
@click.option("--seed", type=int, help="By default the model's own in research mode, else fresh.")
def sample(model: str, rows: int | None, out: str, seed: int | None) -> None:
    """Sample a saved MODEL again; this costs no privacy."""
    import numpy as np

    from dpsynth.synthesis import Synthesis

    _check_rows(rows)
    check_outputs(out)
    if seed is not None:
        check_seed(seed)
    synthesis = Synthesis.load(model)
    rng = None if seed is None else np.random.default_rng(seed)
    written = synthesis.sample_to(out, rows, rng=rng)
    click.echo(_summary(written, out, synthesis), err=True)


def _check_rows(rows: int | None) -> None:
    if rows is not None and rows < 1:
        raise InvalidValueError("--rows", rows, "at least 1")


def _summary(rows: int, out: str, synthesis: "Synthesis") -> str:
    receipt, skipped = synthesis.receipt, synthesis.skipped
    budget = receipt.budget
    left_out = f" Sets of attributes too large to be considered: {skipped}." if skipped else ""
    warning = " Research mode: NOT for release." if receipt.not_for_release else ""
    return (
        f"wrote {rows} rows to {Path(out)}: ({budget.epsilon:g}, {budget.delta:g})-differentially "
        f"private, {budget.relation}, per {budget.unit}.{left_out}{warning}"
    )
