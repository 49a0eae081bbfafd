"""Total variation of 1-, 2- and 3-way marginals, and the workload error of AIM.

The interval of each covers the expected score of a fresh synthetic table of the same number of rows
from the same model, against this training table. A total variation distance between samples is
biased upwards, by an amount that the sizes set; the bias is in the score, in the interval and in
the references alike, so compare a score with its references and never with zero. Variation between
fits and seeds comes on top: it is the business of whoever repeats the fit.

The error is the infinitesimal jackknife's. It is too large rather than too small where the two laws
are nearly equal: there a difference is noise, and its absolute value spreads .60 times as much.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.contingency import choose_sets, frequencies
from dpsynth.evaluation.intervals import influence_error, student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample


@dataclass(frozen=True, kw_only=True)
class MarginalMetric(Metric):
    """A summary of the total variation distances over sets of `ways` columns.

    Args:
        limit: most sets; beyond it, a sample of them.
        seed: seed of that sample; part of the identity.

    Raises:
        InvalidValueError: `limit` below 1, or `seed` below 0.
    """

    ways: ClassVar[int]
    higher_is_better: ClassVar[bool] = False
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    reads: ClassVar[Literal["train", "holdout"]] = "train"
    limit: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise InvalidValueError("limit", self.limit, "at least 1")
        if self.seed < 0:
            raise InvalidValueError("seed", self.seed, "at least 0")

    @abstractmethod
    def summary(self, distances: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the value and its derivative by each distance (a subgradient where not smooth)."""

    @final
    def distances(self, real: Sample, synthetic: Sample) -> NDArray[np.float64]:
        """Return the total variation distance of each set, .5 sum abs(p - q), in order."""
        return _distances(real, synthetic, self.ways, self.limit, self.seed)

    @final
    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:  # noqa: ARG002
        return self.summary(self.distances(real, synthetic))[0]

    @final
    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:  # noqa: ARG002
        value, weights = self.summary(self.distances(real, synthetic))
        used = [(s, w) for s, w in zip(self._sets(real), weights, strict=True) if w != 0]
        influence = np.zeros(len(synthetic))
        tables = frequencies(real, synthetic, [s for s, _ in used])
        for (p, q, cell), (_, weight) in zip(tables, used, strict=True):
            influence += 0.5 * weight * np.sign(q - p)[cell]
        return student_interval(
            value,
            influence_error(influence),
            freedom=max(len(synthetic) - 1, 1),
            minimum=self.minimum,
            maximum=self.maximum,
        )

    def _sets(self, sample: Sample) -> list[tuple[int, ...]]:
        return choose_sets(len(sample.sizes), self.ways, limit=self.limit, seed=self.seed)


# Samples are equal to themselves only. Eight metrics read three kinds of distances.
@lru_cache(maxsize=4)
def _distances(
    real: Sample, synthetic: Sample, ways: int, limit: int, seed: int
) -> NDArray[np.float64]:
    tables = frequencies(
        real, synthetic, choose_sets(len(real.sizes), ways, limit=limit, seed=seed)
    )
    # Rounding may carry the sum beyond one.
    found = np.array([min(0.5 * np.abs(p - q).sum(), 1.0) for p, q, _ in tables])
    found.flags.writeable = False
    return found


@dataclass(frozen=True, kw_only=True)
class MeanTvd(MarginalMetric):
    """The mean distance over the sets."""

    reference: ClassVar[str] = (
        "Total variation distance of marginals, mean over attribute sets: Y. Tao, R. McKenna, "
        "M. Hay, A. Machanavajjhala and G. Miklau, Benchmarking Differentially Private Synthetic "
        "Data Generation Algorithms (2022), section 4"
    )

    @final
    def summary(self, distances: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return float(distances.mean()), np.full(len(distances), 1 / len(distances))


@dataclass(frozen=True, kw_only=True)
class MaxTvd(MarginalMetric):
    """The largest distance over the sets; its error is that of the set where it is attained."""

    reference: ClassVar[str] = (
        "Total variation distance of marginals, maximum over attribute sets: the workload's "
        "worst query, as in M. Hardt, K. Ligett and F. McSherry, A Simple and Practical Algorithm "
        "for Differentially Private Data Release (2012), section 2"
    )

    @final
    def summary(self, distances: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        worst = int(distances.argmax())
        return float(distances[worst]), np.arange(len(distances)) == worst


@final
@dataclass(frozen=True, kw_only=True)
class OneWayTvd(MeanTvd):
    """Mean total variation distance of single columns."""

    name: ClassVar[str] = "tvd_1way"
    ways: ClassVar[int] = 1


@final
@dataclass(frozen=True, kw_only=True)
class TwoWayTvd(MeanTvd):
    """Mean total variation distance of pairs of columns."""

    name: ClassVar[str] = "tvd_2way"
    ways: ClassVar[int] = 2


@final
@dataclass(frozen=True, kw_only=True)
class ThreeWayTvd(MeanTvd):
    """Mean total variation distance of triples of columns."""

    name: ClassVar[str] = "tvd_3way"
    ways: ClassVar[int] = 3


@final
@dataclass(frozen=True, kw_only=True)
class OneWayTvdMax(MaxTvd):
    """Largest total variation distance of a single column."""

    name: ClassVar[str] = "tvd_1way_max"
    ways: ClassVar[int] = 1


@final
@dataclass(frozen=True, kw_only=True)
class TwoWayTvdMax(MaxTvd):
    """Largest total variation distance of a pair of columns."""

    name: ClassVar[str] = "tvd_2way_max"
    ways: ClassVar[int] = 2


@final
@dataclass(frozen=True, kw_only=True)
class ThreeWayTvdMax(MaxTvd):
    """Largest total variation distance of a triple of columns."""

    name: ClassVar[str] = "tvd_3way_max"
    ways: ClassVar[int] = 3


@final
@dataclass(frozen=True, kw_only=True)
class WorkloadError(MarginalMetric):
    """Mean L1 distance of normalised 3-way marginals: AIM's error under its ALL-3WAY workload.

    With the default limit of all triples it is twice `tvd_3way`; it is kept beside it because
    published numbers are in this unit.
    """

    name: ClassVar[str] = "workload_error"
    ways: ClassVar[int] = 3
    maximum: ClassVar[float] = 2.0
    reference: ClassVar[str] = (
        "R. McKenna, B. Mullins, D. Sheldon and G. Miklau, AIM: An Adaptive and Iterative "
        "Mechanism for Differentially Private Synthetic Data (2022), definition 1 and section 6, "
        "each marginal normalised by its own number of records"
    )

    def summary(self, distances: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return 2 * float(distances.mean()), np.full(len(distances), 2 / len(distances))


@final
@dataclass(frozen=True, kw_only=True)
class KMarginal(MarginalMetric):
    """NIST's k-marginal score: 500 times (2 - the mean L1 distance of 3-way marginals).

    1,000 is best. It is 1,000 (1 - `tvd_3way`) over the same triples, and kept because published
    numbers are in this unit. Triples are drawn with a seed and without replacement.
    """

    name: ClassVar[str] = "k_marginal"
    ways: ClassVar[int] = 3
    higher_is_better: ClassVar[bool] = True
    maximum: ClassVar[float] = 1000.0
    reference: ClassVar[str] = (
        "D. Ridgeway, M. Theofanos, T. Manley and C. Task, Challenge Design and Lessons Learned "
        "from the 2018 Differential Privacy Challenges, NIST Technical Note 2151 (2021), k-marginal"
    )

    def summary(self, distances: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mean = 1000 * (1 - float(distances.mean()))
        return mean, np.full(len(distances), -1000 / len(distances))
