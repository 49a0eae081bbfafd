"""Synthesise a public panel and set what it keeps beside the real one and a shuffled one.

    python scripts/bench_linked.py [--epsilon 1] [--seeds 5] [--rows-per-unit 1]

Columns: the mean number of events a unit and how far it is off, the total variation of that number,
the correlation of each value with the one before it, of a few pairs, and the seconds of the fit and
of the sample. `shuffled` has the real values in random rows. The real numbers are not private.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter

import numpy as np
import pandas as pd

from dpsynth.data.datasets.nlswork import nlswork
from dpsynth.linked.synthesis import UNITS_SHARE, synthesize_linked

VALUES = ("ln_wage", "hours", "tenure", "union", "south", "msp")
PAIRS = (("collgrad", "ln_wage"), ("black", "south"), ("year", "ln_wage"), ("tenure", "ln_wage"))


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.apply(lambda s: pd.to_numeric(s.astype(object), errors="coerce"))


def facts(units: pd.DataFrame, events: pd.DataFrame) -> dict[str, float]:
    """Return what the table shows of one pair of tables."""
    events = numbers(events).sort_values(["idcode", "year"], kind="stable")
    counted = events.groupby("idcode").size().reindex(units["idcode"], fill_value=0)
    found = {"events": float(counted.mean())}
    for name in VALUES:
        before = events.groupby("idcode")[name].shift(1)
        found[f"lag {name}"] = float(events[name].corr(before))
    found["gap"] = float(events.groupby("idcode")["year"].diff().mean())
    joined = events.merge(numbers(units), on="idcode")
    joined["black"] = (joined["race"] == 2).astype(float)
    for one, other in PAIRS:
        found[f"{one}, {other}"] = float(joined[one].corr(joined[other]))
    return found


def variation(one: pd.DataFrame, other: pd.DataFrame, units: int, others: int) -> float:
    """Return the total variation of the numbers of events."""
    shares = []
    for events, total in ((one, units), (other, others)):
        counted = np.bincount(events.groupby("idcode").size(), minlength=16).astype(float)
        counted[0] = total - counted.sum()
        shares.append(counted / total)
    return 0.5 * float(np.abs(shares[0] - shares[1]).sum())


def show(label: str, found: Mapping[str, float]) -> None:
    print(f"{label:10}" + "".join(f"{value:>18.3f}" for value in found.values()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilon", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows-per-unit", type=int, default=1)
    parser.add_argument("--generator", default="pairs_first")
    parser.add_argument("--units-share", type=float, default=UNITS_SHARE)
    chosen = parser.parse_args()
    panel = nlswork()
    schema = replace(
        panel.schema, events=replace(panel.schema.events, max_rows_per_unit=chosen.rows_per_unit)
    )
    real = facts(panel.units, panel.events)
    print(f"{'':10}" + "".join(f"{name:>18}" for name in (*real, "off %", "variation", "seconds")))
    show("real", real)
    order = np.random.default_rng(0).permutation(len(panel.events))
    shuffled = panel.events.copy()
    shuffled[list(VALUES)] = panel.events[list(VALUES)].to_numpy()[order]
    show("shuffled", facts(panel.units, shuffled))
    for seed in range(chosen.seeds):
        start = perf_counter()
        made = synthesize_linked(
            panel.events,
            panel.units,
            schema=schema,
            epsilon=chosen.epsilon,
            generator=chosen.generator,
            units_share=chosen.units_share,
            seed=seed,
        )
        sample = made.sample()
        if not set(sample.events["idcode"]) <= set(sample.units["idcode"]):
            raise SystemExit("an event of nobody")
        found = facts(sample.units, sample.events)
        found["off %"] = 100 * (found["events"] / real["events"] - 1)
        found["variation"] = variation(
            panel.events, sample.events, len(panel.units), len(sample.units)
        )
        found["seconds"] = perf_counter() - start
        show(f"seed {seed}", found)


if __name__ == "__main__":
    main()
