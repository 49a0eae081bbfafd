"""Small panels for tests: people with visits, whose values follow one another."""

import numpy as np
import pandas as pd

from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema

EVENTS = Schema(
    unit="patient",
    max_rows_per_unit=2,
    columns=(
        IntegerColumn(name="day", lower=0, upper=99),
        CategoricalColumn(name="ward", categories=("a", "b", "c")),
        FloatColumn(name="dose", lower=0.0, upper=8.0, bins=8, missing=True),
    ),
)
UNITS = Schema(
    columns=(
        CategoricalColumn(name="sex", categories=("f", "m")),
        IntegerColumn(name="age", lower=0, upper=99, bins=10),
    )
)
LINKED = LinkedSchema(events=EVENTS, units=UNITS, time="day", max_events=6)
LONG = LinkedSchema(events=EVENTS, time="day", max_events=6)


def panel(n: int = 300, *, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return units and events, shuffled: wards stay nine times out of ten, men have more events."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], n)
    units = pd.DataFrame(
        {"patient": [f"p{i:04}" for i in range(n)], "sex": sex, "age": rng.integers(0, 100, n)}
    )
    rows = []
    for i in range(n):
        day, ward = int(rng.integers(0, 20)), str(rng.choice(["a", "b", "c"]))
        for _ in range(rng.integers(0, 4) + 2 * (sex[i] == "m")):
            dose = None if rng.random() < 0.1 else round(float(rng.uniform(0, 8)), 2)
            rows.append((f"p{i:04}", day, ward, dose))
            day += int(rng.integers(1, 15))
            ward = ward if rng.random() < 0.9 else str(rng.choice(["a", "b", "c"]))
    events = pd.DataFrame(rows, columns=["patient", "day", "ward", "dose"])
    return units, events.sample(frac=1, random_state=seed).reset_index(drop=True)
