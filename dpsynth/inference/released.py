"""Intervals for means, shares and slopes of the population, from what a released model measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.errors import InvalidValueError
from dpsynth.inference.influence import (
    Influence,
    Measured,
    mean_influence,
    share_influence,
    slope_influences,
)
from dpsynth.pgm.bounded_interval import bounded_interval

if TYPE_CHECKING:
    from dpsynth.generators.base import SyntheticModel

Array = NDArray[np.float64]

CONFIDENCE = 0.95


@final
@dataclass(frozen=True, kw_only=True)
class Interval:
    """One quantity of the population that the records are a sample of.

    Args:
        quantity: "mean of income", "share of region = north", "slope of income on age".
        value: estimate without the pull of non-negativity; the model's own figure may differ.
        lower, upper: interval at 95%.
        standard_error: of the value: the mechanism's noise and sampling.
        within_bins: how much further a mean may be off, at most, for where values lie within their
            bins; 0 where each code is one value, None for slopes.
    """

    quantity: str
    value: float
    lower: float
    upper: float
    standard_error: float
    within_bins: float | None


def released_intervals(
    model: "SyntheticModel",
    *,
    slopes_of: str | None = None,
    on: Sequence[str] = (),
    rng: np.random.Generator,
) -> tuple[Interval, ...]:
    """Return 95% intervals for means, shares and slopes, from one fit; they cost nothing.

    Each quantity is the model's figure and one linear step to what least squares over its noisy
    measurements say: unbiased, whatever the fit made of noise in empty cells. Its error is the
    noise of those measurements, known exactly, and that of sampling. Slopes are of least squares
    and rest on pairs of columns. Of a pair that no measurement holds the model knows what it takes
    for granted, so a slope that needs one is refused.

    A mean and a slope are of the values themselves, as the schema spreads them within bins
    (`within_bins` bounds what that may be wrong by). Slopes are linearised at the model's figure:
    where noise drowns what causes have in common, their intervals are approximate.

    Args:
        model: a graphical one, with its noisy measurements.
        slopes_of: a numeric column; None: no slopes.
        on: other numeric columns; all at once explain `slopes_of`. Empty: all that there are.
        rng: draws rows of the model for the sampling error of slopes.

    Raises:
        InvalidValueError: a model without noisy measurements, or a slope that it cannot know: of a
            column without numbers or with missing ones, or on pairs that were never measured.
        UnknownNameError: no such column.

    Reference: Javanmard & Montanari 2014 (one-step correction); Scheffe 1959, chapter 4 (least
        squares by effects); Huber 1967 (slopes whose model need not be true).
    """
    measured = Measured.of(model, rng=rng)
    schema = measured.model.schema
    found: list[Interval] = []
    for column in schema.columns:
        if isinstance(column, CategoricalColumn):
            labels = [*column.categories, *(["missing"] if column.missing else [])]
            for code, label in enumerate(labels):
                name = f"share of {column.name} = {label}"
                found.append(_interval(name, measured, share_influence(measured, column, code)))
        else:
            influence = mean_influence(measured, column)
            found.append(_interval(f"mean of {column.name}", measured, influence))
    if slopes_of is None:
        if on:
            raise InvalidValueError("on", tuple(on), "left out without a column to explain")
        return tuple(found)
    slopes: Mapping[str, Influence] = slope_influences(measured, slopes_of, tuple(on), rng=rng)
    for cause, influence in slopes.items():
        found.append(_interval(f"slope of {slopes_of} on {cause}", measured, influence))
    return tuple(found)


def _interval(quantity: str, measured: Measured, influence: Influence) -> Interval:
    """Return the interval of a quantity from its value in the model and its influence function."""
    step, variance = measured.step(influence)
    value, error = influence.value + step, sqrt(variance + influence.sampling)
    reach = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * error
    lower, upper = value - reach, value + reach
    if quantity.startswith("share"):
        low, high = bounded_interval(np.array(value), error, level=CONFIDENCE)
        lower, upper = min(float(low), 1.0), min(float(high), 1.0)
        value = min(max(value, lower), upper)
    return Interval(
        quantity=quantity,
        value=value,
        lower=lower,
        upper=upper,
        standard_error=error,
        within_bins=influence.within_bins,
    )
