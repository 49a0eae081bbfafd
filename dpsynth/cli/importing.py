"""The verbs import and split: releases that someone else made, judged beside a store's own."""

from pathlib import Path

import click

from dpsynth.cli.output import UNPROTECTED, check_outputs, print_table


@click.command("import")
@click.argument("file")
@click.option("--store", required=True, metavar="STORE", help="The results store that takes it.")
@click.option("--dataset", required=True, metavar="NAME", help="A data set of its experiment.")
@click.option("--generator", required=True, metavar="LABEL", help="What rows call its maker.")
@click.option("--epsilon", type=float, required=True, help="As claimed.")
@click.option("--delta", type=float, default=1e-9, show_default=True, help="As claimed.")
@click.option("--seed", type=int, required=True, help="Of the split that it was fitted to.")
@click.option("--source", default="", metavar="TEXT", help="Who made it, and how.")
@click.option("--folder", default=".", help="Where the experiment's relative paths start.")
def import_(
    file: str,
    *,
    store: str,
    dataset: str,
    generator: str,
    epsilon: float,
    delta: float,
    seed: int,
    source: str,
    folder: str,
) -> None:
    """Judge synthetic records in FILE (CSV or Parquet) that were made by anyone else.

    They become a cell of STORE, measured like its own and marked "claim not verified". They should
    have been fitted to the training records of a split, which `dpsynth split` writes.
    """
    from dpsynth.harness.external import Claim, Judge
    from dpsynth.harness.store import Store

    claim = Claim(
        generator=generator,
        dataset=dataset,
        epsilon=epsilon,
        delta=delta,
        seed=seed,
        source=source,
    )
    record = Judge(Store(store), folder=Path(folder)).judge(file, claim)
    print_table(
        ["metric", "value", "lower", "upper", "hold-out", "independent"],
        [
            [r.metric, r.value, r.lower, r.upper, r.holdout, r.independent]
            for r in record.rows
            if r.kind != "run"
        ],
    )
    click.echo(UNPROTECTED)
    click.echo(f"{store}/cells/{record.cell}.json: claim not verified.")


@click.command()
@click.argument("store")
@click.option("--dataset", required=True, metavar="NAME", help="A data set of its experiment.")
@click.option("--seed", type=int, required=True, help="One of its seeds.")
@click.option("--out", required=True, metavar="FILE", help="Training records (.csv or .parquet).")
@click.option("--schema-out", metavar="FILE", help="Their schema (TOML).")
@click.option("--folder", default=".", help="Where the experiment's relative paths start.")
def split(
    store: str, *, dataset: str, seed: int, out: str, schema_out: str | None, folder: str
) -> None:
    """Write the training records of one split of a STORE's experiment, real ones.

    A generator that is fitted to these alone can be compared with the store's own by `dpsynth
    import`; one that saw other records of the data set cannot.
    """
    from dpsynth.atomic import write_atomically
    from dpsynth.data.files import save_file
    from dpsynth.harness.external import Judge
    from dpsynth.harness.store import Store

    check_outputs(out, schema_out)
    train, _ = Judge(Store(store), folder=Path(folder)).split(dataset, seed)
    save_file(train, out)
    if schema_out is not None:
        write_atomically(schema_out, train.schema.to_toml().encode())
    click.echo(f"wrote {out}: REAL training records, as protected as the data set itself.")
