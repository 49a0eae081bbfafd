"""Marginal generators on wide tables: error, seconds and peak memory, a process a run.

    python scripts/bench_wide.py --data latent chain digits --generator mst residual --seeds 3

`latent` (latent classes) and `chain` (each column often follows the one before) are made on the
spot, 20,000 rows of `--columns` columns with 5 to 10 codes; other names are registered data sets.
Errors are mean total variation from the training records (80% of a table), as `tvd_1way` and its
sisters say; synthetic tables have as many rows. Seconds are those of fit and sample.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import dpsynth
from dpsynth.data.schema import IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.evaluation.evaluate import resolve
from dpsynth.evaluation.sample import Sample
from dpsynth.harness.config import DatasetChoice
from dpsynth.harness.fingerprint import load_dataset
from dpsynth.harness.release import split
from dpsynth.memory import resident_mb

ROWS, CLASSES, HOLDOUT = 20_000, 8, 0.2
METRICS = ("tvd_1way", "tvd_2way", "tvd_3way")


def sizes_of(columns: int, rng: np.random.Generator) -> list[int]:
    return [int(size) for size in rng.integers(5, 11, columns)]


def latent(columns: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], list[int]]:
    """Codes that are independent given one of a few classes; a third of the columns are noise."""
    sizes = sizes_of(columns, rng)
    classes = rng.choice(CLASSES, ROWS, p=rng.dirichlet(np.full(CLASSES, 3.0)))
    codes = np.empty((ROWS, columns), dtype=np.int64)
    for i, size in enumerate(sizes):
        shared = rng.dirichlet(np.full(size, 1.0))
        weight = 0.0 if rng.random() < 0.3 else rng.uniform(0.5, 1.0)
        laws = (1 - weight) * shared + weight * rng.dirichlet(np.full(size, 0.3), CLASSES)
        codes[:, i] = (rng.random(ROWS)[:, None] > laws.cumsum(axis=1)[classes, :-1]).sum(axis=1)
    return codes, sizes


def chain(columns: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], list[int]]:
    """Codes of skewed columns, each of which follows the one before in three rows of four."""
    sizes = sizes_of(columns, rng)
    codes = np.empty((ROWS, columns), dtype=np.int64)
    level = rng.random(ROWS)
    for i, size in enumerate(sizes):
        level = np.where(rng.random(ROWS) < 0.75, level, rng.beta(0.7, 1.5, ROWS))
        codes[:, i] = np.minimum((level * size).astype(np.int64), size - 1)
    return codes, sizes


MADE = {"latent": latent, "chain": chain}


def table_of(name: str, columns: int) -> Table:
    if name not in MADE:
        return load_dataset(DatasetChoice(name=name), Path()).table
    codes, sizes = MADE[name](columns, np.random.default_rng([columns, len(name)]))
    schema = Schema(
        columns=tuple(
            IntegerColumn(name=f"c{i}", lower=0, upper=size - 1) for i, size in enumerate(sizes)
        )
    )
    return Table.from_frame(schema, pd.DataFrame(codes, columns=list(schema.names)))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one fit."""
    (name,), (generator,), (epsilon,) = args.data, args.generator, args.epsilon
    table = table_of(name, args.columns)
    train, _ = split(table, HOLDOUT, np.random.SeedSequence([args.seed]))
    start = perf_counter()
    model = dpsynth.synthesize(
        train, generator=generator, epsilon=epsilon, delta=args.delta, seed=args.seed
    )
    fitted = perf_counter()
    synthetic = model.sample(len(train))
    sampled = perf_counter()
    peak = resident_mb(os.getpid())
    real, made = Sample.of(train), Sample.of(synthetic)
    rng = np.random.default_rng([args.seed, 1])
    scores = {m.name: m.value(real, made, rng=rng) for m in resolve(METRICS)}
    return {**scores, "fit": fitted - start, "sample": sampled - fitted, "peak": peak}


def report(rows: Sequence[dict[str, Any]]) -> str:
    """Return one line a generator and epsilon: means over seeds, the largest peak."""
    keys = ("tvd_1way", "tvd_2way", "tvd_3way")
    means = " / ".join(f"{mean(r[k] for r in rows):.4f}" for k in keys)
    spread = max(r["tvd_2way"] for r in rows) - min(r["tvd_2way"] for r in rows)
    seconds = " + ".join(f"{mean(r[k] for r in rows):.1f}" for k in ("fit", "sample"))
    return (
        f"{means} (2-way spread {spread:.4f}), {seconds} s, {max(r['peak'] for r in rows):.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", nargs="+", default=["latent", "chain"])
    parser.add_argument("--generator", nargs="+", default=["independent", "mst", "residual"])
    parser.add_argument("--epsilon", nargs="+", type=float, default=[1.0])
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--columns", type=int, default=100, help="of the tables made here")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, help="run this one only, here, and print JSON")
    args = parser.parse_args()
    if args.seed is not None:
        print(json.dumps(run(args)))
        return
    for name, epsilon, generator in product(args.data, args.epsilon, args.generator):
        rows = []
        for seed in range(args.seeds):
            options = {
                "data": name,
                "generator": generator,
                "epsilon": epsilon,
                "delta": args.delta,
                "columns": args.columns,
                "seed": seed,
            }
            words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
            done = subprocess.run(
                [sys.executable, __file__, *words], capture_output=True, text=True, check=False
            )
            if done.returncode:
                print(f"{name}, epsilon {epsilon:g}, {generator}: {done.stderr.splitlines()[-1]}")
                break
            rows.append(json.loads(done.stdout))
        else:
            print(f"{name}, epsilon {epsilon:g}, {generator}: {report(rows)}", flush=True)


if __name__ == "__main__":
    main()
