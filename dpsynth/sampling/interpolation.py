"""A fitted model whose values spread within bins as its own marginals say."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import FloatColumn, IntegerColumn
from dpsynth.data.interpolation import bare, interpolated
from dpsynth.data.schema import Schema
from dpsynth.generators.base import KnownLaws, SyntheticModel, TractableModel

COUNTED_ROWS = 2**16
"""Rows of a model without known marginals whose codes are counted instead."""


def with_interpolated_values(model: SyntheticModel, *, rng: np.random.Generator) -> SyntheticModel:
    """Return the model with pieces in the bins of numbers for which none were bought or declared.

    They are post-processing of the model and cost nothing; they are part of its schema, so that
    samples, conditions, copies and saved models agree. Codes and their laws stay as they were.

    Args:
        model: a fitted one.
        rng: draws the rows that are counted where the model has no known marginals; it is left
            as it was.
    """
    schema = model.schema
    numbers = {
        c.name: c for c in schema.columns if isinstance(c, IntegerColumn | FloatColumn) and bare(c)
    }
    if not numbers:
        return model
    counts = _counts(model, list(numbers), rng)
    changed = {name: interpolated(c, counts[name]) for name, c in numbers.items()}
    columns = tuple(changed.get(c.name, c) for c in schema.columns)
    # Models are frozen dataclasses with a schema (`SyntheticModel`).
    return replace(cast("Any", model), schema=replace(schema, columns=columns))


def _counts(
    model: SyntheticModel, names: list[str], rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    if isinstance(model, TractableModel) and model.tractable:
        return {name: model.marginal((name,)) for name in names}
    if isinstance(model, KnownLaws) and not model.schema.constraints:
        return {name: model.one_way(name) for name in names}
    rows = np.concatenate(list(model.codes_in_blocks(COUNTED_ROWS, rng=rng.spawn(1)[0])))
    schema: Schema = model.schema
    return {
        name: np.bincount(rows[:, axis], minlength=schema.domain.sizes[name]).astype(np.float64)
        for name, axis in zip(names, schema.domain.axes(tuple(names)), strict=True)
    }
