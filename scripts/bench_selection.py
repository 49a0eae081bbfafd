"""How many texts of open columns are found, with and without a part of delta set aside for it:

    python scripts/bench_selection.py --datasets uci_adult --epsilons 1

prints one line a data set, delta, epsilon and share of delta: what the noise of a marginal bought
with half of the budget is, and for some columns how many texts were found and what part of the
records has them, means over seeds. All columns but times are opened. It reads the records, so that
its numbers are not covered by any guarantee.
"""

import argparse
import warnings
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pandas as pd

from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from dpsynth.registry import DATASETS

COLUMNS = {
    "uci_adult": ("native-country", "occupation", "job"),
    "online_shoppers": ("Month", "TrafficType", "Browser"),
    "nist_ma2019": ("INDP", "PINCP"),
}
"""Data set -> columns to look at. A job is a class of work, an education and an occupation in one
text: 804 of them. PINCP, an income of 1,129 values, is read as a text."""


@dataclass(frozen=True, kw_only=True)
class Records:
    """A table of which everything is open."""

    name: str
    frame: pd.DataFrame
    schema: OpenSchema


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=list(COLUMNS))
    parser.add_argument("--deltas", nargs="+", type=float, default=[1e-9, 1e-5])
    parser.add_argument("--epsilons", nargs="+", type=float, default=[0.3, 1.0, 3.0])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.0, Preparation().delta_share])
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # that no text of some column was found
    for name in asked.datasets:
        records = _records(name)
        for delta in asked.deltas:
            for epsilon in asked.epsilons:
                for share in asked.shares:
                    _look(records, Budget(epsilon=epsilon, delta=delta), share, seeds=asked.seeds)


def _records(name: str) -> Records:
    table = DATASETS.get(name)().table
    frame, columns = table.frame, [_opened(c) for c in table.schema.columns]
    if name == "uci_adult":
        parts = [frame[c].astype(str) for c in ("workclass", "education", "occupation")]
        frame["job"] = parts[0] + ", " + parts[1] + ", " + parts[2]
        columns.append(OpenText(name="job"))
    return Records(name=name, frame=frame, schema=OpenSchema(columns=tuple(columns)))


def _opened(column: Column) -> OpenColumn:
    if isinstance(column, CategoricalColumn) or column.name == "PINCP":
        return OpenText(name=column.name)
    return OpenNumber(name=column.name, whole=isinstance(column, IntegerColumn))


def _look(records: Records, budget: Budget, share: float, *, seeds: int) -> None:
    preparation = Preparation(delta_share=share)
    found: dict[str, list[tuple[int, float]]] = {c: [] for c in COLUMNS[records.name]}
    sigma = 0.0
    for seed in range(seeds):
        private = PrivateColumns(
            records.frame,
            records.schema,
            budget,
            noise=ResearchNoise(rng=np.random.default_rng(seed)),
            set_aside=preparation.set_aside(records.schema.open_columns, budget.delta),
        )
        sigma = private.sigma_for(0.5 * private.ledger.capacity)
        closed = preparation.closed(private)
        for name, seen in found.items():
            column = closed.column(name)
            assert isinstance(column, CategoricalColumn)
            texts = {c for c in column.categories if c != column.other}
            values = records.frame[name].dropna()
            if not isinstance(values.dtype, pd.CategoricalDtype) and name == "PINCP":
                values = values.astype("int64")
            seen.append((len(texts), float(values.astype(str).isin(texts).mean())))
    said = "  ".join(
        f"{name} {fmean(n for n, _ in seen):.1f} ({fmean(part for _, part in seen):.1%})"
        for name, seen in found.items()
    )
    print(
        f"{records.name}  delta {budget.delta:g}  epsilon {budget.epsilon:g}  share {share:g}  "
        f"sigma {sigma:.3f}  {said}",
        flush=True,
    )


if __name__ == "__main__":
    main()
