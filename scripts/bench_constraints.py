"""What true constraints are worth: errors of marginals with and without them, on real tables.

    python scripts/bench_constraints.py --datasets uci_adult --generators two_stage --epsilons 1

prints one line a data set, generator and budget: mean errors over the seeds of both, and the share
of synthetic rows that break a constraint where none is declared. It reads the records, so that its
numbers are not covered by any guarantee.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np

import dpsynth
from dpsynth.data.constraints import Combinations, Constraint, Determines, Forbidden, Within
from dpsynth.data.table import Table
from dpsynth.data.value_sets import Condition
from dpsynth.evaluation.sample import Sample
from dpsynth.registry import DATASETS, METRICS

_METRICS = ("tvd_1way", "tvd_2way", "tvd_3way")


def adult(_: Table) -> tuple[Constraint, ...]:
    """Years of schooling are the level's number; spouses are married; who never worked has no
    occupation, and whose class of work is not known neither."""
    first = ["Preschool", "1st-4th", "5th-6th", "7th-8th", "9th", "10th", "11th", "12th"]
    later = ["HS-grad", "Some-college", "Assoc-voc", "Assoc-acdm", "Bachelors", "Masters"]
    levels = [*first, *later, "Prof-school", "Doctorate"]
    mapping = tuple((level, number) for number, level in enumerate(levels, start=1))
    spouses, married = ("Husband", "Wife"), ("Married-civ-spouse", "Married-AF-spouse")
    return (
        Determines(columns=("education",), determined="education-num", mapping=mapping),
        Within(when={"relationship": spouses}, then={"marital-status": married}),
        Within(when={"workclass": ("missing", "Never-worked")}, then={"occupation": "missing"}),
    )


def nist(table: Table) -> tuple[Constraint, ...]:
    """What is not asked of children; industries have sectors, areas a density, deciles incomes."""
    frame = table.frame
    sectors = frame[["INDP", "INDP_CAT"]].drop_duplicates().astype(str)
    areas = frame[["PUMA", "DENSITY"]].drop_duplicates()
    width = 100.0  # of a bin
    densities = tuple(
        (str(area), f">={width * (d // width):.0f}, <{width * (d // width) + width:.0f}")
        for area, d in areas.itertuples(index=False)
    )
    nothing: dict[str, Condition] = dict.fromkeys(
        ("MSP", "INDP", "INDP_CAT", "PINCP_DECILE", "DVET"), "N"
    )
    return (
        Within(when={"AGEP": "<15"}, then=nothing),
        Within(when={"AGEP": "<15"}, then={"PINCP": "missing"}),
        Within(when={"AGEP": ">=15"}, then={"PINCP": "present", "PINCP_DECILE": "!=N"}),
        Determines(
            columns=("INDP",),
            determined="INDP_CAT",
            mapping=tuple((str(a), str(b)) for a, b in sectors.itertuples(index=False)),
        ),
        Determines(columns=("PUMA",), determined="DENSITY", mapping=densities),
        Combinations(
            columns=("HOUSING_TYPE", "OWN_RENT"),
            allowed=(("1", ("1", "2")), (("2", "3"), "0")),
        ),
        Within(when={"HOUSING_TYPE": ("2", "3")}, then={"NOC": "N"}),
    )


def shoppers(_: Table) -> tuple[Constraint, ...]:
    """No time is spent on pages that nobody saw; special days are in February and May."""
    return (
        Forbidden(when={"Administrative": 0, "Administrative_Duration": ">=50"}),
        Forbidden(when={"Informational": 0, "Informational_Duration": ">=50"}),
        Within(when={"SpecialDay": ">=0.16666666666666666"}, then={"Month": ("Feb", "May")}),
    )


KNOWN: dict[str, Callable[[Table], tuple[Constraint, ...]]] = {
    "uci_adult": adult,
    "nist_ma2019": nist,
    "online_shoppers": shoppers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", nargs="+", default=list(KNOWN))
    parser.add_argument("--generators", nargs="+", default=["two_stage", "mst", "privbayes"])
    parser.add_argument("--epsilons", nargs="+", type=float, default=[0.3, 1.0])
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.datasets:
        plain = DATASETS.get(name)().table
        schema = replace(plain.schema, constraints=KNOWN[name](plain))
        ruled = Table.from_frame(schema, plain.frame)  # refuses constraints that are not true
        for generator in asked.generators:
            for epsilon in asked.epsilons:
                _compare(plain, ruled, (name, generator, epsilon), seeds=asked.seeds)


def _compare(plain: Table, ruled: Table, case: tuple[str, str, float], *, seeds: int) -> None:
    name, generator, epsilon = case
    metrics = [METRICS.get(metric)() for metric in _METRICS]
    for kind, table in (("without", plain), ("with", ruled)):
        found, broken, seconds = [], [], []
        for seed in range(seeds):
            start = perf_counter()
            drawn = dpsynth.synthesize(table, generator=generator, epsilon=epsilon, seed=seed)
            rows = drawn.sample(len(plain)).frame
            seconds.append(perf_counter() - start)
            bare = Table.from_frame(plain.schema, rows)
            rng = np.random.default_rng(seed)
            real, made = Sample.of(plain), Sample.of(bare)
            found.append([metric.value(real, made, rng=rng) for metric in metrics])
            arrays = {c: bare.values(c) for c in plain.schema.names}
            rules = ruled.schema.rules
            broken.append(np.logical_or.reduce(rules.broken(rules.values(arrays))).mean())
        means = " ".join(f"{of:.4f}" for of in np.mean(found, axis=0))
        spread = " ".join(f"{of:.4f}" for of in np.std(found, axis=0))
        print(
            f"{name} {generator} {epsilon:g} {kind}: {means} (sd {spread}), "
            f"broken {np.mean(broken):.4f}, {np.mean(seconds):.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
