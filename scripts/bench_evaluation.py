"""How long evaluation takes: all 1-, 2- and 3-way distances, and every metric by itself.

    python scripts/bench_evaluation.py [--rows 50000] [--dataset uci_adult] [--every]

Two bootstrap samples of a real table's records, one with a tenth of its cells spoilt, stand for the
real and the synthetic table, 15 columns each in uci_adult. Encoding is part of the first figure.
With --every each metric is timed too, with its references, as the verb `evaluate` computes it.
Seconds are of this process's CPU and of the wall; the machine's load is printed with them.
"""

import argparse
import os
from collections.abc import Callable
from time import perf_counter, process_time

import numpy as np

from dpsynth.data.datasets import Target
from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table
from dpsynth.evaluation.evaluate import evaluate
from dpsynth.evaluation.marginals import OneWayTvd, ThreeWayTvd, TwoWayTvd
from dpsynth.evaluation.sample import Sample
from dpsynth.registry import DATASETS, METRICS


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dataset", default="uci_adult")
    parser.add_argument("--every", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    dataset = DATASETS.get(options.dataset)()
    real, made = _tables(dataset.table, options.rows, rng)
    print(f"{options.rows} x {len(real.schema.names)} each, load {os.getloadavg()[0]:.1f}")
    _timed("tvd, 1-, 2- and 3-way", lambda: _distances(real, made))
    if options.every:
        half = len(real) // 2
        parts = real.take(np.arange(half)), real.take(np.arange(half, len(real)))
        for metric in METRICS:
            _timed(metric, lambda name=metric: _score((*parts, made), name, dataset.target, rng))


def _tables(table: Table, rows: int, rng: np.random.Generator) -> tuple[Table, Table]:
    real, fresh = (table.take(rng.integers(len(table), size=rows)) for _ in range(2))
    codec = Codec(schema=table.schema)
    codes = codec.encode(fresh).astype(np.int64)
    noise = rng.integers(np.array(table.schema.domain.shape), size=codes.shape)
    spoilt = np.where(rng.random(codes.shape) < 0.1, noise, codes)
    return real, codec.decode(spoilt, rng=rng)


def _distances(real: Table, made: Table) -> list[float]:
    first, second = Sample.of(real), Sample.of(made)
    kinds = (OneWayTvd(), TwoWayTvd(), ThreeWayTvd())
    return [float(kind.distances(first, second).mean()) for kind in kinds]


def _score(
    tables: tuple[Table, Table, Table],
    name: str,
    target: Target | None,
    rng: np.random.Generator,
) -> float:
    found = evaluate(*tables, metrics=[name], target=target, rng=rng)
    return round(found[0].value, 4)


def _timed(name: str, work: Callable[[], object]) -> None:
    wall, cpu = perf_counter(), process_time()
    found = work()
    spent = process_time() - cpu
    print(f"{name:24} {spent:7.2f} s CPU {perf_counter() - wall:7.2f} s wall  {found}", flush=True)


if __name__ == "__main__":
    main()
