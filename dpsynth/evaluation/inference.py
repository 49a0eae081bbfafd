"""Intervals for the population from several synthetic copies, which know of the noise in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Protocol, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.estimates import estimates
from dpsynth.evaluation.metric import CONFIDENCE

if TYPE_CHECKING:
    from dpsynth.data.table import Table

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Combined:
    """One quantity of the population, from m copies.

    Args:
        quantity: "mean of income", "share of region = north", "slope of income on age".
        value: of copies fitted apart the mean of their estimates; of copies of one fit the first
            one's, less the bias that the others show.
        lower, upper: interval at 95%.
        between: variance between copies' estimates: sampling and the mechanism's noise.
        within: of copies fitted apart the mean variance that each states for its own; of copies of
            one fit the square of the bias.
    """

    quantity: str
    value: float
    lower: float
    upper: float
    between: float
    within: float


class Covering(Protocol):
    """What has a quantity of the population between its ends, it says."""

    @property
    def quantity(self) -> str: ...
    @property
    def lower(self) -> float: ...
    @property
    def upper(self) -> float: ...


def combined_intervals(
    copies: "Sequence[Table]", *, rows: int, slopes_of: str | None = None, on: Sequence[str] = ()
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
        slopes_of: a numeric column; slopes of least squares over records that have all columns.
            None: no slopes.
        on: numeric columns that explain it, all at once; empty: all others.

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
    names, values, variances = _estimated(copies, slopes_of, on)
    sizes = np.array([len(copy) for copy in copies])
    within = (variances * (sizes / rows)[:, None]).mean(axis=0)
    between, m = values.var(axis=0, ddof=1), len(copies)
    found: list[Combined] = []
    for name, value, b, u in zip(names, values.mean(axis=0), between, within, strict=True):
        freedom = (m - 1) * (1 + m * u / b) ** 2 if b > 0 else float("inf")
        found.append(_around(name, value, u + b / m, freedom, between=b, within=u))
    return tuple(found)


def replicated_intervals(
    copies: "Sequence[Table]", *, slopes_of: str | None = None, on: Sequence[str] = ()
) -> tuple[Combined, ...]:
    """Return intervals for means, shares and slopes, from copies of one fit.

    The first copy is of the fit, each other one of a fit to records that were drawn from the first
    one's model, under noise of the same size (`dpsynth.inference.copies`). What the others are off
    from the first, it is off from the population, as far as the model is right: their mean
    difference d is its bias, and their variance b has sampling and noise. An estimate of a bias
    grows with what is cut off at 0, and is too small where records leave cells empty that the model
    fills; so it is taken off and counts as an error too: T = (1 + 1/(m - 1)) b + d^2.

    A dependence that the model lacks no copy has: slopes on pairs that were never measured are not
    covered. `released_intervals` refuses them.

    Args:
        copies: the first, and at least 2 others.
        slopes_of, on: as of `combined_intervals`.

    Raises:
        InvalidValueError: fewer than 3 copies, other columns, or a column without numbers.
        UnknownNameError: no such column.

    Reference: Ferrando, Wang & Sheldon 2022, algorithm 1 (the parametric bootstrap of a private
        estimate); Efron & Tibshirani 1993, equation 10.41 (its bias).
    """
    if len(copies) < 3:
        rule = "at least 3: the first, and two that tell of noise"
        raise InvalidValueError("copies", len(copies), rule)
    names, values, _ = _estimated(copies, slopes_of, on)
    first, others = values[0], values[1:]
    m = len(others)
    bias, between = others.mean(axis=0) - first, others.var(axis=0, ddof=1)
    return tuple(
        _around(name, value - d, (1 + 1 / m) * b + d**2, m - 1, between=b, within=d**2)
        for name, value, d, b in zip(names, first, bias, between, strict=True)
    )


def interval_coverage(
    intervals: Sequence[Covering],
    population: "Table",
    *,
    slopes_of: str | None = None,
    on: Sequence[str] = (),
) -> dict[str, tuple[int, int]]:
    """Return how many intervals cover the quantity that they are for: hits and how many there are.

    Quantities of one release err together: coverage is the mean over many, fitted to samples that
    were drawn apart, and 95% is what it should be. It reads real records; no guarantee covers it.

    Args:
        intervals: of `combined_intervals`, `replicated_intervals` or `released_intervals`.
        population: all records that the training records are a sample of.
        slopes_of, on: as there.

    Returns:
        For "mean", "share" and "slope", where there are any, (hits, intervals).

    Raises:
        InvalidValueError: intervals for a quantity that the population lacks.
    """
    truth = estimates(population, slopes_of=slopes_of, on=on)
    found: dict[str, tuple[int, int]] = {}
    for interval in intervals:
        if interval.quantity not in truth:
            raise InvalidValueError("intervals", interval.quantity, "for quantities of the table")
        kind = interval.quantity.partition(" ")[0]
        hits, total = found.get(kind, (0, 0))
        hit = interval.lower <= truth[interval.quantity][0] <= interval.upper
        found[kind] = hits + hit, total + 1
    return found


def _estimated(
    copies: "Sequence[Table]", slopes_of: str | None, on: Sequence[str]
) -> tuple[list[str], Array, Array]:
    """Return the quantities, and each copy's estimates and variances of them."""
    for copy in copies:
        if copy.schema.columns != copies[0].schema.columns:
            raise InvalidValueError("copies", copy.schema.names, "all under the same columns")
    found = [estimates(copy, slopes_of=slopes_of, on=on) for copy in copies]
    table = np.array([list(each.values()) for each in found])
    return list(found[0]), table[:, :, 0], table[:, :, 1]


def _around(
    quantity: str, value: float, variance: float, freedom: float, *, between: float, within: float
) -> Combined:
    from scipy.special import stdtrit

    reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * sqrt(variance)
    return Combined(
        quantity=quantity,
        value=float(value),
        lower=float(value - reach),
        upper=float(value + reach),
        between=float(between),
        within=float(within),
    )
