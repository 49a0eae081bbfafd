"""Compare this project's mechanisms with its peers' on the same coded tables.

    python scripts/compare_peers.py --data randhie --epsilon 1 --seeds 3

Every contender gets the same integer codes (this project's codec, so the same bins), split,
epsilon, delta, add/remove neighbours and number of synthetic rows, in a process of its own that is
timed whole, import included. Peers live in environments of their own under .peers/, made on first
use from the pins in scripts/peers/. What does not install, crashes or takes too long becomes a row
that says so.
Runs are kept in a file of JSON lines, and a run that is in it is not made again.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pandas as pd
from peers.contenders import CONTENDERS, Contender
from peers.results import METRICS, append, key, load, markdown
from peers.running import PeerError, run

from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table
from dpsynth.evaluation.evaluate import evaluate, resolve
from dpsynth.evaluation.private_models import PRIVATE_MODELS, private_auc
from dpsynth.evaluation.references import References
from dpsynth.evaluation.sample import Sample
from dpsynth.harness.config import DatasetChoice
from dpsynth.harness.fingerprint import load_dataset
from dpsynth.harness.release import split

HOLDOUT = 0.2


@final
@dataclass(frozen=True, kw_only=True)
class Bout:
    """One split of one data set, and what judges all contenders on it."""

    data: str
    seed: int
    train: Table
    holdout: Table
    target: Any
    metrics: tuple[Any, ...]
    references: References

    @classmethod
    def of(cls, data: str, seed: int) -> "Bout":
        """Return the bout of a registered data set and a seed."""
        dataset = load_dataset(DatasetChoice(name=data), Path())
        train, holdout = split(dataset.table, HOLDOUT, np.random.SeedSequence([seed]))
        names = [m for m in METRICS if m != "tstr_auc" or dataset.target is not None]
        metrics = resolve(names, target=dataset.target)
        rng = np.random.default_rng([seed, 1])
        references = References.compute(
            train, holdout, metrics=metrics, target=dataset.target, rng=rng
        )
        return cls(
            data=data,
            seed=seed,
            train=train,
            holdout=holdout,
            target=dataset.target,
            metrics=metrics,
            references=references,
        )

    def task(self, folder: Path) -> dict[str, Any]:
        """Return the task of this bout but for its budget, with the records written to `folder`."""
        codec = Codec(schema=self.train.schema)
        records = folder / "records.csv"
        names = self.train.schema.names
        pd.DataFrame(codec.encode(self.train), columns=list(names)).to_csv(records, index=False)
        sizes = {name: int(size) for name, size in codec.domain.sizes.items()}
        return {"sizes": sizes, "records": str(records), "rows": len(self.train), "seed": self.seed}

    def judge(self, codes: pd.DataFrame) -> dict[str, dict[str, float]]:
        """Return scores and references of synthetic codes."""
        codec = Codec(schema=self.train.schema)
        rng = np.random.default_rng([self.seed, 2])
        found = evaluate(
            self.train,
            self.holdout,
            codec.decode(np.asfortranarray(codes.to_numpy()), rng=rng),
            metrics=self.metrics,
            target=self.target,
            rng=rng,
            references=self.references,
        )
        return {
            "scores": {e.metric: e.value for e in found},
            "holdout": {e.metric: e.holdout for e in found},
            "independent": {e.metric: e.independent for e in found},
        }


def contest(
    bout: Bout, contender: Contender, base: dict[str, Any], task: dict[str, Any]
) -> dict[str, Any]:
    """Return the row of one run."""
    budget = {name: base[name] for name in ("epsilon", "delta")}
    try:
        made = run(contender, {**task, **budget}, timeout=base["timeout"])
    except PeerError as error:
        return {**base, "status": str(error)}
    return {
        **base,
        "status": "done",
        "seconds": made.seconds,
        "peak_mb": made.peak_mb,
        **bout.judge(made.codes),
    }


def private_model(bout: Bout, name: str, base: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a private classifier of real records: it predicts, and makes no table."""
    train, holdout = (Sample.of(t, target=bout.target) for t in (bout.train, bout.holdout))
    rng = np.random.default_rng([bout.seed, 3])
    found = private_auc(
        train, holdout, model=name, target=bout.target, epsilon=base["epsilon"], rng=rng
    )
    scores = {"tstr_auc": found.value}
    return {**base, "status": "done", "seconds": None, "peak_mb": None, "scores": scores}


def compare(args: argparse.Namespace, contenders: Sequence[Contender]) -> list[dict[str, Any]]:
    """Return the rows asked for, made where they are not kept yet."""
    kept, asked = load(args.out), []
    for data in args.data:
        for seed in range(args.seeds):
            bout = Bout.of(data, seed)
            with tempfile.TemporaryDirectory() as folder:
                task = bout.task(Path(folder))
                for epsilon in args.epsilon:
                    for entry in (*contenders, *(PRIVATE_MODELS if bout.target else ())):
                        name = entry if isinstance(entry, str) else entry.name
                        base = {
                            "data": data,
                            "contender": name if name != entry else f"diffprivlib/{name}, on real",
                            "version": "" if isinstance(entry, str) else entry.version,
                            "epsilon": epsilon,
                            "delta": args.delta,
                            "seed": seed,
                            "timeout": args.timeout,
                        }
                        row = kept.get(key(base))
                        if row is None or (args.retry and row["status"] != "done"):
                            if isinstance(entry, str):
                                row = private_model(bout, entry, base)
                            else:
                                row = contest(bout, entry, base, task)
                            append(args.out, row)
                            print(data, epsilon, seed, base["contender"], row["status"], flush=True)
                        asked.append(row)
    return asked


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


if __name__ == "__main__":
    main()
