"""What tuning on a proxy gains on other records: defaults beside what Optuna found.

    python scripts/bench_tuning.py --out tuning.jsonl
    python scripts/bench_tuning.py --out tuning.jsonl --generator dpmerf --epsilons 1

Hyperparameters are chosen on each proxy at each epsilon, by `tune_on_public`: on a public table of
the same columns, and on a table simulated from the schema alone. Then defaults and each choice are
fitted to four fifths of the private table, by seeds that no trial had, and held to the rest. The
proxy's records have the private table's schema. Rows that are in the file already are kept.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

import numpy as np

from dpsynth.data.table import Table
from dpsynth.evaluation.evaluate import evaluate
from dpsynth.registry import DATASETS
from dpsynth.synthesis import build_generator, synthesize
from dpsynth.tuning.proxies import tune_on_public
from dpsynth.tuning.simulated import simulated_table

GRIDS: Mapping[str, Mapping[str, Any]] = {
    "dpvae": {
        "learning_rate": {"low": 0.005, "high": 0.08, "log": True},
        "hidden": {"low": 32, "high": 128, "log": True},
        "latent": {"low": 2, "high": 16, "log": True},
        "steps": {"low": 100, "high": 600, "log": True},
        "clipping_norm": {"low": 0.2, "high": 3.0, "log": True},
        "one_way_share": {"low": 0.1, "high": 0.7},
    },
    "dpmerf": {
        "learning_rate": {"low": 0.003, "high": 0.03, "log": True},
        "hidden": {"low": 32, "high": 128, "log": True},
        "features": {"low": 256, "high": 1024, "log": True},
        "bandwidth": {"low": 0.25, "high": 2.0, "log": True},
        "hearsay": {"low": 0.0004, "high": 0.04, "log": True},
        "one_way_share": {"low": 0.1, "high": 0.7},
    },
}
METRICS = ("tvd_2way", "tvd_3way", "tstr_auc")
DEFAULTS = "defaults"


def proxies(given: argparse.Namespace, private: Table) -> dict[str, Table]:
    """Return the public table and the simulated one, under the private table's schema."""
    public = DATASETS.get(given.public)().table
    rng = np.random.default_rng(given.simulation)
    return {
        given.public: Table.from_frame(private.schema, public.frame),
        f"simulated {given.simulation}": simulated_table(private.schema, len(public), rng=rng),
    }


def tuned(
    given: argparse.Namespace, name: str, proxy: Table, epsilon: float, out: Path
) -> Mapping[str, Any]:
    """Return the parameters chosen on a proxy, from the file where they are there already."""
    key = {"kind": "tuning", "generator": given.generator, "proxy": name, "epsilon": epsilon}
    kept = _kept(out, key)
    if kept is None:
        start = process_time()
        found = tune_on_public(
            proxy,
            generator=given.generator,
            grid=GRIDS[given.generator],
            epsilon=epsilon,
            trials=given.trials,
        )
        seconds = process_time() - start
        kept = {"parameters": dict(found.parameters), "value": found.value, "seconds": seconds}
        _append(out, key | kept)
    return kept["parameters"]


def scored(
    given: argparse.Namespace, chosen: str, parameters: Mapping[str, Any], epsilon: float, seed: int
) -> None:
    """Fit the private table under these parameters, and write what its hold-out says."""
    out, key = Path(given.out), {"kind": "score", "generator": given.generator, "chosen": chosen}
    key |= {"epsilon": epsilon, "seed": seed}
    if _kept(out, key) is not None:
        return
    dataset = DATASETS.get(given.private)()
    order = np.random.default_rng([seed, 1]).permutation(len(dataset.table))
    held = len(order) // 5
    train, holdout = dataset.table.take(order[held:]), dataset.table.take(order[:held])
    start = process_time()
    made = synthesize(
        train,
        generator=build_generator(given.generator, dict(parameters)),
        epsilon=epsilon,
        seed=1000 + seed,
    )
    seconds = process_time() - start
    found = evaluate(
        train,
        holdout,
        made.sample(len(train)),
        metrics=METRICS,
        target=dataset.target,
        rng=np.random.default_rng([seed, 2]),
    )
    _append(out, key | {"seconds": seconds} | {e.metric: e.value for e in found})


def _kept(out: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    rows = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    found = [row for row in map(json.loads, rows) if key.items() <= row.items()]
    return found[-1] if found else None


def _append(out: Path, row: Mapping[str, Any]) -> None:
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(row, flush=True)


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of means over seeds, with the scores of the seeds behind the first."""
    lines = ["| generator | epsilon | chosen on | " + " | ".join(METRICS) + " | CPU s a fit |"]
    lines.append("|---" * (4 + len(METRICS)) + "|")
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["kind"] == "score":
            groups.setdefault((row["generator"], row["epsilon"], row["chosen"]), []).append(row)
    for key, of in sorted(groups.items()):
        scores = [f"{mean(row[m] for row in of):.4f}" for m in METRICS]
        scores[0] += " (" + ", ".join(f"{row[METRICS[0]]:.4f}" for row in of) + ")"
        seconds = f"{mean(row['seconds'] for row in of):.0f}"
        lines.append("| " + " | ".join([*map(str, key), *scores, seconds]) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--private", default="nist_ma2019", help="a registered data set")
    parser.add_argument("--public", default="nist_ma2018", help="another of the same columns")
    parser.add_argument("--generator", default="dpvae", choices=sorted(GRIDS))
    parser.add_argument("--epsilons", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--simulation", type=int, default=0, help="seed of the simulated table")
    parser.add_argument("--out", required=True, help="where rows are kept (JSON lines)")
    given = parser.parse_args(arguments)
    out = Path(given.out)
    private = DATASETS.get(given.private)().table
    for epsilon in given.epsilons:
        for seed in range(given.seeds):
            scored(given, DEFAULTS, {}, epsilon, seed)
        for name, proxy in proxies(given, private).items():
            parameters = tuned(given, name, proxy, epsilon, out)
            for seed in range(given.seeds):
                scored(given, name, parameters, epsilon, seed)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    print(markdown(rows))


if __name__ == "__main__":
    main()
