"""Compare whole pipelines, from raw records to synthetic ones, with those of other projects.

    python scripts/compare_raw.py --data uci_adult online_shoppers randhie --epsilon 1 --seeds 3

Everyone gets the same raw CSV, the same declared bounds and categories, the same epsilon and delta;
bins of numbers, missing values and what values look like within bins are everyone's own business.
Judged on one common fine binning, the data set's own schema. Environments, timing and kept rows are
those of `compare_peers.py`.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
from compare_peers import Bout
from peers.contenders import RAW, Contender
from peers.results import Row, append, key, load, markdown
from peers.running import PeerError, prepare, timed

from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.files import load_frame
from dpsynth.data.schema import Schema
from dpsynth.errors import DpsynthError
from dpsynth.evaluation.evaluate import evaluate
from dpsynth.harness.config import DatasetChoice
from dpsynth.harness.fingerprint import load_dataset
from dpsynth.harness.release import clipped


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RawBout:
    """One split of one data set in the form in which its owner has it."""

    bout: Bout

    def task(self, folder: Path) -> dict[str, Any]:
        """Return the task of this bout but for its budget, with the records written to `folder`."""
        train, records = self.bout.parts[0], folder / "raw.csv"
        train.frame.to_csv(records, index=False)
        columns = [_described(column) for column in train.schema.columns]
        return {
            "columns": columns,
            "records": str(records),
            "rows": len(train),
            "seed": self.bout.seed,
        }

    def judge(self, made: Path) -> dict[str, dict[str, float]]:
        """Return scores and references of synthetic records in a file.

        Raises:
            PeerError: they are not under the columns that were declared.
        """
        schema = self.bout.dataset.table.schema
        try:
            synthetic = clipped(schema, load_frame(made, schema.columns))
        except DpsynthError as error:
            raise PeerError(f"failed: {error}") from error
        found = evaluate(
            *self.bout.parts,
            synthetic,
            metrics=self.bout.metrics,
            target=self.bout.dataset.target,
            rng=np.random.default_rng([self.bout.seed, 2]),
            references=self.bout.references,
        )
        return {
            "scores": {e.metric: e.value for e in found},
            "holdout": {e.metric: e.holdout for e in found},
            "independent": {e.metric: e.independent for e in found},
        }


def _described(column: Column) -> dict[str, Any]:
    of = {"name": column.name, "missing": column.missing, "categories": []}
    if isinstance(column, CategoricalColumn):
        return of | {"categories": list(column.categories)}
    return of | {
        "whole": isinstance(column, IntegerColumn),
        "lower": column.lower,
        "upper": column.upper,
    }


def contest(bout: RawBout, contender: Contender, base: Row) -> Row:
    """Return the row of one run of a pipeline."""
    try:
        python = prepare(contender)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            out, file = folder / "out.csv", folder / "task.json"
            budget = {field: base[field] for field in ("epsilon", "delta")}
            task = {**bout.task(folder), **budget, "mechanism": contender.mechanism}
            file.write_text(json.dumps(task))
            command = [str(python), str(contender.runner), str(file), str(out)]
            seconds, peak = timed(
                command,
                log=folder / "log.txt",
                timeout=base["timeout"],
                ours=contender.project == "ours",
            )
            _rounded(out, bout.bout.dataset.table.schema)
            scores = bout.judge(out)
    except PeerError as error:
        return {**base, "status": str(error)}
    return {**base, "status": "done", "seconds": seconds, "peak_mb": peak, **scores}


def _rounded(path: Path, schema: Schema) -> None:
    """Round what a pipeline made of whole numbers, which some of them forget to be."""
    frame = pd.read_csv(path, dtype=dict.fromkeys(_names(schema, CategoricalColumn), str))
    for name in _names(schema, IntegerColumn):
        frame[name] = pd.to_numeric(frame[name]).round()
    frame[list(schema.names)].to_csv(path, index=False)


def _names(schema: Schema, kind: type[Column]) -> list[str]:
    return [column.name for column in schema.columns if isinstance(column, kind)]


def compare(args: argparse.Namespace, contenders: Sequence[Contender]) -> list[Row]:
    """Return the rows asked for, made where they are not kept yet."""
    kept, asked = load(args.out), []
    for data in args.data:
        dataset = load_dataset(DatasetChoice(name=data), Path())
        for seed in range(args.seeds):
            bout = RawBout(bout=Bout(dataset=dataset, seed=seed))
            for epsilon in args.epsilon:
                for contender in contenders:
                    base = {
                        "data": data,
                        "contender": contender.name,
                        "version": contender.version,
                        "epsilon": epsilon,
                        "delta": args.delta,
                        "seed": seed,
                        "timeout": args.timeout,
                    }
                    row = kept.get(key(base))
                    if row is None:
                        row = contest(bout, contender, base)
                        append(args.out, row)
                        print(data, epsilon, seed, contender.name, row["status"], flush=True)
                    asked.append(row)
    return asked


def main() -> None:
    names = [contender.name for contender in RAW]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", nargs="+", default=["uci_adult", "online_shoppers", "randhie"])
    parser.add_argument("--epsilon", nargs="+", type=float, default=[1.0])
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--timeout", type=float, default=600, help="seconds a run")
    parser.add_argument("--out", type=Path, default=Path("results/raw.jsonl"))
    args = parser.parse_args()
    print(markdown(compare(args, [c for c in RAW if c.name in args.only])))


if __name__ == "__main__":
    main()
