"""Time conditional, balanced and counterfactual sampling, and weigh conditional rows.

    python scripts/bench_conditional.py [--generator two_stage] [--rows 1000000]

On Adult, raw and discretised, at epsilon 1: the time of 1,000 rows of a condition that about one
record in a thousand satisfies, the share of rows that satisfy it, and how far their 2-way
marginals are from the model's own given the condition, beside as many independent rows of it.
"""

import argparse
from collections.abc import Callable
from itertools import combinations
from time import perf_counter
from typing import Any

import numpy as np

import dpsynth
from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.independent_rows import frequencies, independent_rows
from dpsynth.sampling.selection import Selection
from dpsynth.sampling.strata import Request

WHERE: dict[str, dict[str, Any]] = {
    "uci_adult": {"sex": "Female", "age": ">=67", "income": ">50K"},
    "mbi_adult": {"sex": 1, "age": ">=62", "income>50K": 1},
}
BALANCE = {"uci_adult": ["sex", "income"], "mbi_adult": ["sex", "income>50K"]}
DO = {"uci_adult": {"sex": "Male"}, "mbi_adult": {"sex": 0}}
GRAPH = {
    "education-num": ["age", "sex", "race"],
    "marital-status": ["age", "sex"],
    "occupation": ["education-num", "sex"],
    "hours-per-week": ["age", "sex", "occupation"],
    "income": ["age", "sex", "education-num", "occupation"],
}


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """The first run, and the best of three more."""
    times = []
    for _ in range(4):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return times[0], min(times[1:])


def distances(model: GraphicalSyntheticModel, codes: np.ndarray) -> dict[str, list[float]]:
    """Total variation of 2-way marginals from the model's, inside its cliques and across them."""
    domain, cliques = model.schema.domain, model.model.tree.cliques
    found: dict[str, list[float]] = {"inside cliques": [], "across cliques": []}
    for pair, law in model.model.pairs(combinations(domain.attributes, 2)).items():
        where = "inside" if any(set(pair) <= set(clique) for clique in cliques) else "across"
        gap = frequencies(domain, codes, pair) - law / model.total
        found[f"{where} cliques"].append(0.5 * float(np.abs(gap).sum()))
    return found


def satisfied(table: Table, where: dict[str, Any]) -> float:
    """The share of rows that satisfy `where`, counted on their values."""
    frame = table.frame
    inside = np.ones(len(frame), dtype=bool)
    for name, value in where.items():
        at_least = isinstance(value, str) and value.startswith(">=")
        inside &= frame[name].ge(int(value[2:])) if at_least else frame[name].eq(value)
    return float(inside.mean())


def report(name: str, generator: str, rows: int) -> None:
    data = dpsynth.DATASETS.get(name)()
    start = perf_counter()
    model = dpsynth.synthesize(data.table, generator=generator, epsilon=1.0, seed=0)
    print(f"\n{name}, {generator}, fitted in {perf_counter() - start:.1f} s")
    where, rng = WHERE[name], np.random.default_rng(0)
    found = Selection.of(model.model, Request(where=where), rng=rng)
    print(f"  {where}: {found.total / model.model.total:.3%} of the model")
    first, best = seconds(lambda: model.sample(1000, where=where))
    print(f"  1,000 rows: {first:.2f} s at first, {best:.2f} s at best")
    start = perf_counter()
    table = found.sample(rows, rng=rng)
    spent = perf_counter() - start
    print(f"  {rows:,} rows in {spent:.1f} s, {satisfied(table, where):.1%} satisfy the condition")
    law = found.strata.law
    if isinstance(law, GraphicalSyntheticModel):
        graph = law.model
        alone = independent_rows(graph.tree, graph.calibration.marginals, rows, rng=rng)
        for what, codes in (
            ("these rows", Codec(schema=model.schema).encode(table)),
            ("independent rows", alone),
        ):
            for place, gaps in distances(law, codes).items():
                mean, most = np.mean(gaps), np.max(gaps)
                print(f"  2-way TVD of {what} {place}: mean {mean:.6f}, largest {most:.6f}")
    _, best = seconds(lambda: model.sample(1000, balance=BALANCE[name]))
    print(f"  1,000 rows balanced over {BALANCE[name]}: {best:.2f} s")
    graph = {
        ("income>50K" if c == "income" and name == "mbi_adult" else c): p for c, p in GRAPH.items()
    }
    facts = model.sample(10_000)
    _, best = seconds(lambda: model.counterfactuals(facts, do=DO[name], graph=graph))
    print(f"  counterfactual copies of 10,000 rows: {best:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", default="two_stage")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--data", nargs="+", default=list(WHERE), choices=list(WHERE))
    arguments = parser.parse_args()
    for name in arguments.data:
        report(name, arguments.generator, arguments.rows)


if __name__ == "__main__":
    main()
