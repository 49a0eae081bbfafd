"""What `bench_marginal.py` measures from inside a process: `python marginal_jobs.py JOB JSON`.

Each job prints one JSON object as its last line.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd

import dpsynth
from dpsynth.curator.counting import CellCounter
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.files import load_parquet
from dpsynth.data.schema import Schema
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget

Numbers = dict[str, float]


def rows(*, records: str, schema: str, generator: str) -> Numbers:
    """Fit a Parquet file of codes; tell reading, encoding and counting from the rest."""
    spent = {"read": 0.0, "encode": 0.0, "count": 0.0}
    _clock(CellCounter, "count_anew", spent, "count")
    _clock(Codec, "encode", spent, "encode")
    start = perf_counter()
    table = load_parquet(records, Schema.load(schema))
    spent["read"] = perf_counter() - start
    model = dpsynth.synthesize(table, generator=generator, epsilon=1, seed=0)
    fitted = perf_counter() - start
    model.sample(10_000)
    rest = fitted - sum(spent.values())
    return {**spent, "rest": rest}


def wide(*, columns: int, number: int, generator: str) -> Numbers:
    """Fit a table of five codes a column; all pairs compete."""
    table = _coded(np.random.default_rng(0).integers(0, 5, (number, columns)), 5)
    return {
        "fit": _seconds(lambda: dpsynth.synthesize(table, generator=generator, epsilon=1, seed=0))
    }


def small(*, fits: int) -> Numbers:
    """Fit MST to a 10 x 3 binary table again and again."""
    table = _coded(np.random.default_rng(0).integers(0, 2, (10, 3)), 2)
    before = process_time()

    def all_fits() -> None:
        for seed in range(fits):
            dpsynth.synthesize(table, generator="mst", epsilon=1, seed=seed)

    wall = _seconds(all_fits)
    return {"wall": wall, "processor": process_time() - before}


def calibration(*, data: str) -> Numbers:
    """Exchange a budget anew for rho and mu, and calibrate the last tree of `two_stage`."""
    made: Numbers = {}
    for name in ("zcdp", "gdp"):
        make_accountant(name, Budget(epsilon=0.5, delta=1e-6))  # libraries are loaded here
        made[name] = _seconds(lambda n=name: make_accountant(n, Budget(epsilon=1, delta=1e-9)))
    table = dpsynth.DATASETS.get(data)().table
    fit = dpsynth.synthesize(table, generator="two_stage", epsilon=1, seed=0)
    with tempfile.TemporaryDirectory() as folder:  # a loaded model has nothing worked out yet
        path = Path(folder) / "model"
        fit.save(path)
        model: Any = dpsynth.load(path).model
    made["cells"] = model.model.tree.cells
    made["tree"] = _seconds(lambda: model.model.calibration)
    return made


def _coded(codes: np.ndarray, size: int) -> dpsynth.Table:
    names = [f"c{i}" for i in range(codes.shape[1])]
    columns = tuple(CategoricalColumn(name=n, categories=tuple(range(size))) for n in names)
    return dpsynth.Table(schema=Schema(columns=columns), frame=pd.DataFrame(codes, columns=names))


def _seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _clock(owner: type, method: str, spent: Numbers, key: str) -> None:
    """Let every call of a method add its time to `spent`."""
    real = getattr(owner, method)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = perf_counter()
        try:
            return real(*args, **kwargs)
        finally:
            spent[key] += perf_counter() - start

    setattr(owner, method, timed)


JOBS: dict[str, Callable[..., Numbers]] = {
    "rows": rows,
    "wide": wide,
    "small": small,
    "calibration": calibration,
}

if __name__ == "__main__":
    print(json.dumps(JOBS[sys.argv[1]](**json.loads(sys.argv[2]))))
