"""What the machinery around cells costs: a cell, a plan, a store, a query.

    python scripts/bench_harness.py [--cells 100000]

Prints wall seconds, and processor seconds of this process, the fork server and the cells: on a
machine with other work the second are the ones to compare.
"""

import argparse
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from dpsynth.harness.cell import Cell, CellResult, Stopwatch
from dpsynth.harness.config import Experiment, Limits
from dpsynth.harness.cost import estimate
from dpsynth.harness.engine import LocalEngine
from dpsynth.harness.frame import write_parquet
from dpsynth.harness.progress import Progress
from dpsynth.harness.query import query
from dpsynth.harness.record import Record
from dpsynth.harness.row import Row
from dpsynth.harness.statement import stated
from dpsynth.harness.store import Store
from dpsynth.harness.sweep import look_at, make_plan, run_sweep

METRICS = [f"metric {i}" for i in range(8)]
PLAN = """
name = "ten thousand"
datasets = ["randhie"]
generators = ["independent", "mst", "aim", "mwem", "privbayes"]
epsilons = [0.1, 0.2, 0.5, 1, 2, 4, 8, 16, 32, 64]
seeds = 200
metrics = ["tvd_1way", "tvd_2way", "tstr_auc"]
attacks = ["linkability"]
"""
QUERIES = {
    "means of one metric": "SELECT generator, epsilon, avg(value) FROM results "
    "WHERE metric = 'metric 3' GROUP BY ALL",
    "means and deviations of all": "SELECT metric, generator, epsilon, avg(value), stddev(value), "
    "count(*) FROM results WHERE kind = 'utility' GROUP BY ALL",
    "one cell": "SELECT metric, value, claim_guarantee FROM results WHERE cell = '{cell}'",
    "the slowest cells": "SELECT cell, sum(value) AS s FROM results WHERE metric LIKE 'seconds %' "
    "GROUP BY cell ORDER BY s DESC LIMIT 10",
}


def nothing(cell: Cell, watch: Stopwatch) -> CellResult:
    watch.enter("fit")
    return CellResult(
        rows=(cell.row(kind="utility", metric="m", value=float(cell.seed)),), receipt=None
    )


@contextmanager
def timed(what: str, *, each: int | None = None) -> Iterator[None]:
    """Print the seconds of a block, or milliseconds of each of `each`."""
    before, began = processor_seconds(), perf_counter()
    yield
    wall, cpu = perf_counter() - began, processor_seconds() - before
    if each is None:
        print(f"{what}: {wall:.2f} s, processor {cpu:.2f} s", flush=True)
    else:
        print(
            f"{what}: {1000 * wall / each:.1f} ms a cell, processor {1000 * cpu / each:.1f} ms",
            flush=True,
        )


def processor_seconds() -> float:
    """Return what this process, its children and those that they have waited for have used."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if os.getpid() in (int(file.parent.name), int(fields[1])):
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def rows_of(cell: Cell, i: int) -> tuple[Row, ...]:
    rows = [
        cell.row(kind="utility", metric=m, value=((i * 7919) % 1000) / 1000, higher_is_better=False)
        for m in METRICS
    ]
    rows += [
        cell.row(kind="run", metric=f"seconds {p}", value=(i % 97) / 10) for p in ("fit", "sample")
    ]
    return stated(rows, cell, None)


def bench_cells(folder: Path, plan_file: Path) -> None:
    plan = make_plan(Experiment.load(plan_file, profile="few"))
    progress = Progress(io.StringIO())
    engine = LocalEngine(workers=1, limits=Limits(), task=nothing)
    list(engine.run(plan.cells[:1]))  # the fork server starts once
    with timed("an empty cell, one at a time, engine alone", each=len(plan.cells)):
        assert all(record.status == "done" for record in engine.run(plan.cells))
    with timed("an empty cell, one at a time, whole sweep", each=len(plan.cells)):
        sweep = run_sweep(plan, Store(folder / "sweep"), progress=progress, workers=1, task=nothing)
        assert sum(record.status == "done" for record in sweep) == len(plan.cells)


def bench_plan(folder: Path, plan_file: Path) -> list[Cell]:
    with timed("a plan of 10,000 cells and the look at an empty store"):
        plan = make_plan(Experiment.load(plan_file))
        assert len(look_at(plan, Store(folder / "empty")).new) == len(plan.cells) == 10_000
    store = Store(folder / "full")
    with timed("a record of ten rows written", each=len(plan.cells)):
        for i, cell in enumerate(plan.cells):
            store.write(
                Record(
                    cell=cell.id,
                    settings=cell.to_plain(),
                    status="done",
                    rows=rows_of(cell, i),
                    seconds={"fit": 1.0},
                )
            )
    store.write_plan({"name": "x"}, [cell.id for cell in plan.cells], [])
    with timed("the look at a store that has all 10,000"):
        assert len(look_at(plan, store).finished) == len(plan.cells)
    with timed("the cost of 10,000 cells, judged by as many"):
        assert estimate(plan.cells, store, workers=2).alike == len(plan.cells)
    with timed("a store of 10,000 cells compacted"):
        store.compact()
    return list(plan.cells)


def bench_query(folder: Path, cells: list[Cell], count: int) -> None:
    store = Store(folder / "large")
    store.path.mkdir()
    first = cells[0]

    def all_rows() -> Iterator[Row]:
        for i in range(count):
            for row in rows_of(cells[i % len(cells)], i):
                object.__setattr__(row, "cell", f"{i:064x}")  # as many cells as were asked for
                yield row

    with timed(f"{count:,} cells of {len(rows_of(first, 0))} rows written as Parquet"):
        write_parquet(all_rows(), store.path / "results.parquet")
    size = (store.path / "results.parquet").stat().st_size
    print(f"  {size / 2**20:.0f} MiB")
    for name, sql in QUERIES.items():
        for attempt in ("first", "again"):
            with timed(f"query, {name}, {attempt}"):
                assert len(query(store, sql.format(cell=f"{count // 2:064x}"))) > 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    count = parser.parse_args().cells
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan_file = folder / "plan.toml"
        plan_file.write_text(PLAN + "\n[profile.few]\nseeds = 4\n")
        bench_cells(folder, plan_file)
        bench_query(folder, bench_plan(folder, plan_file), count)


if __name__ == "__main__":
    main()
