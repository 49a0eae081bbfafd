"""Means, shares and slopes of a table's values, each with the variance that sampling gives it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.regressors import regressors
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.data.table import Table

Array = NDArray[np.float64]


def estimates(
    table: "Table", *, slopes_of: str | None = None, on: Sequence[str] = ()
) -> dict[str, tuple[float, float]]:
    """Return (estimate, variance) of each number's mean, each category's share, and of slopes.

    Args:
        table: records. Times count in ticks.
        slopes_of: a numeric column; slopes of least squares over records that have all columns
            that it takes. None: no slopes.
        on: numeric columns that explain it, all at once; empty: all others.

    Returns:
        "mean of income", "share of region = north", "slope of income on age" -> both.

    Raises:
        InvalidValueError: a slope of or on a column without numbers, or on itself.
        UnknownNameError: no such column.
    """
    found: dict[str, tuple[float, float]] = {}
    n = len(table)
    for column in table.schema.columns:
        if isinstance(column, CategoricalColumn):
            codes = np.asarray(table.values(column.name).codes)
            # A missing value has the code -1 there, and the last one here.
            counts = np.bincount(np.where(codes < 0, column.size - 1, codes), minlength=column.size)
            labels = [*column.categories, *(["missing"] if column.missing else [])]
            for label, count in zip(labels, counts.tolist(), strict=True):
                share = count / n
                found[f"share of {column.name} = {label}"] = share, share * (1 - share) / n
            continue
        values = _numbers(table, column.name)
        values = values[np.isfinite(values)]
        none = not len(values)
        mean = float("nan") if none else float(values.mean())
        found[f"mean of {column.name}"] = mean, mean if none else float(values.var()) / len(values)
    if slopes_of is None and on:
        raise InvalidValueError("on", tuple(on), "left out without a column to explain")
    return found if slopes_of is None else {**found, **_slopes(table, slopes_of, tuple(on))}


def _slopes(table: "Table", outcome: str, on: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Return (estimate, variance) of the slopes of least squares, robust to unequal variances."""
    causes = regressors(table.schema, outcome, on)
    target = _numbers(table, outcome)
    design = np.column_stack([np.ones(len(table)), *(_numbers(table, name) for name in causes)])
    kept = np.isfinite(design).all(axis=1) & np.isfinite(target)
    design, target = design[kept], target[kept]
    inverse = np.linalg.pinv(design.T @ design)
    slopes = inverse @ design.T @ target
    scores = design * (target - design @ slopes)[:, None]
    variances = np.diag(inverse @ (scores.T @ scores) @ inverse)
    return {
        f"slope of {outcome} on {name}": (float(slopes[i]), float(variances[i]))
        for i, name in enumerate(causes, start=1)
    }


def _numbers(table: "Table", name: str) -> Array:
    values = table.values(name)
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(values, dtype=np.float64)
