"""A small law of mixed columns with known dependence, and ways to spoil samples of it."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dpsynth.data.datasets import Target
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table

SCHEMA = Schema(
    columns=(
        CategoricalColumn(name="region", categories=("north", "south", "west")),
        CategoricalColumn(name="ill", categories=("no", "yes")),
        CategoricalColumn(name="work", categories=("a", "b", "c", "d"), missing=True),
        IntegerColumn(name="visits", lower=0, upper=9, missing=True),
        FloatColumn(name="income", lower=0.0, upper=1.0, bins=8),
        FloatColumn(name="spend", lower=0.0, upper=2.0, bins=8),
    )
)

ILL = Target(column="ill", positive="yes")


def draw(n: int, *, rng: np.random.Generator) -> Table:
    """Return `n` records of the law."""
    region = rng.integers(3, size=n)
    income = np.clip(rng.beta(2 + region, 3), 0, 1)
    ill = rng.random(n) < 0.15 + 0.6 * (income < 0.4)
    visits = np.minimum(rng.poisson(1 + 2 * ill), 9)
    work = (region + rng.integers(2, size=n)) % 4
    frame = {
        "region": np.array(["north", "south", "west"])[region],
        "ill": np.where(ill, "yes", "no"),
        "work": pd.Series(np.array(list("abcd"))[work]).mask(rng.random(n) < 0.1),
        "visits": pd.Series(visits, dtype="Int64").mask(rng.random(n) < 0.1),
        "income": income,
        "spend": np.clip(income + rng.random(n), 0, 2),
    }
    return Table.from_frame(SCHEMA, pd.DataFrame(frame))


def codes_of(table: Table) -> NDArray[np.integer[Any]]:
    """Return the codes of a table, one row a record."""
    return Codec(schema=table.schema).encode(table)


def corrupt(table: Table, share: float, *, rng: np.random.Generator) -> Table:
    """Return the table with `share` of its cells replaced by uniform codes."""
    codes = codes_of(table).astype(np.int64)
    noise = rng.integers(np.array(table.schema.domain.shape), size=codes.shape)
    spoilt = np.where(rng.random(codes.shape) < share, noise, codes)
    return Codec(schema=table.schema).decode(spoilt, rng=rng)


def replace(table: Table, **columns: Any) -> Table:
    """Return the table with some columns set anew."""
    return Table.from_frame(table.schema, table.frame.assign(**columns))


def collapse(table: Table, share: float, *, rng: np.random.Generator) -> Table:
    """Return the table with `share` of its records replaced by copies of five of them."""
    rows = np.arange(len(table))
    few = rng.integers(min(5, len(table)), size=len(table))
    return table.take(np.where(rng.random(len(table)) < share, few, rows))


def lose_class(table: Table) -> Table:
    """Return the table without one of its two classes: everyone is well."""
    return replace(table, ill="no")


def lose_tail(table: Table) -> Table:
    """Return the table without what is rare in it: nobody has more than three visits."""
    visits = table.frame["visits"]
    return replace(table, visits=visits.mask(visits > 3, 3))
