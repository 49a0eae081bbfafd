"""False alarms and power of drift detection on real records, by repetition.

The null hypothesis is true: a table is split in two at random, one half is fitted, the other is
the batch. For power a part of the batch's records gets one value of a column, both at random.

    python scripts/simulate_drift.py nist_ma2019 --generator mst --model-epsilon 1 \
        --epsilon 0.1 --epsilon 1 --repetitions 200 --seed 0 --out results/drift.jsonl
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

import dpsynth
from dpsynth.data.table import Table
from dpsynth.drift.detect import detect_drift


def shifted(batch: Table, part: float, rng: np.random.Generator) -> tuple[Table, str]:
    """Return the batch with `part` of its records moved to one value of one column, and which."""
    frame = batch.frame
    column = str(rng.choice([c for c in frame.columns if frame[c].nunique(dropna=False) > 1]))
    values = frame[column].drop_duplicates()
    target = values.iloc[int(rng.integers(len(values)))]
    same = frame[column].isna() if pd.isna(target) else frame[column] == target
    others = np.flatnonzero(~same.fillna(False).to_numpy())
    moved = rng.choice(others, size=min(len(others), round(part * len(frame))), replace=False)
    changed = frame[column].copy()
    changed.iloc[moved] = target
    frame[column] = changed
    return Table.from_frame(batch.schema, frame), column


def repetition(args: argparse.Namespace, table: Table, seed: int) -> list[dict[str, object]]:
    rng = np.random.default_rng([args.seed, seed])
    order = rng.permutation(len(table))
    half = len(table) // 2
    train, batch = table.take(order[:half]), table.take(order[half:])
    model = dpsynth.synthesize(
        train, generator=args.generator, epsilon=args.model_epsilon, seed=int(rng.integers(2**60))
    )
    moved, column = shifted(batch, args.shift, rng)
    found: list[dict[str, object]] = []
    for epsilon in args.epsilon:
        for world, new in (("null", batch), ("shift", moved))[: 2 if args.shift else 1]:
            seen = detect_drift(
                model,
                new,
                epsilon=epsilon,
                alpha=args.alpha,
                seed=int(rng.integers(2**60)),
                draws=args.draws,
            )
            first = next((c.adjusted for c in seen.changes if c.columns == (column,)), 1.0)
            found.append(
                {
                    "world": world,
                    "epsilon": epsilon,
                    "seed": seed,
                    "p": seen.p_value,
                    "drifted": seen.drifted,
                    "column": column,
                    "size": table.schema.column(column).size,
                    "column_found": first <= args.alpha,
                    "compared": len(seen.changes),
                    "first": seen.changes[0].columns if seen.changes else (),
                }
            )
    return found


def summarise(rows: list[dict[str, object]], args: argparse.Namespace) -> None:
    for epsilon in args.epsilon:
        for world in ("null", "shift"):
            own = [r for r in rows if r["epsilon"] == epsilon and r["world"] == world]
            if not own:
                continue
            hits = sum(bool(r["drifted"]) for r in own)
            interval = binomtest(hits, len(own)).proportion_ci(0.95)
            print(
                f"{args.data} {args.generator} model {args.model_epsilon:g} batch {epsilon:g} "
                f"{world}: {hits}/{len(own)} = {hits / len(own):.3f} "
                f"[{interval.low:.3f}, {interval.high:.3f}], "
                f"the column itself {np.mean([bool(r['column_found']) for r in own]):.2f}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--generator", default="mst")
    parser.add_argument("--model-epsilon", type=float, default=1.0)
    parser.add_argument("--epsilon", type=float, action="append", required=True)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--shift", type=float, default=0.0)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out")
    args = parser.parse_args()
    table, rows = dpsynth.DATASETS.get(args.data)().table, list[dict[str, object]]()
    start = time.monotonic()
    for seed in range(args.repetitions):
        rows += repetition(args, table, seed)
        if args.out:
            Path(args.out).write_text("".join(json.dumps(r) + "\n" for r in rows))
    summarise(rows, args)
    print(f"{time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
