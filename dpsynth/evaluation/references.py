"""What a score means: the score of a same-size real hold-out, and of noise-free independence.

A bare distance means nothing: at 500 rows and 1,000 cells two samples of one law are .4 apart. The
references depend on the real data alone, so they are computed once and serve every synthetic table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import UnknownNameError
from dpsynth.evaluation.intervals import student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample, check_same_columns, pool

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table

SPLITS = 8


@final
@dataclass(frozen=True, kw_only=True)
class SameLaw:
    """How far two real samples of one law are from the best score, depending on their size.

    A hold-out is usually smaller than a synthetic table, and small samples are farther apart, so
    its bare score would flatter every generator. Random disjoint samples of all real records, as
    large as there are records for, come nearest to the size wanted; a power law, through their
    scores and those of samples a quarter as large, reaches it.

    Args:
        train_rows: rows of the training table.
        size: rows of each of the two samples compared.
        mean: mean distance of the score from the best one, at that size.
        deviation: standard deviation of a score at that size.
        exponent: growth of that distance with the size: -1/2 where cells are well filled, nearer
            to 0 where they are sparse.
    """

    train_rows: int
    size: int
    mean: float
    deviation: float
    exponent: float

    def at(self, rows: int, metric: Metric) -> Score:
        """Return what a fresh real sample of `rows` rows scores against the training table.

        Returns:
            The expected score; the interval covers the score of one such sample.
        """
        factor = (_harmonic_mean(self.train_rows, rows) / self.size) ** self.exponent
        reach = min(self.mean * factor, metric.maximum - metric.minimum)
        return student_interval(
            metric.best - reach if metric.higher_is_better else metric.best + reach,
            self.deviation * factor * sqrt(1 + 1 / SPLITS),
            freedom=SPLITS - 1,
            minimum=metric.minimum,
            maximum=metric.maximum,
        )


@final
@dataclass(frozen=True, kw_only=True)
class References:
    """The references of some metrics on one train/hold-out split; made by `compute`, kept, reused.

    Args:
        same_law: identity of a metric that reads the training table -> its hold-out score by size.
        ceiling: identity of a metric that reads the hold-out -> score of the training table.
        independent: identity of a metric -> score of the training table's permuted columns.
    """

    same_law: Mapping[str, SameLaw]
    ceiling: Mapping[str, Score]
    independent: Mapping[str, Score]

    @classmethod
    def compute(
        cls,
        train: "Table",
        holdout: "Table",
        *,
        metrics: Sequence[Metric],
        rng: np.random.Generator,
        target: "Target | None" = None,
        rows: int | None = None,
    ) -> "References":
        """Return the references of `metrics`.

        Args:
            train: what generators are fitted to.
            holdout: real records that no generator sees.
            metrics: the metrics.
            rng: source of splits and permutations.
            target: the target of the metrics that have one.
            rows: expected rows of synthetic tables; as many as the training table's by default.

        Raises:
            InvalidValueError: the tables have different columns.
        """
        real, fresh = Sample.of(train, target=target), Sample.of(holdout, target=target)
        check_same_columns(real, fresh)
        floor = real.independent(rng=rng, target=None if target is None else target.column)
        distant = [metric for metric in metrics if metric.reads == "train"]
        same_law = _same_laws(distant, real, fresh, rows=rows or len(real), rng=rng)
        ceiling: dict[str, Score] = {}
        independent: dict[str, Score] = {}
        for metric in metrics:
            key = metric.identity
            if metric.reads == "train":
                independent[key] = metric.score(real, floor, rng=rng)
            else:
                seen = real.draw(rows or len(real), rng=rng)
                ceiling[key] = metric.score(fresh, seen, rng=rng)
                independent[key] = metric.score(fresh, floor, rng=rng)
        return cls(same_law=same_law, ceiling=ceiling, independent=independent)

    def holdout(self, metric: Metric, rows: int) -> Score:
        """Return what real data that the generator did not see would score in `rows` rows.

        Raises:
            UnknownNameError: the references were computed without this metric.
        """
        key = metric.identity
        if key in self.same_law:
            return self.same_law[key].at(rows, metric)
        if key in self.ceiling:
            return self.ceiling[key]
        raise UnknownNameError("metric of the references", key, self.independent)


def _harmonic_mean(first: int, second: int) -> float:
    """Return the size at which two equal samples vary as much as samples of these two sizes."""
    return 2 / (1 / first + 1 / second)


def _same_laws(
    metrics: Sequence[Metric],
    train: Sample,
    holdout: Sample,
    *,
    rows: int,
    rng: np.random.Generator,
) -> dict[str, SameLaw]:
    """Return how each metric's distance from its best score depends on size; identity -> law."""
    everything = pool(train, holdout)
    # The size wanted where there are real records enough, else the nearest that there are.
    size = max(min(round(_harmonic_mean(len(train), rows)), len(everything) // 2), 1)
    small = max(size // 4, 1)
    large = _split_distances(metrics, everything, size, rng)
    coarse = _split_distances(metrics, everything, small, rng)
    found: dict[str, SameLaw] = {}
    for metric, apart, wide in zip(metrics, large, coarse, strict=True):
        exponent = -0.5
        if apart.mean() > 0 and wide.mean() > 0 and small < size:
            slope = log(apart.mean() / wide.mean()) / log(size / small)
            exponent = min(max(slope, -1.0), 0.0)
        found[metric.identity] = SameLaw(
            train_rows=len(train),
            size=size,
            mean=float(apart.mean()),
            deviation=float(apart.std(ddof=1)),
            exponent=exponent,
        )
    return found


def _split_distances(
    metrics: Sequence[Metric], everything: Sample, size: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how far from the best each split scores, of shape (metrics, splits).

    All metrics score the same splits, so that those which compare the same marginals count once.
    """
    apart = np.empty((len(metrics), SPLITS))
    for i in range(SPLITS):
        order = rng.permutation(len(everything))
        first, second = everything.take(order[:size]), everything.take(order[size : 2 * size])
        for found, metric in zip(apart, metrics, strict=True):
            found[i] = abs(metric.value(first, second, rng=rng) - metric.best)
    return apart
