"""Difference of pairwise associations, for columns of any kind."""

from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import jackknife_error, student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample, representatives


@final
@dataclass(frozen=True, kw_only=True)
class CorrelationDifference(Metric):
    """Mean absolute difference of the association of each pair of columns.

    Two numeric columns: Pearson's correlation of bin mid-points, over the records that have both.
    Two categorical columns: Cramer's V, corrected for bias; a missing value is a category of its
    own. One of each: the correlation ratio, corrected for bias, over the records that have the
    number. An association with a constant column is 0. The corrections matter where real and
    synthetic tables differ in size.

    The interval covers the expected score of a fresh synthetic table of the same size from the same
    model, as for marginals, by a delete-a-group jackknife over synthetic records.

    Args:
        groups: groups of the jackknife.

    Raises:
        InvalidValueError: fewer than 2 groups.
    """

    name: ClassVar[str] = "correlation_difference"
    higher_is_better: ClassVar[bool] = False
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 2.0
    reads: ClassVar[Literal["train", "holdout"]] = "train"
    reference: ClassVar[str] = (
        "Pearson; W. Bergsma, A bias-correction for Cramer's V and Tschuprow's T (2013), "
        "equations 6 and 7; T. Kelley, An unbiased correlation ratio measure (1935)"
    )
    groups: int = 20

    def __post_init__(self) -> None:
        if self.groups < 2:
            raise InvalidValueError("groups", self.groups, "at least 2")

    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:  # noqa: ARG002
        return _mean_difference(associations(real), associations(synthetic))

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        target = associations(real)
        error = jackknife_error(
            lambda rows: _mean_difference(target, associations(synthetic.take(rows))),
            len(synthetic),
            groups=self.groups,
            rng=rng,
        )
        return student_interval(
            _mean_difference(target, associations(synthetic)),
            error,
            freedom=max(min(self.groups, len(synthetic)) - 1, 1),
            minimum=self.minimum,
            maximum=self.maximum,
        )


def associations(sample: Sample) -> NDArray[np.float64]:
    """Return the association of each pair of columns, in lexicographic order.

    Returns:
        Pearson's correlation in [-1, 1], or Cramer's V or the correlation ratio in [0, 1].
    """
    numbers: list[NDArray[np.float64] | None] = []
    for column, codes in zip(sample.schema.columns, sample.columns, strict=True):
        table = representatives(column)
        numbers.append(None if table is None else table[codes])
    pairs = combinations(range(len(numbers)), 2)
    return np.array([_association(sample, numbers, i, j) for i, j in pairs])


def _mean_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    # A single column has no pair, so nothing differs.
    return float(np.abs(first - second).mean()) if first.size else 0.0


def _association(
    sample: Sample, numbers: list[NDArray[np.float64] | None], i: int, j: int
) -> float:
    first, second = numbers[i], numbers[j]
    if first is not None and second is not None:
        return _pearson(first, second)
    if first is not None:
        return _correlation_ratio(first, sample.columns[j], sample.sizes[j])
    if second is not None:
        return _correlation_ratio(second, sample.columns[i], sample.sizes[i])
    cells = sample.columns[i] * sample.sizes[j] + sample.columns[j]
    shape = sample.sizes[i], sample.sizes[j]
    return _cramers_v(np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape))


def _pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    present = np.isfinite(first) & np.isfinite(second)
    if not present.all():
        first, second = first[present], second[present]
    if len(first) < 2:
        return 0.0
    x, y = first - first.mean(), second - second.mean()
    scale = sqrt(float(x @ x) * float(y @ y))
    return float(np.clip(x @ y / scale, -1, 1)) if scale > 0 else 0.0


def _correlation_ratio(number: NDArray[np.float64], category: NDArray[np.intp], size: int) -> float:
    present = np.isfinite(number)
    if not present.all():
        number, category = number[present], category[present]
    n = len(number)
    counts = np.bincount(category, minlength=size)
    occupied = int(np.count_nonzero(counts))
    if n < 2 or occupied < 2 or n == occupied:
        return 0.0
    centred = number - number.mean()
    total = float(centred @ centred)
    if total == 0:
        return 0.0
    sums = np.bincount(category, weights=centred, minlength=size)
    between = float((sums**2 / np.maximum(counts, 1)).sum())
    corrected = 1 - (1 - between / total) * (n - 1) / (n - occupied)
    return sqrt(min(max(corrected, 0.0), 1.0))


def _cramers_v(counts: NDArray[np.intp]) -> float:
    n = int(counts.sum())
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    r, k = int(np.count_nonzero(rows)), int(np.count_nonzero(columns))
    if r < 2 or k < 2:
        return 0.0
    expected = np.outer(rows, columns) / n
    phi2 = float((counts**2 / np.where(expected > 0, expected, 1.0)).sum()) / n - 1
    phi2 = max(phi2 - (r - 1) * (k - 1) / (n - 1), 0.0)
    least = min(r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)) - 1
    return sqrt(min(phi2 / least, 1.0)) if least > 0 else 0.0
