"""Prediction of classes and of numbers: macro-F1 and R2 of boosted trees fitted to synthetic."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import jackknife_error, student_interval
from dpsynth.evaluation.metric import Score
from dpsynth.evaluation.sample import Sample, representatives
from dpsynth.evaluation.tstr import PredictionMetric, boosting, features_of, labels_of

Array: TypeAlias = NDArray[np.float64]
GROUPS = 20


@final
@dataclass(frozen=True, kw_only=True)
class TstrMacroF1(PredictionMetric):
    """Mean F1 over the classes of the test records, each weighing the same.

    A categorical target's classes are its categories (and missing), a numeric one's are its labels.
    A class that the synthetic table lacks is predicted of nobody, and its F1 is 0.

    Args:
        rounds: rounds of boosting.

    Raises:
        InvalidValueError: `rounds` below 1.
    """

    name: ClassVar[str] = "tstr_macro_f1"
    reference: ClassVar[str] = (
        "C. van Rijsbergen, Information Retrieval (1979), chapter 7; macro average: D. Lewis, "
        "Evaluating text categorization (1991). Error: jackknife over test records"
    )
    rounds: int = 40

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InvalidValueError("rounds", self.rounds, "at least 1")

    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return self.score(real, synthetic, rng=rng).value

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        truth, learned = self._classes(real), self._classes(synthetic)
        chosen = features_of(real, self.target)
        seen = np.unique(learned)
        if len(seen) == 1 or not chosen:
            values, counts = np.unique(learned, return_counts=True)
            predicted = np.full(len(truth), values[counts.argmax()])
        else:
            predicted = self._predict(real, synthetic, learned, chosen, rng)
        return _judged(lambda rows: _macro_f1(truth[rows], predicted[rows]), len(truth), self, rng)

    def _classes(self, sample: Sample) -> NDArray[np.intp]:
        position = sample.schema.names.index(self.target.column)
        if isinstance(sample.schema.columns[position], CategoricalColumn):
            return sample.columns[position]
        return labels_of(sample).astype(np.intp)

    def _predict(
        self,
        real: Sample,
        synthetic: Sample,
        learned: NDArray[np.intp],
        chosen: list[int],
        rng: np.random.Generator,
    ) -> NDArray[np.intp]:
        from sklearn.ensemble import HistGradientBoostingClassifier

        settings = boosting(real, chosen, rounds=self.rounds, rng=rng)
        trees = HistGradientBoostingClassifier(**settings)
        trees.fit(synthetic.codes[:, chosen].astype(np.float64), learned)
        return trees.predict(real.codes[:, chosen].astype(np.float64))


@final
@dataclass(frozen=True, kw_only=True)
class TstrR2(PredictionMetric):
    """Coefficient of determination: 1 less the squared error over that of the test records' mean.

    What is predicted of a numeric target is its bins' mid-point, where it is not missing; of a
    categorical one its label, 0 or 1. Below -1 it counts as -1. Where test records do not vary it
    is 0.

    Args:
        rounds: rounds of boosting.

    Raises:
        InvalidValueError: `rounds` below 1.
    """

    name: ClassVar[str] = "tstr_r2"
    minimum: ClassVar[float] = -1.0
    reference: ClassVar[str] = (
        "S. Wright, Correlation and causation (1921), coefficient of determination; of a label it "
        "is the skill score of G. Brier (1950). Error: jackknife over test records"
    )
    rounds: int = 60

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InvalidValueError("rounds", self.rounds, "at least 1")

    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return self.score(real, synthetic, rng=rng).value

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        truth, learned = self._numbers(real), self._numbers(synthetic)
        test, known = np.isfinite(truth), np.isfinite(learned)
        if not test.any():
            return Score(value=0.0, lower=self.minimum, upper=self.maximum)
        chosen = features_of(real, self.target)
        predicted = np.full(int(test.sum()), learned[known].mean() if known.any() else 0.0)
        if known.sum() > 1 and chosen and np.ptp(learned[known]) > 0:
            predicted = self._predict(
                real.take(np.flatnonzero(test)),
                synthetic.take(np.flatnonzero(known)),
                learned[known],
                chosen,
                rng,
            )
        truth = truth[test]
        return _judged(lambda rows: _r2(truth[rows], predicted[rows]), len(truth), self, rng)

    def _numbers(self, sample: Sample) -> Array:
        position = sample.schema.names.index(self.target.column)
        numbers = representatives(sample.schema.columns[position])
        if numbers is None:
            return labels_of(sample).astype(np.float64)
        return numbers[sample.columns[position]]

    def _predict(
        self,
        real: Sample,
        synthetic: Sample,
        learned: Array,
        chosen: list[int],
        rng: np.random.Generator,
    ) -> Array:
        from sklearn.ensemble import HistGradientBoostingRegressor

        settings = boosting(real, chosen, rounds=self.rounds, rng=rng)
        trees = HistGradientBoostingRegressor(**settings)
        trees.fit(synthetic.codes[:, chosen].astype(np.float64), learned)
        return trees.predict(real.codes[:, chosen].astype(np.float64))


def _judged(
    statistic: Callable[[NDArray[np.intp]], float],
    n: int,
    metric: PredictionMetric,
    rng: np.random.Generator,
) -> Score:
    """Return a statistic of all test records, with its jackknife interval."""
    return student_interval(
        statistic(np.arange(n)),
        jackknife_error(statistic, n, groups=GROUPS, rng=rng),
        freedom=max(min(GROUPS, n) - 1, 1),
        minimum=metric.minimum,
        maximum=metric.maximum,
    )


def _macro_f1(truth: NDArray[np.intp], predicted: NDArray[np.intp]) -> float:
    size = int(max(truth.max(), predicted.max())) + 1
    hits = np.bincount(truth[truth == predicted], minlength=size)
    there, said = np.bincount(truth, minlength=size), np.bincount(predicted, minlength=size)
    return float((2 * hits / np.maximum(there + said, 1))[there > 0].mean())


def _r2(truth: Array, predicted: Array) -> float:
    total = float(((truth - truth.mean()) ** 2).sum())
    return max(1 - float(((truth - predicted) ** 2).sum()) / total, -1.0) if total > 0 else 0.0
