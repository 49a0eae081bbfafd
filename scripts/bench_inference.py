"""Do 95% intervals from private releases cover 95%? Measured on a real table as the population.

    python scripts/bench_inference.py --data randhie --rows 4000 --epsilon 5 1 --runs 25

Each run draws training records from the table at random, with replacement, and looks which
intervals cover the table's own means, shares of categories and slopes: those of one model at the
whole budget from what it measured (`released`), those of copies of this one fit (`copies`), those
of models fitted apart, each with an equal part of the budget (`apart`), and those of its rows taken
for real records (`naive`). Slopes are on all other numeric columns, and on the causes of which the
model measured all pairs; those it does not refuse.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

import dpsynth
from dpsynth.data.columns import CategoricalColumn
from dpsynth.evaluation.inference import (
    Covering,
    combined_intervals,
    interval_coverage,
    replicated_intervals,
)
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.inference.copies import copies
from dpsynth.inference.influence import Measured
from dpsynth.inference.released import Interval, released_intervals

KINDS = ("mean", "mean and bins", "share", "known slope", "slope")
LABEL_WEIGHT = 5.0
# Of a data set whose target is no number: a column whose slopes an analyst would ask for.
OUTCOMES = {"uci_adult": "hours-per-week", "online_shoppers": "PageValues"}


@dataclass(kw_only=True)
class Tally:
    """What one way of making intervals covered in all runs."""

    hits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    intervals: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    widths: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self,
        found: Sequence[Covering],
        population: dpsynth.Table,
        *,
        slopes_of: str | None = None,
        on: Sequence[str] = (),
        slope: str = "slope",
    ) -> None:
        """Count the intervals; with `slopes_of`, those of slopes alone, as `slope`."""
        wanted = [i for i in found if (slopes_of is None) != i.quantity.startswith("slope")]
        covered = interval_coverage(wanted, population, slopes_of=slopes_of, on=on)
        for kind, (hits, total) in covered.items():
            name = slope if kind == "slope" else kind
            self.hits[name] += hits
            self.intervals[name] += total
        for interval in wanted:
            kind = interval.quantity.partition(" ")[0]
            name = slope if kind == "slope" else kind
            self.widths[name].append(interval.upper - interval.lower)

    def add_wider(self, found: Sequence[Interval], population: dpsynth.Table) -> None:
        """Count the means, whose intervals are wider by what values within bins may move them."""
        wider = [
            replace(i, lower=i.lower - i.within_bins, upper=i.upper + i.within_bins)
            for i in found
            if i.within_bins is not None and i.quantity.startswith("mean")
        ]
        for hits, total in interval_coverage(wider, population).values():
            self.hits["mean and bins"] += hits
            self.intervals["mean and bins"] += total

    def cells(self) -> str:
        """Return the shares covered, and of how many."""
        shown = [
            f"{self.hits[k] / self.intervals[k]:.3f} ({self.intervals[k]})"
            if self.intervals[k]
            else ""
            for k in KINDS
        ]
        return " | ".join([*shown, f"{np.median(self.widths['share']):.3f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", default="randhie")
    parser.add_argument("--generators", nargs="+", default=["mst", "two_stage"])
    parser.add_argument("--rows", type=int, default=4000, help="training records")
    parser.add_argument(
        "--epsilon", type=float, nargs="+", default=[5.0, 1.0], help="of everything"
    )
    parser.add_argument("--delta", type=float, default=1e-9)
    parser.add_argument("--copies", type=int, default=20, help="of one fit")
    parser.add_argument("--fits", type=int, default=5, help="apart")
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument(
        "--ways", nargs="+", default=["released", "copies", "apart", "naive"], help="which of them"
    )
    parser.add_argument(
        "--label", action="store_true", help="two_stage is told whose slopes will be asked"
    )
    arguments = parser.parse_args()
    dataset = dpsynth.DATASETS.get(arguments.data)()
    numeric = dataset.target.positive is None
    outcome = dataset.target.column if numeric else OUTCOMES.get(arguments.data)
    print("| data | generator | epsilon | intervals |", " | ".join(KINDS), "| width of shares |")
    print("|---|---|---:|---|" + "---:|" * (len(KINDS) + 1))
    for generator in arguments.generators:
        for epsilon in arguments.epsilon:
            tallies = {way: Tally() for way in arguments.ways}
            for run in range(arguments.runs):
                setting = Setting(
                    generator=generator, epsilon=epsilon, outcome=outcome, arguments=arguments
                )
                run_once(dataset.table, setting, run, tallies)
            for way, tally in tallies.items():
                start = f"| {arguments.data} | {generator} | {epsilon:g} | {way} |"
                print(start, tally.cells(), "|", flush=True)


@dataclass(kw_only=True)
class Setting:
    """What all runs of some rows have in common; `outcome` is the column whose slopes are asked."""

    generator: str
    epsilon: float
    outcome: str | None
    arguments: argparse.Namespace

    def built(self) -> str | TwoStage:
        """Return the generator, told of the outcome where that is wanted."""
        if self.arguments.label and self.generator == TwoStage.name and self.outcome:
            return TwoStage(label=self.outcome, label_weight=LABEL_WEIGHT)
        return self.generator


def run_once(
    population: dpsynth.Table, setting: Setting, run: int, tallies: dict[str, Tally]
) -> None:
    """Add the intervals of one draw of training records, made in all ways, to the tallies."""
    arguments, outcome = setting.arguments, setting.outcome
    rng = np.random.default_rng(run)
    train = population.take(rng.integers(len(population), size=arguments.rows))

    def fitted(part: float, seed: int) -> dpsynth.Synthesis:
        return dpsynth.synthesize(
            train,
            generator=setting.built(),
            epsilon=setting.epsilon * part,
            delta=arguments.delta * part,
            seed=1000 * run + seed,
        )

    whole = fitted(1.0, 0)
    known = known_causes(whole, outcome, rng)
    if "released" in tallies:
        told = released_intervals(
            whole.model, slopes_of=outcome if known else None, on=known, rng=rng
        )
        tallies["released"].add_wider(told, population)
        tallies["released"].add(told, population)
        if known:
            tallies["released"].add(
                told, population, slopes_of=outcome, on=known, slope="known slope"
            )
    made = {
        "copies": lambda: list(copies(whole.model, arguments.copies, rng=rng)),
        "apart": lambda: [
            fitted(1 / arguments.fits, i + 1).sample(len(train)) for i in range(arguments.fits)
        ],
        "naive": lambda: [whole.sample(len(train))] * 2,
    }
    for way in tallies.keys() & made.keys():
        tables = made[way]()
        asked: list[tuple[str | None, Sequence[str], str]] = [(None, (), "")]
        if outcome:
            asked.append((outcome, (), "slope"))
        if known:
            asked.append((outcome, known, "known slope"))
        for of, on, slope in asked:
            found: Sequence[Covering] = (
                replicated_intervals(tables, slopes_of=of, on=on)
                if way == "copies"
                else combined_intervals(tables, rows=len(train), slopes_of=of, on=on)
            )
            tallies[way].add(found, population, slopes_of=of, on=on, slope=slope)


def known_causes(
    synthesis: dpsynth.Synthesis, outcome: str | None, rng: np.random.Generator
) -> tuple[str, ...]:
    """Return causes of which the model measured all pairs, with one another and the outcome."""
    if outcome is None:
        return ()
    columns = [c for c in synthesis.schema.columns if not isinstance(c, CategoricalColumn)]
    names = [c.name for c in columns if not c.missing and c.name != outcome]
    return Measured.of(synthesis.model, rng=rng).resolution.known(names, outcome)


if __name__ == "__main__":
    main()
