"""Compare this project's mechanisms with its peers' on the same coded tables.

    python scripts/compare_peers.py --data randhie --epsilon 1 --seeds 3

Every contender gets the same integer codes (this project's codec, so the same bins), split,
epsilon, delta, add/remove neighbours and number of synthetic rows, in a process of its own that is
timed whole, import included. Peers are the package's third parties, by its contract and in its
environments (docs/third_party.md), which are made on first use. What does not install, crashes or
takes too long becomes a row that says so.
Runs are kept in a file of JSON lines, and a run that is in it is not made again.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any, final

import numpy as np
from peers.contenders import CONTENDERS, Contender
from peers.results import METRICS, Row, append, key, load, markdown, ratios
from peers.running import PeerError, run

from dpsynth.data.datasets import Dataset
from dpsynth.data.table import Table
from dpsynth.evaluation.evaluate import evaluate, resolve
from dpsynth.evaluation.metric import Metric
from dpsynth.evaluation.private_models import PRIVATE_MODELS, private_auc
from dpsynth.evaluation.references import References
from dpsynth.evaluation.sample import Sample
from dpsynth.harness.config import DatasetChoice
from dpsynth.harness.fingerprint import load_dataset
from dpsynth.harness.release import split

HOLDOUT = 0.2


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Bout:
    """One split of one data set, and what judges all contenders on it."""

    dataset: Dataset
    seed: int
    scored: tuple[str, ...] = METRICS

    @cached_property
    def parts(self) -> tuple[Table, Table]:
        """Training table and hold-out."""
        return split(self.dataset.table, HOLDOUT, np.random.SeedSequence([self.seed]))

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """What can be scored: without a target nothing is predicted."""
        target = self.dataset.target
        return resolve([m for m in self.scored if m != "tstr_auc" or target], target=target)

    @cached_property
    def references(self) -> References:
        """The references of the metrics on this split."""
        rng = np.random.default_rng([self.seed, 1])
        return References.compute(
            *self.parts, metrics=self.metrics, target=self.dataset.target, rng=rng
        )

    def task(self) -> dict[str, Any]:
        """Return the task of this bout but for its budget."""
        train = self.parts[0]
        target = None if self.dataset.target is None else self.dataset.target.column
        return {"train": train, "rows": len(train), "seed": self.seed, "target": target}

    def judge(self, synthetic: Table) -> dict[str, dict[str, float]]:
        """Return scores and references of synthetic records."""
        found = evaluate(
            *self.parts,
            synthetic,
            metrics=self.metrics,
            target=self.dataset.target,
            rng=np.random.default_rng([self.seed, 2]),
            references=self.references,
        )
        return {
            "scores": {e.metric: e.value for e in found},
            "holdout": {e.metric: e.holdout for e in found},
            "independent": {e.metric: e.independent for e in found},
        }


def contest(bout: Bout, contender: Contender, base: Row) -> Row:
    """Return the row of one run of a mechanism."""
    budget = {name: base[name] for name in ("epsilon", "delta")}
    try:
        made = run(contender, {**bout.task(), **budget}, timeout=base["timeout"])
    except PeerError as error:
        return {**base, "status": str(error)}
    measured = {"status": "done", "seconds": made.seconds, "peak_mb": made.peak_mb}
    return {**base, **measured, **bout.judge(made.table)}


def private_model(bout: Bout, model: str, base: Row) -> Row:
    """Return the row of a private classifier of real records: it predicts, and makes no table."""
    target = bout.dataset.target
    assert target is not None
    train, holdout = (Sample.of(table, target=target) for table in bout.parts)
    rng = np.random.default_rng([bout.seed, 3])
    found = private_auc(
        train, holdout, model=model, target=target, epsilon=base["epsilon"], rng=rng
    )
    scores = {"tstr_auc": found.value}
    return {**base, "status": "done", "seconds": None, "peak_mb": None, "scores": scores}


def compare(args: argparse.Namespace, contenders: Sequence[Contender]) -> list[Row]:
    """Return the rows asked for, made where they are not kept yet."""
    kept, asked = load(args.out), []
    versions = {contender.name: contender.version for contender in contenders}
    for bout, epsilon in product(_bouts(args), args.epsilon):
        runs = {c.name: partial(contest, bout, c) for c in contenders}
        if bout.dataset.target is not None:
            models = {m: partial(private_model, bout, m) for m in PRIVATE_MODELS}
            runs |= {f"diffprivlib/{m}, on real": make for m, make in models.items()}
        for name, make in runs.items():
            base = {
                "data": bout.dataset.name,
                "contender": name,
                "version": versions.get(name, ""),
                "epsilon": epsilon,
                "delta": args.delta,
                "seed": bout.seed,
                "timeout": args.timeout,
            }
            row = kept.get(key(base))
            if row is None or (args.retry and row["status"] != "done"):
                row = make(base)
                append(args.out, row)
                shown = (row[k] for k in ("data", "epsilon", "seed", "contender", "status"))
                print(*shown, flush=True)
            asked.append(row)
    return asked


def _bouts(args: argparse.Namespace) -> Iterator[Bout]:
    for name in args.data:
        dataset = load_dataset(DatasetChoice(name=name), Path())
        for seed in range(args.seeds):
            yield Bout(dataset=dataset, seed=seed)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    names = [c.name for c in CONTENDERS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", nargs="+", default=["randhie"], help="registered data sets")
    parser.add_argument("--epsilon", nargs="+", type=float, default=[1.0])
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    parser.add_argument("--timeout", type=float, default=300, help="seconds a run")
    parser.add_argument("--retry", action="store_true", help="make failed runs again")
    parser.add_argument("--out", type=Path, default=Path("results/peers.jsonl"))
    return parser.parse_args(words)


def main() -> None:
    args = parse()
    rows = compare(args, [c for c in CONTENDERS if c.name in args.only])
    print()
    print(markdown(rows))
    versions = {contender.name: contender.version for contender in CONTENDERS}
    kept = load(args.out).values()
    print(ratios(row for row in kept if row["version"] == versions.get(row["contender"])))


if __name__ == "__main__":
    main()
