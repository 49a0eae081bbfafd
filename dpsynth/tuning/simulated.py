"""A table simulated under a schema, to tune on where no public one is at hand."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.data.open_schema import load_schema
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.generators.mixture import MixtureSyntheticModel
from dpsynth.pgm.product_mixture import ProductMixture
from dpsynth.synthesis import random_streams

Array = NDArray[np.float64]

KINDS = 8
"""Kinds of records; within one, columns are independent."""

_SKEW = 0.4
"""Concentration of the laws of categories: a few of them are frequent in each kind."""

_WIDEST = 0.3
"""Largest standard deviation of an ordered column within a kind, as part of its codes."""


def simulated_table(schema: Schema, rows: int, *, rng: np.random.Generator) -> Table:
    """Return records of a random law that knows nothing but the schema: a mixture of products.

    Kinds of records are unequally frequent. In each, a column of categories has a few frequent
    ones, and an ordered column lies about a place of its own; about one column in three has the
    same law in all kinds, and so depends on nothing. Constraints of the schema hold.

    Args:
        schema: public.
        rows: how many; a public guess at the number of private records.
        rng: source of the law and of the records.

    Raises:
        InvalidValueError: fewer than two rows.
    """
    if rows < 2:
        raise InvalidValueError("rows", rows, "at least 2")
    sizes = schema.domain.sizes
    laws = [_laws(schema.column(name), size, rng) for name, size in sizes.items()]
    mixture = ProductMixture(
        domain=schema.domain,
        total=float(rows),
        components=np.concatenate(laws, axis=1).astype(np.float32),
        weights=rng.dirichlet(np.ones(KINDS)),
    )
    return MixtureSyntheticModel(schema=schema, parts=(mixture,)).sample(rows, rng=rng)


def simulated_under(schema: Schema | str | Path, rows: int, *, seed: int) -> Table:
    """Return the simulated table of a seed under a closed schema, or the file of one.

    Raises:
        InvalidValueError: fewer than two rows, a seed below 0, or an open schema.
        FileError, SchemaError, UnknownNameError: a file that is no schema.
    """
    rules = load_schema(schema) if isinstance(schema, str | Path) else schema
    if not isinstance(rules, Schema):
        raise InvalidValueError("schema", "open", "closed, for tuning")
    return simulated_table(rules, rows, rng=random_streams(seed)[1])


def _laws(column: Column, size: int, rng: np.random.Generator) -> Array:
    """Return a column's law in each kind, of shape (kinds, codes)."""
    different = 1 if rng.random() < 1 / 3 else KINDS
    if isinstance(column, CategoricalColumn):
        laws = rng.dirichlet(np.full(size, _SKEW), size=different)
    else:
        laws = _bumps(size, rng.random(different), rng.uniform(0.05, _WIDEST, different))
    laws = np.broadcast_to(laws, (KINDS, size)) + 1e-6
    return laws / laws.sum(axis=1, keepdims=True)


def _bumps(size: int, places: Array, widths: Array) -> Array:
    """Return normal laws about places from 0 to 1, on codes that are evenly spaced there."""
    at = (np.arange(size) + 0.5) / size
    found = np.exp(-0.5 * ((at - places[:, None]) / widths[:, None]) ** 2) + 1e-12
    return found / found.sum(axis=1, keepdims=True)
