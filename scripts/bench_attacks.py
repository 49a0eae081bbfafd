"""Seconds of every attack that runs no generator, on 20,000 records of 10 columns:

    python scripts/bench_attacks.py [--rows 20000] [--columns 10] [--generator mst] [--epsilon 1]

The records are UCI Adult's: so many used ones, so many control ones where there are enough, and as
many synthetic ones of a generator fitted to the used ones (its fit is not timed). CPU seconds and
wall seconds are of one process on one core; the machine's load is printed with them.
"""

import argparse
import os
from time import perf_counter, process_time

import numpy as np

from dpsynth.attacks.attack import matched_target
from dpsynth.attacks.holdout import check_control
from dpsynth.attacks.questions import run_attacks
from dpsynth.attacks.singling_out import SinglingOut
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.registry import ATTACKS, DATASETS
from dpsynth.report.tables import Grid
from dpsynth.synthesis import synthesize


def records(rows: int, columns: int, rng: np.random.Generator) -> tuple[Table, Table]:
    """Return used and control records of Adult, `columns` of its columns."""
    whole = DATASETS.get("uci_adult")().table
    schema = Schema(columns=whole.schema.columns[:columns])
    table = Table.from_frame(schema, whole.frame[list(schema.names)])
    order = rng.permutation(len(table))
    return table.take(order[:rows]), table.take(order[rows : 2 * rows])


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds of attacks.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--generator", default="mst")
    parser.add_argument("--epsilon", type=float, default=1.0)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    train, control = records(options.rows, options.columns, rng)
    model = synthesize(
        train, generator=options.generator, epsilon=options.epsilon, delta=1e-9, seed=0
    )
    synthetic = model.sample(options.rows)
    attacks = [a() for a in map(ATTACKS.get, ATTACKS) if not a.needs_refit]
    attacks.append(SinglingOut(columns=1))
    lines: list[tuple[str, ...]] = []
    start, busy = perf_counter(), process_time()
    check_control(train, control, attacks=len(attacks))
    target = matched_target(train, control, synthetic, rng=rng)
    lines.append(("checks", *_seconds(start, busy), ""))
    whole_start, whole_busy = start, busy
    for attack in attacks:
        start, busy = perf_counter(), process_time()
        (found,) = run_attacks([attack], target, rng=rng)
        lines.append((found.label, *_seconds(start, busy), f"{found.result.p_value:.2g}"))
    lines.append(("all", *_seconds(whole_start, whole_busy), ""))
    caption = (
        f"{options.rows} x {options.columns} of UCI Adult against {options.rows} rows of "
        f"{options.generator} at epsilon {options.epsilon:g}; load {os.getloadavg()[0]:.1f}."
    )
    print(
        Grid(
            caption=caption, header=("attack", "wall s", "CPU s", "p"), rows=tuple(lines)
        ).markdown()
    )


def _seconds(start: float, busy: float) -> tuple[str, str]:
    return f"{perf_counter() - start:.1f}", f"{process_time() - busy:.1f}"


if __name__ == "__main__":
    main()
