"""Copies of one fit at its whole budget, among which its noise shows; post-processing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.errors import InvalidValueError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.bootstrap import refits

if TYPE_CHECKING:
    from dpsynth.data.table import Table
    from dpsynth.generators.base import SyntheticModel


def copies(
    model: "SyntheticModel", m: int, *, rows: int | None = None, rng: np.random.Generator
) -> "Iterator[Table]":
    """Yield a table of the fit, and m - 1 of what the fit might have been, for any analysis.

    The first is of the model that fits its noisy measurements; the others are of models that were
    fitted, in the same way, to records drawn from it under noise of the same size. The analyst does
    the same with each, and combines by `replicated_intervals`, or by its rule.

    Args:
        model: a graphical one, with its noisy measurements.
        m: number of tables, at least 3.
        rows: of each; by default what the model holds.
        rng: source of everything.

    Raises:
        InvalidValueError: fewer than 3 tables, rows below 1, or a model without measurements.

    Reference: Ferrando, Wang & Sheldon 2022, algorithm 1.
    """
    if m < 3:
        raise InvalidValueError("copies", m, "at least 3: the first, and two that tell of noise")
    fits = _fits(measured_model(model), m, rng)
    n = max(1, round(model.total)) if rows is None else rows
    return (fit.sample(n, rng=rng) for fit in fits)


def measured_model(model: "SyntheticModel") -> GraphicalSyntheticModel:
    """Return `model` as what it has to be here.

    Raises:
        InvalidValueError: it keeps no noisy measurements.
    """
    if isinstance(model, GraphicalSyntheticModel) and model.measurements:
        return model
    rule = "one that keeps its noisy measurements, as those of 'two_stage' and 'mst' do"
    raise InvalidValueError("model", type(model).__name__, rule)


def _fits(
    model: GraphicalSyntheticModel, m: int, rng: np.random.Generator
) -> Iterator[GraphicalSyntheticModel]:
    drawn = refits(
        model.model, model.measurements, public_total=model.public_total, draws=m - 1, rng=rng
    )
    return (replace(model, model=fit, measurements=()) for fit in drawn)
