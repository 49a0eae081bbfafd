"""Intervals for the population from several synthetic copies, which know of the noise in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.metric import CONFIDENCE
from dpsynth.evaluation.sample import Sample, check_same_columns, representatives

if TYPE_CHECKING:
    from dpsynth.data.table import Table

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Combined:
    """One quantity of the population, from m copies.

    Args:
        quantity: "mean of income", "share of region = north", "slope of income on age".
        value: mean of the copies' estimates.
        lower, upper: interval at 95%.
        between: variance between copies' estimates: synthetic sampling and the mechanism's noise.
        within: mean variance that each copy states for its own.
    """

    quantity: str
    value: float
    lower: float
    upper: float
    between: float
    within: float


def combined_intervals(
    copies: "Sequence[Table]", *, rows: int, slopes_of: str | None = None
) -> tuple[Combined, ...]:
    """Return intervals for means, shares and slopes, from copies of models that were fitted apart.

    Each copy's estimate is the real one, plus noise of its own fit, plus synthetic sampling; so the
    variance b between copies has both, and their mean errs from the population by u + b/m, with u
    the sampling variance of the real estimate, taken from the copies and scaled to the real number
    of records. Copies drawn from one fit share its noise, and intervals from them are too narrow.
    A bias that all fits share (a dependence that no copy has) is not covered either.

    Args:
        copies: at least 2 tables of one schema.
        rows: real records that the models were fitted to; public, or a noisy count.
        slopes_of: a numeric column; slopes of least squares on all other numeric columns, over
            records that have all of them. None: no slopes.

    Raises:
        InvalidValueError: fewer than 2 copies, other columns, no rows, or a column without numbers.
        UnknownNameError: no such column.

    Reference: J. Reiter, Inference for partially synthetic, public use microdata sets, Survey
        Methodology 29 (2003), equations 4 and 5 (T = u + b/m and its degrees of freedom).
    """
    if len(copies) < 2:
        raise InvalidValueError("copies", len(copies), "at least 2: one tells nothing of noise")
    if rows < 1:
        raise InvalidValueError("rows", rows, "at least 1")
    samples = [Sample.of(copy) for copy in copies]
    for sample in samples[1:]:
        check_same_columns(samples[0], sample)
    names: list[str] = []
    estimates: list[list[tuple[float, float]]] = []
    for sample in samples:
        found = {**_moments(sample), **_slopes(sample, slopes_of)}
        names = list(found)
        estimates.append([(v, s * len(sample) / rows) for v, s in found.values()])
    table = np.array(estimates)
    return tuple(_combined(name, table[:, i]) for i, name in enumerate(names))


def interval_coverage(
    intervals: Sequence[Combined], population: "Table", *, slopes_of: str | None = None
) -> dict[str, tuple[int, int]]:
    """Return how many intervals cover the quantity that they are for: hits and how many there are.

    Quantities of one release err together: coverage is the mean over many, fitted to samples that
    were drawn apart, and 95% is what it should be. It reads real records; no guarantee covers it.

    Args:
        intervals: of `combined_intervals`.
        population: all records that the training records are a sample of.
        slopes_of: as there.

    Returns:
        For "mean", "share" and "slope", where there are any, (hits, intervals).

    Raises:
        InvalidValueError: intervals for a quantity that the population lacks.
    """
    sample = Sample.of(population)
    truth = {**_moments(sample), **_slopes(sample, slopes_of)}
    found: dict[str, tuple[int, int]] = {}
    for interval in intervals:
        if interval.quantity not in truth:
            raise InvalidValueError("intervals", interval.quantity, "for quantities of the table")
        kind = interval.quantity.partition(" ")[0]
        hits, total = found.get(kind, (0, 0))
        hit = interval.lower <= truth[interval.quantity][0] <= interval.upper
        found[kind] = hits + hit, total + 1
    return found


def _combined(quantity: str, copies: Array) -> Combined:
    from scipy.special import stdtrit

    m = len(copies)
    value, within = copies.mean(axis=0)
    between = float(copies[:, 0].var(ddof=1))
    freedom = (m - 1) * (1 + m * within / between) ** 2 if between > 0 else float("inf")
    reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * sqrt(within + between / m)
    return Combined(
        quantity=quantity,
        value=float(value),
        lower=float(value) - reach,
        upper=float(value) + reach,
        between=between,
        within=float(within),
    )


def _moments(sample: Sample) -> dict[str, tuple[float, float]]:
    """Return (estimate, variance) of each number's mean and each category's share."""
    found: dict[str, tuple[float, float]] = {}
    n = len(sample)
    for column, codes in zip(sample.schema.columns, sample.columns, strict=True):
        numbers = representatives(column)
        if isinstance(column, CategoricalColumn):
            shares = np.bincount(codes, minlength=column.size) / n
            labels = [*column.categories, *(["missing"] if column.missing else [])]
            for label, share in zip(labels, shares, strict=True):
                found[f"share of {column.name} = {label}"] = share, share * (1 - share) / n
            continue
        assert numbers is not None
        values = numbers[codes]
        values = values[np.isfinite(values)]
        spread = float(values.var()) / max(len(values), 1) if len(values) else float("nan")
        mean = float(values.mean()) if len(values) else float("nan")
        found[f"mean of {column.name}"] = mean, spread
    return found


def _slopes(sample: Sample, target: str | None) -> dict[str, tuple[float, float]]:
    """Return (estimate, variance) of the slopes of least squares, robust to unequal variances."""
    if target is None:
        return {}
    numbers = {
        column.name: places[codes]
        for column, codes in zip(sample.schema.columns, sample.columns, strict=True)
        if (places := representatives(column)) is not None
    }
    if sample.schema.column(target).name not in numbers:
        raise InvalidValueError("slopes_of", target, "a numeric column")
    others = [name for name in numbers if name != target]
    design = np.column_stack([np.ones(len(sample)), *(numbers[name] for name in others)])
    kept = np.isfinite(design).all(axis=1) & np.isfinite(numbers[target])
    design, outcome = design[kept], numbers[target][kept]
    inverse = np.linalg.pinv(design.T @ design)
    slopes = inverse @ design.T @ outcome
    scores = design * (outcome - design @ slopes)[:, None]
    variances = np.diag(inverse @ (scores.T @ scores) @ inverse)
    return {
        f"slope of {target} on {name}": (float(slopes[i]), float(variances[i]))
        for i, name in enumerate(others, start=1)
    }
