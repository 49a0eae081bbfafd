"""What a store's rows say together: means over seeds with intervals, verdicts, corrected alarms."""

from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, cast, final

import numpy as np

from dpsynth.harness.store import UNVERIFIED
from dpsynth.report.correction import holm
from dpsynth.report.ranges import range_of

if TYPE_CHECKING:
    from pandas import DataFrame

LEVEL = 0.95
ALPHA = 0.05  # the chance of any false alarm among all attacks of a report


@final
@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with its interval.

    Args:
        value: the mean, or the number itself.
        lower, upper: ends of the interval; nan where there is none.
        seeds: how many runs stand behind it.
    """

    value: float
    lower: float
    upper: float
    seeds: int

    def within(self, minimum: float, maximum: float) -> "Interval":
        """Return the interval without what is outside of a range that has the value."""
        lower, upper = max(minimum, self.lower), min(maximum, self.upper)
        return self if np.isnan(self.lower) else replace(self, lower=lower, upper=upper)

    def text(self, digits: int = 3) -> str:
        """Return "value [lower, upper]", without the interval where there is none."""
        shown = f"{self.value:z.{digits}f}"
        if np.isnan(self.lower):
            return shown
        return f"{shown} [{self.lower:z.{digits}f}, {self.upper:z.{digits}f}]"


def over_seeds(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Interval:
    """Return the mean of one value a seed with Student's interval at `LEVEL`; of one seed, none."""
    from scipy.stats import t

    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Interval(value=mean, lower=float("nan"), upper=float("nan"), seeds=n)
    half = float(t.ppf(0.5 + LEVEL / 2, n - 1)) * float(np.std(values, ddof=1)) / sqrt(n)
    return Interval(value=mean, lower=mean - half, upper=mean + half, seeds=n)


def over_runs(group: "DataFrame", column: str, ends: tuple[str, str]) -> Interval:
    """Return the mean over seeds of a number that has an interval of its own in each run.

    Student's interval of runs that agree has no width, as of attacks that never succeed, and of one
    run there is none: then it is the mean interval of the runs, which says too little rather
    than too much.

    Args:
        group: rows of one generator at one budget, one a seed.
        column: the number.
        ends: columns of the ends of each run's interval.
    """
    found = over_seeds(group[column].to_numpy(dtype=np.float64))
    if found.lower < found.upper:
        return found
    lower, upper = (float(group[end].mean()) for end in ends)
    return replace(found, lower=lower, upper=upper)


@final
@dataclass(frozen=True, kw_only=True)
class Point:
    """A metric of one generator at one budget, over seeds, beside its references.

    Args:
        dataset, metric, generator, epsilon: what was measured.
        score: over seeds, as of `over_runs`.
        holdout: what a same-size real hold-out scores.
        independent: what columns without dependence score.
        higher_is_better: the metric's direction.
        cells: identities of the cells behind it.
    """

    dataset: str
    metric: str
    generator: str
    epsilon: float
    score: Interval
    holdout: float
    independent: float
    higher_is_better: bool
    cells: tuple[str, ...] = ()

    @property
    def passes_holdout(self) -> bool:
        """Whether the mean is better than what real records that were held out score."""
        gap = self.score.value - self.holdout
        return gap > 0 if self.higher_is_better else gap < 0


def deltas_apart(rows: "DataFrame") -> "DataFrame":
    """Return `rows` with the delta in each generator's label where there are several.

    Figures and tables have a place for epsilon alone, and no mean may be over two guarantees.
    """
    if rows["delta"].nunique() < 2:
        return rows
    return rows.assign(generator=rows["generator"] + rows["delta"].map(", delta {:g}".format))


def utility(rows: "DataFrame") -> list[Point]:
    """Return one point for each data set, metric, generator and epsilon, in the order of rows."""
    chosen = rows[(rows["kind"] == "utility") & rows["value"].notna()]
    keys = ["dataset", "metric", "generator", "epsilon"]
    unverified = unverified_in(rows)
    points: list[Point] = []
    for key, group in chosen.groupby(keys, sort=False):
        dataset, metric, generator, epsilon = cast("tuple[str, str, str, float]", key)
        score = over_runs(group, "value", ("lower", "upper"))
        points.append(
            Point(
                dataset=str(dataset),
                metric=str(metric),
                generator=shown_name(str(generator), unverified),
                epsilon=float(epsilon),
                score=score.within(*range_of(group)),
                holdout=float(group["holdout"].mean()),
                independent=float(group["independent"].mean()),
                higher_is_better=bool(group["higher_is_better"].iloc[0]),
                cells=tuple(str(cell) for cell in group["cell"]),
            )
        )
    return points


def unverified_in(rows: "DataFrame") -> set[str]:
    """Return the labels of generators whose records someone else made."""
    return {str(g) for g in rows.loc[rows["mode"] == UNVERIFIED, "generator"]}


def shown_name(generator: str, unverified: set[str]) -> str:
    """Return what a report calls a generator: its label, and whether its claim is verified."""
    return f"{generator} (not verified)" if generator in unverified else generator


@final
@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The audit of one claim: what is promised, shown, and could have been shown at most.

    Args:
        cells: identity of the cell that audited it.
    """

    generator: str
    epsilon: float
    epsilon_lower: float
    epsilon_lower_of_class: float
    epsilon_largest_measurable: float
    mu_claimed: float
    mu_lower: float
    smallest_detectable_inflation: float
    runs: int
    violated: bool
    cells: tuple[str, ...]


def verdicts(rows: "DataFrame") -> list[Verdict]:
    """Return the audits of claims, by generator and epsilon in the order of rows."""
    audits = rows[(rows["kind"] == "audit") & rows["epsilon_lower"].notna()]
    return [
        Verdict(
            generator=str(row["generator"]),
            epsilon=float(row["epsilon_claimed"]),
            epsilon_lower=float(row["epsilon_lower"]),
            epsilon_lower_of_class=float(row["epsilon_lower_of_class"]),
            epsilon_largest_measurable=float(row["epsilon_largest_measurable"]),
            mu_claimed=float(row["mu_claimed"]),
            mu_lower=float(row["mu_lower"]),
            smallest_detectable_inflation=float(row["smallest_detectable_inflation"]),
            runs=int(row["runs"]),
            violated=bool(row["violated"]),
            cells=(str(row["cell"]),),
        )
        for _, row in audits.iterrows()
    ]


@final
@dataclass(frozen=True, kw_only=True)
class Exposure:
    """An attack on one generator at one budget, over seeds.

    Args:
        dataset, attack, generator, epsilon: what was attacked, how.
        rate, baseline, control: success on used records, of guessing, and on unused records.
        risk: (rate - control) / (1 - control).
        p_value: the smallest over seeds, times the number of seeds (Bonferroni).
        alarm: whether it stays significant among all attacks of the report (Holm).
        cells: identities of the cells behind it.
    """

    dataset: str
    attack: str
    generator: str
    epsilon: float
    rate: Interval
    baseline: Interval
    control: Interval
    risk: Interval
    p_value: float
    alarm: bool
    cells: tuple[str, ...]


def exposures(rows: "DataFrame", *, alpha: float = ALPHA) -> list[Exposure]:
    """Return the attacks, with alarms that hold at level `alpha` for all of them together.

    Reference: Holm 1979 (step-down rejection).
    """
    chosen = rows[(rows["kind"] == "attack") & rows["attack_rate"].notna()]
    keys = ["dataset", "metric", "generator", "epsilon"]
    groups = list(chosen.groupby(keys, sort=False))
    smallest = [min(1.0, float(g["p_value"].min()) * len(g)) for _, g in groups]
    alarmed = [p <= alpha for p in holm(smallest)]
    unverified = unverified_in(rows)
    found: list[Exposure] = []
    for (key, group), p_value, alarm in zip(groups, smallest, alarmed, strict=True):
        dataset, attack, generator, epsilon = cast("tuple[str, str, str, float]", key)
        column = {
            name: over_runs(group, name, ends).within(least, 1.0)
            for name, (ends, least) in _RATES.items()
        }
        found.append(
            Exposure(
                dataset=str(dataset),
                attack=str(attack),
                generator=shown_name(str(generator), unverified),
                epsilon=float(epsilon),
                rate=column["attack_rate"],
                baseline=column["baseline_rate"],
                control=column["control_rate"],
                risk=column["value"],
                p_value=p_value,
                alarm=alarm,
                cells=tuple(str(cell) for cell in group["cell"]),
            )
        )
    return found


# Each with the ends of its interval and its least; the most is 1. A risk is below 0 where unused
# records fare worse.
_RATES = {
    "attack_rate": (("attack_lower", "attack_upper"), 0.0),
    "baseline_rate": (("baseline_lower", "baseline_upper"), 0.0),
    "control_rate": (("control_lower", "control_upper"), 0.0),
    "value": (("lower", "upper"), float("-inf")),
}
