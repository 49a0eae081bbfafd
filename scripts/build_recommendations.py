"""Make what `dpsynth recommend` knows from results stores, and say how good its advice would be.

    python scripts/build_recommendations.py results/bench-marginals-1-paper results/recommend

Writes `dpsynth/recommendation/datasets.csv` (public facts) and `scores.csv` (means over seeds) from
all finished releases of the stores; no records. Stores of another hold-out, relation, data or
metric than the first one's are refused: their scores would not compare. The data sets are read
again for their facts, with paths relative to `--folder`. With `--update` what the package knows is
kept, but for the pairs of data set and budget and the generators that the stores have; their data
sets must have the facts that it knows.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.errors import InvalidValueError
from dpsynth.harness.config import DatasetChoice
from dpsynth.harness.fingerprint import load_dataset
from dpsynth.harness.store import Record, Store
from dpsynth.parameters import construct
from dpsynth.recommendation.benchmark import FOLDER, METRICS, Benchmark
from dpsynth.recommendation.facts import Facts
from dpsynth.registry import GENERATORS

KEYS = ["dataset", "generator", "epsilon", "delta"]
FAMILIES = {
    "uci_adult": "adult",
    "mbi_adult": "adult",
    "nist_ma2018": "nist",
    "nist_ma2019": "nist",
}
"""Data sets of one source have one family; any other is its own."""
COMPARED = ("holdout", "relation")


def finished(store: Path) -> list[Record]:
    """Return the releases of a store that have ended well."""
    found = [r for r in Store(store).records() if r.status == "done" and r.settings["dataset"]]
    # A sweep's processes hold what any of its generators imports: memory tells nothing of others.
    shared = {module for r in found for module in needs(r)}
    return [r if set(needs(r)) == shared else replace(r, peak_rss_mb=None) for r in found]


def needs(record: Record) -> tuple[str, ...]:
    """Return the optional modules that the generator of a release imports."""
    return GENERATORS.get(record.settings["generator"]["name"]).requires


def check_comparable(records: list[Record]) -> None:
    """Refuse records of which some were judged otherwise than the others.

    Raises:
        InvalidValueError: another hold-out or relation, records of one name that differ, or a
            metric of other parameters.
    """
    seen: dict[str, Any] = {}
    for record in records:
        settings = record.settings
        facts = {key: settings[key] for key in COMPARED}
        facts[f"records of {settings['dataset']['name']}"] = settings["fingerprint"]["data"]
        facts |= {
            f"{row.metric} on {row.dataset}": row.identity
            for row in record.rows
            if row.kind == "utility"
        }
        for key, value in facts.items():
            if seen.setdefault(key, value) != value:
                raise InvalidValueError(key, value, f"{seen[key]} as in the first store")


def line(record: Record) -> dict[str, Any]:
    """Return the scores and costs of one release."""
    settings = record.settings
    times = [
        row.value or 0.0
        for row in record.rows
        if row.metric in {"processor seconds fit", "processor seconds sample"}
    ]  # none in stores of earlier versions
    costs = {"seconds": sum(times) if times else None, "memory_mb": record.peak_rss_mb}
    scores = {
        row.metric: row.value
        for row in record.rows
        if row.kind == "utility" and row.metric in METRICS
    }
    found = {key: settings[key] for key in ("epsilon", "delta", "seed")}
    names = {"dataset": settings["dataset"]["name"], "generator": settings["generator"]["label"]}
    return {**names, **found, **costs, **scores}


def facts_of(choice: dict[str, Any], folder: Path, holdout: float) -> dict[str, Any]:
    """Return the facts of a data set; its rows are those that generators were fitted to."""
    dataset = load_dataset(construct(DatasetChoice, choice, owner="datasets"), folder)
    rows = len(dataset.table)
    facts = Facts.of(dataset.table.schema, rows=rows - round(rows * holdout))
    family = FAMILIES.get(dataset.name, dataset.name)
    return {
        "dataset": dataset.name,
        "family": family,
        **vars(facts),
        "target": dataset.target is not None,
    }


def updated(found: pd.DataFrame, known: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return what was known with what was found in place of what has the same keys."""
    both = pd.concat([known, found]).drop_duplicates(keys, keep="last")
    return both.sort_values(keys, ignore_index=True)


def check_facts(found: pd.DataFrame, known: pd.DataFrame) -> None:
    """Refuse data sets that are other ones than those of the same names.

    Raises:
        InvalidValueError: a fact that differs: other records, or another hold-out.
    """
    for name, facts in known.set_index("dataset").to_dict("index").items():
        for new in found[found["dataset"] == name].to_dict("records"):
            for key, value in facts.items():
                same = new[key] == value if key == "family" else np.isclose(new[key], value, 1e-4)
                if not same:
                    raise InvalidValueError(f"{key} of {name}", new[key], f"{value} as is known")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("stores", nargs="+", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("experiments"))
    parser.add_argument("--update", action="store_true", help="keep what the stores do not have")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where both files are written")
    options = parser.parse_args()
    records = [record for store in options.stores for record in finished(store)]
    check_comparable(records)
    lines = pd.DataFrame([line(record) for record in records])
    lines = lines.drop_duplicates([*KEYS, "seed"], keep="last")
    costs = [column for column in ("seconds", "memory_mb", *METRICS) if column in lines]
    scores = lines.groupby(KEYS, sort=True).agg(
        seeds=("seed", "size"), **{c: (c, "mean") for c in costs}
    )
    choices = {r.settings["dataset"]["name"]: r.settings["dataset"] for r in records}
    facts = pd.DataFrame(
        facts_of(choice, options.folder, records[0].settings["holdout"])
        for _, choice in sorted(choices.items())
    )
    scores = scores.reset_index()
    if options.update:
        known = Benchmark.load()
        check_facts(facts, known.datasets.reset_index())
        facts = updated(facts, known.datasets.reset_index(), ["dataset"])
        scores = updated(scores, known.scores, KEYS)
    facts.to_csv(options.out / "datasets.csv", index=False, float_format="%.5g")
    scores.to_csv(options.out / "scores.csv", index=False, float_format="%.5g")
    print(f"{len(facts)} data sets, {len(scores)} means of {len(lines)} releases", file=sys.stderr)


if __name__ == "__main__":
    main()
