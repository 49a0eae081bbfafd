"""Whether a synthetic table covers the real one: mode collapse shows here, and in no marginal."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import jackknife_error, student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample, representatives

Array = NDArray[np.float64]

LEVELS = np.arange(1, 31) / 30
"""Shares of a table around its centre that precision and recall are compared at."""


@dataclass(frozen=True, kw_only=True)
class DiversityMetric(Metric):
    """A metric of distances between records, on at most `most` records of either table.

    Records are points: a category is an indicator, so that two differ by 1 in it; a number is its
    bin's mid-point over the range of mid-points; a missing one lies at 1 from all others. Values
    depend on how many records there are on both sides: compare equal sizes, and read a value
    beside its reference, which a real hold-out of the same size scores.

    The interval covers the expected score of a fresh synthetic table of the same size from the same
    model, by a delete-a-group jackknife over synthetic records.

    Args:
        most: records that are drawn from a larger table.
        groups: groups of the jackknife.

    Raises:
        InvalidValueError: fewer than 2 groups or records.
    """

    higher_is_better: ClassVar[bool] = True
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    reads: ClassVar[Literal["train", "holdout"]] = "train"
    most: int = 2000
    groups: int = 20

    def __post_init__(self) -> None:
        for field in ("most", "groups"):
            if getattr(self, field) < 2:
                raise InvalidValueError(field, getattr(self, field), "at least 2")

    @final
    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        first, second = self._points(real, synthetic, rng)
        return self.compare(first, second)(np.arange(len(second)))

    @final
    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        first, second = self._points(real, synthetic, rng)
        statistic = self.compare(first, second)
        n = len(second)
        error = jackknife_error(statistic, n, groups=self.groups, rng=rng)
        return student_interval(
            statistic(np.arange(n)),
            error,
            freedom=max(min(self.groups, n) - 1, 1),
            minimum=self.minimum,
            maximum=self.maximum,
        )

    @abstractmethod
    def compare(self, real: Array, synthetic: Array) -> Callable[[NDArray[np.intp]], float]:
        """Return the function from rows of `synthetic` to their value; both are points."""

    def _points(
        self, real: Sample, synthetic: Sample, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Return the points of both, drawn where there are too many."""
        first, second = (s.at_most(self.most, rng=rng) for s in (real, synthetic))
        return points(first), points(second)


@final
@dataclass(frozen=True, kw_only=True)
class Coverage(DiversityMetric):
    """Share of real records whose neighbourhood has a synthetic record in it.

    The neighbourhood reaches to the k-th nearest other real record. A generator that repeats a few
    kinds of records leaves the others' empty.

    Args:
        neighbours: k.

    Raises:
        InvalidValueError: k below 1.
    """

    name: ClassVar[str] = "coverage"
    reference: ClassVar[str] = (
        "M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi and J. Yoo, Reliable Fidelity and Diversity Metrics "
        "for Generative Models (2020), section 3.2"
    )
    neighbours: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours < 1:
            raise InvalidValueError("neighbours", self.neighbours, "at least 1")

    def compare(self, real: Array, synthetic: Array) -> Callable[[NDArray[np.intp]], float]:
        reach = neighbour_distances(real, self.neighbours)
        apart = squared_distances(real, synthetic)
        return lambda rows: float((apart[:, rows].min(axis=1) <= reach).mean())


@final
@dataclass(frozen=True, kw_only=True)
class AlphaPrecision(DiversityMetric):
    """Whether synthetic records lie where the real ones do: near the centre and far from it alike.

    For each of 30 shares, the ball around the mean real record that holds so many of the real ones
    is asked how many of the synthetic ones it holds: 1 less the mean difference over the mean
    share. Where real records tie, the share that they have in the ball is what is compared with.
    """

    name: ClassVar[str] = "alpha_precision"
    reference: ClassVar[str] = (
        "A. Alaa, B. van Breugel, E. Saveliev and M. van der Schaar, How Faithful is your "
        "Synthetic Data? (2022), sections 3 and 4"
    )

    def compare(self, real: Array, synthetic: Array) -> Callable[[NDArray[np.intp]], float]:
        centre = real.mean(axis=0, keepdims=True)
        here = np.sort(squared_distances(real, centre)[:, 0])
        there = squared_distances(synthetic, centre)[:, 0]
        radii = _radii(here)
        expected = np.searchsorted(here, radii, side="right") / len(here)

        def value(rows: NDArray[np.intp]) -> float:
            found = np.searchsorted(np.sort(there[rows]), radii, side="right") / len(rows)
            return 1.0 - float(np.abs(found - expected).sum() / expected.sum())

        return value


@final
@dataclass(frozen=True, kw_only=True)
class BetaRecall(DiversityMetric):
    """Whether each part of the synthetic table covers its share of the real one.

    For each of 30 shares, the ball around the mean synthetic record that holds so many of them is
    asked how many real records they cover: those whose nearest synthetic record is in the ball,
    and no farther than the nearest other real one. 1 less the mean difference over the mean share.
    A fresh sample of the same law covers about half: read it beside its reference.
    """

    name: ClassVar[str] = "beta_recall"
    reference: ClassVar[str] = (
        "A. Alaa, B. van Breugel, E. Saveliev and M. van der Schaar, How Faithful is your "
        "Synthetic Data? (2022), sections 3 and 4"
    )

    def compare(self, real: Array, synthetic: Array) -> Callable[[NDArray[np.intp]], float]:
        reach = neighbour_distances(real, 1)
        apart = squared_distances(real, synthetic)

        def value(rows: NDArray[np.intp]) -> float:
            kept = synthetic[rows]
            radius = squared_distances(kept, kept.mean(axis=0, keepdims=True))[:, 0]
            mine = apart[:, rows]
            nearest = mine.min(axis=1)
            # Of several nearest ones the innermost counts: the order of rows plays no part.
            inner = np.where(mine == nearest[:, None], radius, np.inf).min(axis=1)
            covered = np.sort(inner[nearest <= reach])
            radii = _radii(np.sort(radius))
            expected = np.searchsorted(np.sort(radius), radii, side="right") / len(rows)
            found = np.searchsorted(covered, radii, side="right") / len(real)
            return 1.0 - float(np.abs(found - expected).sum() / expected.sum())

        return value


def points(sample: Sample) -> Array:
    """Return the records as points, one row each; see `DiversityMetric`."""
    parts: list[Array] = []
    for column, codes, size in zip(
        sample.schema.columns, sample.columns, sample.sizes, strict=True
    ):
        numbers = representatives(column)
        if numbers is None:
            parts.append(np.eye(size)[codes] * np.sqrt(0.5))
            continue
        known = numbers[np.isfinite(numbers)]
        width = float(np.ptp(known)) or 1.0
        places = np.nan_to_num((numbers - known.min()) / width, nan=0.0)
        parts.append(np.stack([places, ~np.isfinite(numbers)], axis=1)[codes])
    return np.concatenate(parts, axis=1)


def squared_distances(points: Array, others: Array) -> Array:
    """Return squared Euclidean distances, of shape (points, others), in steps of 1e-6.

    Equal records are at 0 exactly, and equal distances are equal: codes tie all the time.
    """
    lengths = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    return np.maximum(np.round(lengths - 2.0 * points @ others.T, 6), 0.0)


def neighbour_distances(points: Array, k: int) -> Array:
    """Return the squared distance of each point to its k-th nearest other; infinite without."""
    if len(points) <= k:
        return np.full(len(points), np.inf)
    apart = squared_distances(points, points)
    np.fill_diagonal(apart, np.inf)
    return np.partition(apart, k - 1, axis=1)[:, k - 1]


def _radii(rising: Array) -> Array:
    """Return the least radius that holds each of `LEVELS` of the distances."""
    return rising[np.ceil(LEVELS * len(rising) - 1e-9).astype(np.intp) - 1]
