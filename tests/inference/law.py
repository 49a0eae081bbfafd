"""A law with known means, shares and slopes, and models fitted to records of it."""

import numpy as np
import pandas as pd

from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.synthesis import Synthesis, synthesize

SCHEMA = Schema(
    columns=(
        IntegerColumn(name="visits", lower=0, upper=11),
        IntegerColumn(name="age", lower=0, upper=5),
        IntegerColumn(name="spare", lower=0, upper=5),
        CategoricalColumn(name="kind", categories=("a", "b", "c")),
    )
)
SLOPE = 0.9
MEANS = {"age": 2.5, "visits": 1.0 + SLOPE * 2.5}


def records(n: int, *, rng: np.random.Generator) -> Table:
    """Return records in which visits are 1 + .9 age on average, and all else is independent."""
    age = rng.integers(6, size=n)
    # Above 5.5 the binomial stays below 12, so that nothing is clipped.
    visits = rng.binomial(11, (1.0 + SLOPE * age) / 11)
    kind = rng.choice(["a", "b", "c"], p=[0.7, 0.28, 0.02], size=n)
    frame = {"visits": visits, "age": age, "spare": rng.integers(6, size=n), "kind": kind}
    return Table.from_frame(SCHEMA, pd.DataFrame(frame))


def fit(n: int, *, seed: int, generator: str = "mst", epsilon: float = 1.0) -> Synthesis:
    """Return a model of `n` records."""
    table = records(n, rng=np.random.default_rng(seed))
    return synthesize(table, generator=generator, epsilon=epsilon, seed=seed)
