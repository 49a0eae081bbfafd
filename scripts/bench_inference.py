"""Do 95% intervals from synthetic copies cover 95%? Measured on a real table as the population.

    python scripts/bench_inference.py --data randhie --rows 4000 --epsilon 5 --copies 5 --runs 20

Each run draws training records from the table at random, fits as many models as copies, each with
an equal part of the budget, and looks which intervals cover the table's own means, shares of
categories and slopes: by the rule for several copies, and by one copy of the whole budget that is
taken for real records.
"""

import argparse
from collections import Counter

import numpy as np

import dpsynth
from dpsynth.evaluation.inference import Combined, combined_intervals, interval_coverage


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="randhie")
    parser.add_argument("--generators", nargs="+", default=["independent", "mst", "two_stage"])
    parser.add_argument("--rows", type=int, default=4000, help="training records")
    parser.add_argument("--epsilon", type=float, default=5.0, help="of all copies together")
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    dataset = dpsynth.DATASETS.get(arguments.data)()
    slopes_of = dataset.target.column if dataset.target.positive is None else None
    print("| generator | intervals | mean | share | slope | width |")
    print("|---|---|---:|---:|---:|---:|")
    for generator in arguments.generators:
        hits: dict[str, Counter[str]] = {rule: Counter() for rule in ("combined", "one copy")}
        totals: dict[str, Counter[str]] = {rule: Counter() for rule in hits}
        widths: dict[str, list[float]] = {rule: [] for rule in hits}
        for run in range(arguments.runs):
            intervals = run_once(dataset.table, generator, arguments, run, slopes_of)
            for rule, found in intervals.items():
                covered = interval_coverage(found, dataset.table, slopes_of=slopes_of)
                hits[rule].update({kind: hit for kind, (hit, _) in covered.items()})
                totals[rule].update({kind: total for kind, (_, total) in covered.items()})
                shares = [i.upper - i.lower for i in found if i.quantity.startswith("share")]
                widths[rule].append(float(np.median(shares)))
        for rule in hits:
            cells = [
                f"{hits[rule][kind] / totals[rule][kind]:.2f}" if totals[rule][kind] else ""
                for kind in ("mean", "share", "slope")
            ]
            width = f"{np.mean(widths[rule]):.3f}"
            print(f"| {generator} | {rule} | {' | '.join(cells)} | {width} |", flush=True)


def run_once(
    population: dpsynth.Table,
    generator: str,
    arguments: argparse.Namespace,
    run: int,
    slopes_of: str | None,
) -> dict[str, tuple[Combined, ...]]:
    """Return the intervals of one draw of training records, by both rules."""
    rng = np.random.default_rng(run)
    train = population.take(rng.permutation(len(population))[: arguments.rows])
    m = arguments.copies
    parts = [1 / m] * m + [1.0]
    made = [
        dpsynth.synthesize(
            train,
            generator=generator,
            epsilon=arguments.epsilon * part,
            delta=arguments.delta * part,
            seed=1000 * run + i,
        ).sample(len(train))
        for i, part in enumerate(parts)
    ]
    rules = {"combined": made[:-1], "one copy": [made[-1]] * 2}
    return {
        rule: combined_intervals(copies, rows=len(train), slopes_of=slopes_of)
        for rule, copies in rules.items()
    }


if __name__ == "__main__":
    main()
