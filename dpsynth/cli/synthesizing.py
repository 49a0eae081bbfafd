"""The data owner's verbs: schema, synthesize, sample."""

import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from dpsynth.atomic import write_atomically
from dpsynth.cli.asking import parse_balance, parse_do, parse_shares, parse_where, read_graph
from dpsynth.cli.copying import write_copies
from dpsynth.cli.options import (
    accountant_option,
    check_rows,
    guarantee_options,
    limits_options,
    parse_assignments,
    place_options,
    sampling_seed_option,
    schema_option,
    seed_option,
    seeded,
    set_option,
)
from dpsynth.cli.output import (
    check_outputs,
    claim,
    receipt_of_failure,
    warning,
    write_receipt,
)

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator
    from dpsynth.generators.limits import Limits
    from dpsynth.synthesis import Synthesis

# Of the time that the user gives: the rest is for the start of the process, and for writing.
_FOR_THE_FIT = 0.8


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
    _write_draft(text, out, "check every bound and category before you use it")


@schema.command()
@click.argument("file")
@click.option("--out", metavar="FILE", help="Where to write; by default the screen.")
def kinds(file: str, out: str | None) -> None:
    """Draft an open schema for FILE: names and kinds of its columns, and nothing of their values.

    What it leaves open - bounds, categories, bins - is bought by `dpsynth synthesize`.
    """
    from dpsynth.data.files import read_frame
    from dpsynth.data.infer import kinds_of

    _write_draft(kinds_of(read_frame(file)).to_toml(), out, "add what is publicly known")


@schema.command("of")
@click.argument("model")
@click.option("--out", metavar="FILE", help="Where to write; by default the screen.")
def schema_of(model: str, out: str | None) -> None:
    """Write the schema of a saved MODEL, with what was bought: for `dpsynth evaluate`, say."""
    from dpsynth.synthesis import Synthesis

    _write_draft(Synthesis.load(model).schema.to_toml(), out, "it holds private answers")


def _write_draft(text: str, out: str | None, advice: str) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())
        click.echo(f"wrote {out}; {advice}.", err=True)


@click.command()
@click.argument("data")
@schema_option("Its")
@click.option("--generator", default="two_stage", show_default=True, help="Name, or module:Class.")
@set_option("the generator")
@click.option(
    "--parameters", metavar="FILE", help="What `dpsynth tune --public` found (TOML); --set wins."
)
@guarantee_options
@accountant_option
@limits_options
@place_options
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
    "--checkpoint",
    metavar="FILE",
    help="For training by DP-SGD: after a crash the same command goes on and spends nothing twice.",
)
@seed_option
def synthesize(
    *,
    data: str,
    schema_path: str,
    generator: str,
    assignments: tuple[str, ...],
    parameters: str | None,
    epsilon: float,
    delta: float,
    relation: str,
    accountant: str | None,
    max_seconds: float | None,
    max_memory: float | None,
    out_of_core: bool | None,
    cluster: str | None,
    rows: int | None,
    public_table: str | None,
    out: str,
    receipt: str | None,
    model: str | None,
    checkpoint: str | None,
    seed: int | None,
) -> None:
    """Turn DATA into synthetic records under differential privacy.

    DATA is a CSV or Parquet file, a folder of such, or a pattern of names.
    """
    began = monotonic()
    from dpsynth.cli.training import TrainingDisplay
    from dpsynth.synthesis import synthesize as fit

    check_rows(rows)
    check_outputs(out, receipt, model)
    chosen = _generator(generator, parameters, assignments)
    with receipt_of_failure(receipt), TrainingDisplay(sys.stderr).showing() as watcher:
        synthesis = fit(
            data,
            schema=schema_path,
            generator=chosen,
            epsilon=epsilon,
            delta=delta,
            seed=seed,
            relation=relation,
            accountant=accountant,
            limits=_limits(max_seconds, max_memory, began=began),
            out_of_core=out_of_core,
            cluster=cluster,
            public=public_table,
            progress=watcher,
            checkpoint=checkpoint,
        )
    _write_all(synthesis, rows, out=out, receipt=receipt, model=model)


def _generator(name: str, parameters: str | None, assignments: tuple[str, ...]) -> "Generator":
    from dpsynth.synthesis import build_generator
    from dpsynth.tuning.grid import read_parameters

    tuned = {} if parameters is None else read_parameters(parameters, name)
    return build_generator(name, {**tuned, **parse_assignments(assignments)})


def _limits(seconds: float | None, memory_mb: float | None, *, began: float) -> "Limits":
    """Return what reading and fitting may take of what the whole command may.

    Args:
        seconds, memory_mb: of the command.
        began: the `monotonic` time when it did.
    """
    from dpsynth.generators.limits import Limits

    asked = Limits(seconds=seconds, memory_mb=memory_mb)
    if seconds is None:
        return asked
    left = _FOR_THE_FIT * seconds - (monotonic() - began)
    return replace(asked, seconds=max(left, sys.float_info.min))


def _write_all(
    synthesis: "Synthesis", rows: int | None, *, out: str, receipt: str | None, model: str | None
) -> None:
    written = synthesis.sample_to(out, rows)
    if receipt is not None:
        write_receipt(synthesis.receipt, receipt)
    if model is not None:
        synthesis.save(model)
    click.echo(_summary(written, out, synthesis), err=True)


@click.command()
@click.argument("model")
@click.option("--rows", type=int, help="How many; by default what the model holds.")
@click.option("--out", required=True, metavar="FILE", help="Synthetic records: .csv or .parquet.")
@click.option(
    "--copies", type=int, help="Tables among which the fit's noise shows, for `dpsynth infer`."
)
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="What each row satisfies: sex=female, 'age>=65', age=18..65, 'race=White|Black'.",
)
@click.option(
    "--balance",
    multiple=True,
    metavar="COLUMNS",
    help="Columns, joined by commas, whose combinations are to be equally frequent.",
)
@click.option(
    "--share",
    multiple=True,
    metavar="COLUMN:CONDITION=SHARE",
    help="The share of rows with a value: 'income:>50K=.5'.",
)
@sampling_seed_option
def sample(
    *,
    model: str,
    rows: int | None,
    out: str,
    copies: int | None,
    where: tuple[str, ...],
    balance: tuple[str, ...],
    share: tuple[str, ...],
    seed: int | None,
) -> None:
    """Sample a saved MODEL again; this costs no privacy, whatever is asked of the rows."""
    from dpsynth.synthesis import Synthesis

    check_rows(rows)
    check_outputs(out)
    rng = seeded(seed)
    synthesis = Synthesis.load(model)
    if copies is not None:
        asked = {"--where": where, "--balance": balance, "--share": share}
        return write_copies(synthesis, copies, rows, out, asked=asked, rng=rng)
    written = synthesis.sample_to(
        out,
        rows,
        where=parse_where(synthesis.schema, where),
        balance=parse_balance(balance),
        shares=parse_shares(synthesis.schema, share),
        rng=rng,
    )
    click.echo(_summary(written, out, synthesis), err=True)
    return None


@click.command()
@click.argument("model")
@click.option(
    "--do",
    "interventions",
    multiple=True,
    required=True,
    metavar="COLUMN=VALUE",
    help="What is different in the copies.",
)
@click.option("--graph", required=True, metavar="FILE", help="TOML: column = [its causes].")
@click.option("--of", "factual", metavar="FILE", help="Synthetic rows to copy: .csv or .parquet.")
@click.option("--rows", type=int, help="Without --of: how many rows to sample and copy.")
@click.option("--out", required=True, metavar="FILE", help="The copies: .csv or .parquet.")
@sampling_seed_option
def counterfactual(
    *,
    model: str,
    interventions: tuple[str, ...],
    graph: str,
    factual: str | None,
    rows: int | None,
    out: str,
    seed: int | None,
) -> None:
    """Copy rows of a saved MODEL as they would be, had some columns been different.

    This costs no privacy where the rows are synthetic. Copies of real rows are not protected.
    """
    from dpsynth.data.files import load_file, save_file
    from dpsynth.synthesis import Synthesis

    check_rows(rows)
    check_outputs(out)
    rng = seeded(seed)
    synthesis = Synthesis.load(model)
    table = synthesis.counterfactuals(
        rows if factual is None else load_file(factual, synthesis.schema),
        do=parse_do(synthesis.schema, interventions),
        graph=read_graph(graph),
        rng=rng,
    )
    save_file(table, out)
    if factual is None:
        click.echo(_summary(len(table), out, synthesis), err=True)
    else:
        kept = f"what they keep is as private as {factual}, the rest is post-processing"
        click.echo(f"wrote {len(table)} rows to {Path(out)}: {kept}.", err=True)


def _summary(rows: int, out: str, synthesis: "Synthesis") -> str:
    receipt, skipped = synthesis.receipt, synthesis.skipped
    left_out = f" Sets of attributes too large to be considered: {skipped}." if skipped else ""
    return f"wrote {rows} rows to {Path(out)}: {claim(receipt)}.{left_out}{warning(receipt)}"
