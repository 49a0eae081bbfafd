"""Wasserstein distances of single columns and of pairs: how far mass has to move, not only whether.

A number lies at its bin's mid-point over the range of mid-points, a missing one a whole range below
the least; two categories are 1 apart. Bins are therefore part of the metric.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal, final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import Column
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.contingency import DENSE_CELLS
from dpsynth.evaluation.intervals import influence_error, student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample, representatives

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TransportMetric(Metric):
    """A mean of distances, each with the potential that a synthetic record has in it.

    The interval covers the expected score of a fresh synthetic table of the same size from the same
    model. A distance's derivative by the synthetic law is its Kantorovich potential, from which the
    infinitesimal jackknife follows.
    """

    higher_is_better: ClassVar[bool] = False
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 2.0
    reads: ClassVar[Literal["train", "holdout"]] = "train"

    @abstractmethod
    def distances(self, real: Sample, synthetic: Sample) -> Iterator[tuple[float, Array]]:
        """Yield each distance, and its potential at each synthetic record."""

    @final
    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return self.score(real, synthetic, rng=rng).value

    @final
    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:  # noqa: ARG002
        found: list[float] = []
        influence = np.zeros(len(synthetic))
        for distance, potential in self.distances(real, synthetic):
            found.append(distance)
            influence += potential
        if not found:  # a single column has no pair
            return Score(value=0.0, lower=0.0, upper=0.0)
        return student_interval(
            min(float(np.mean(found)), self.maximum),
            influence_error(influence / len(found)),
            freedom=max(len(synthetic) - 1, 1),
            minimum=self.minimum,
            maximum=self.maximum,
        )


@final
@dataclass(frozen=True, kw_only=True)
class OneWayWasserstein(TransportMetric):
    """Mean Wasserstein-1 distance of single columns; of categories it is the total variation."""

    name: ClassVar[str] = "wasserstein_1way"
    reference: ClassVar[str] = (
        "C. Villani, Optimal Transport: Old and New (2009), definition 6.1 and theorem 5.10 "
        "(duality); on a line the area between the distribution functions"
    )

    def distances(self, real: Sample, synthetic: Sample) -> Iterator[tuple[float, Array]]:
        for i, column in enumerate(real.schema.columns):
            p, q = (
                np.bincount(s.columns[i], minlength=s.sizes[i]) / len(s) for s in (real, synthetic)
            )
            places = _places(column)
            if places is None:
                distance, potential = 0.5 * float(np.abs(p - q).sum()), 0.5 * np.sign(q - p)
            else:
                distance, potential = line_transport(p, q, places)
            yield distance, potential[synthetic.columns[i]]


@final
@dataclass(frozen=True, kw_only=True)
class TwoWayWasserstein(TransportMetric):
    """Mean sliced Wasserstein-1 distance of pairs of columns.

    A pair is a point (a category an indicator divided by the root of 2), seen along random
    directions; along each, the distance is exact. At most `limit` pairs, evenly spread, are seen.

    Args:
        directions: random directions a pair.
        seed: of the directions, which follow from it and the columns' names.
        limit: most pairs.

    Raises:
        InvalidValueError: no direction, no pair or a negative seed.
    """

    name: ClassVar[str] = "wasserstein_2way"
    reference: ClassVar[str] = (
        "N. Bonneel, J. Rabin, G. Peyre and H. Pfister, Sliced and Radon Wasserstein Barycenters "
        "of Measures (2015), section 3.1, with the first power of the distance"
    )
    directions: int = 8
    seed: int = 0
    limit: int = 200

    def __post_init__(self) -> None:
        for field, least in (("directions", 1), ("limit", 1), ("seed", 0)):
            if getattr(self, field) < least:
                raise InvalidValueError(field, getattr(self, field), f"at least {least}")

    def distances(self, real: Sample, synthetic: Sample) -> Iterator[tuple[float, Array]]:
        seen = [self._seen(column) for column in real.schema.columns]
        for i, j in self._pairs(real):
            size = real.sizes[j]
            first, second = (s.columns[i] * size + s.columns[j] for s in (real, synthetic))
            cells, first, second = _occupied(first, second, real.sizes[i] * size)
            p, q = (np.bincount(x, minlength=cells.size) / len(x) for x in (first, second))
            places = seen[i][0][cells // size] + seen[j][0][cells % size]
            places /= np.sqrt(seen[i][1] + seen[j][1])
            found = [line_transport(p, q, along) for along in places.T]
            mean = np.mean([potential for _, potential in found], axis=0)
            yield float(np.mean([d for d, _ in found])), mean[second]

    def _pairs(self, sample: Sample) -> list[tuple[int, int]]:
        """Return the pairs to see; which they are does not depend on the order of columns."""
        pairs = list(combinations(sample.by_name, 2))
        chosen = np.linspace(0, len(pairs) - 1, min(len(pairs), self.limit)).astype(int)
        return [pairs[k] for k in chosen]

    def _seen(self, column: Column) -> tuple[Array, Array]:
        """Return where each code lies along each direction, and the squared lengths of these."""
        rng = np.random.Generator(np.random.PCG64([self.seed, crc32(column.name.encode())]))
        places = _places(column)
        if places is None:
            gaussian = rng.normal(size=(column.size, self.directions))
            return gaussian * np.sqrt(0.5), (gaussian**2).sum(axis=0)
        gaussian = rng.normal(size=self.directions)
        return places[:, None] * gaussian, gaussian**2


def _occupied(
    first: NDArray[np.intp], second: NDArray[np.intp], cells: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells that occur, in order, and each record's place among them."""
    if cells > max(DENSE_CELLS, len(first) + len(second)):
        found, place = np.unique(np.concatenate([first, second]), return_inverse=True)
        return found, place[: len(first)], place[len(first) :]
    there = np.zeros(cells, dtype=np.bool_)
    there[first] = there[second] = True
    place = np.cumsum(there) - 1
    return np.flatnonzero(there), place[first], place[second]


def line_transport(p: Array, q: Array, places: Array) -> tuple[float, Array]:
    """Return the Wasserstein-1 distance of two laws on a line, and its derivative by `q`.

    Args:
        p, q: probability of each atom, both sum to one.
        places: where the atoms lie, in any order.
    """
    order = np.argsort(places, kind="stable")
    gaps = np.diff(places[order])
    excess = np.cumsum((q - p)[order])[:-1]
    excess[np.abs(excess) < 1e-12] = 0.0  # what rounding leaves of equal sums
    potential = np.zeros(len(places))
    slope = np.sign(excess) * gaps
    potential[order] = np.append(np.cumsum(slope[::-1])[::-1], 0.0)
    return float(np.abs(excess) @ gaps), potential


def _places(column: Column) -> Array | None:
    numbers = representatives(column)
    if numbers is None:
        return None
    known = numbers[np.isfinite(numbers)]
    width = float(np.ptp(known)) or 1.0
    return np.nan_to_num((numbers - known.min()) / width, nan=-1.0)
