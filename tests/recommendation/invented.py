"""A benchmark of invented data sets, where what is best follows from the facts or from nothing."""

import numpy as np
import pandas as pd

from dpsynth.recommendation.benchmark import Benchmark

GENERATORS = ("independent", "mst", "two_stage")


def invented(*, lawful: bool, datasets: int = 16) -> Benchmark:
    """Return a benchmark in which few rows favour `independent` and many `two_stage`.

    Args:
        lawful: whether that follows from the rows of each data set, or from shuffled ones.
        datasets: how many, at three budgets each.
    """
    rng = np.random.default_rng(7)
    rows = np.geomspace(300, 100_000, datasets).round()
    facts = pd.DataFrame(
        {
            "dataset": [f"d{i}" for i in range(datasets)],
            "family": [f"f{i}" for i in range(datasets)],
            "rows": rows,
            "columns": rng.integers(5, 30, datasets),
            "codes": rng.uniform(2, 20, datasets),
            "largest": rng.integers(8, 40, datasets),
            "numeric": rng.uniform(0, 1, datasets),
        }
    ).set_index("dataset")
    ruling = rows if lawful else rng.permutation(rows)
    lines = [
        {
            "dataset": f"d{i}",
            "generator": generator,
            "epsilon": epsilon,
            "delta": 1e-9,
            "seconds": {"independent": 0.1, "mst": 1.0, "two_stage": 5.0}[generator],
            "memory_mb": 150.0,
            **_scores(generator, float(ruling[i]), epsilon, rng),
        }
        for i in range(datasets)
        for epsilon in (0.1, 1.0, 10.0)
        for generator in GENERATORS
    ]
    return Benchmark(datasets=facts, scores=pd.DataFrame(lines))


def _scores(
    generator: str, rows: float, epsilon: float, rng: np.random.Generator
) -> dict[str, float]:
    noise = float(np.exp(rng.normal(0, 0.02)))
    good = 1 / (1 + 1500 / (rows * epsilon**0.5))  # the more, the better for those who measure more
    error = {"independent": 0.3, "mst": 0.45 - 0.2 * good, "two_stage": 0.6 - 0.5 * good}[generator]
    return {"workload_error": error * noise, "tstr_auc": 1 - error * noise}
