"""Train on synthetic records, test on real records that no generator saw."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import auc_score, roc_auc
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target


@dataclass(frozen=True, kw_only=True)
class PredictionMetric(Metric):
    """A metric of predictions of one column of real records, learned from synthetic ones.

    Every test record counts, whatever the generator lost. Features are the codes of all columns but
    the target's, so bins are part of the metric. The reference on real data is the score of the
    training table itself ("train on real, test on real"), which is the ceiling. The interval covers
    the score, over the population of test records, of the model that was fitted; variation between
    fits comes on top.

    Args:
        target: the column to predict and what counts as positive.
    """

    higher_is_better: ClassVar[bool] = True
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    reads: ClassVar[Literal["train", "holdout"]] = "holdout"
    target: "Target"


@dataclass(frozen=True, kw_only=True)
class AreaMetric(PredictionMetric):
    """Area under the ROC curve of a classifier of the target's label.

    When one class is absent from the synthetic table, the classifier is constant and its area is
    .5. A test split with one class has no area, and is refused.
    """

    @abstractmethod
    def predict(
        self, synthetic: Sample, label: NDArray[np.bool_], real: Sample, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return a number for each real record that grows with the probability of the label.

        Args:
            synthetic: records to learn from.
            label: theirs; both occur.
            real: records to predict.
            rng: source of the fit's randomness.
        """

    @final
    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return roc_auc(*self.predictions(real, synthetic, rng))[0]

    @final
    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        return auc_score(*self.predictions(real, synthetic, rng))

    @final
    def predictions(
        self, real: Sample, synthetic: Sample, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the predictions for the positive and for the negative test records.

        Raises:
            InvalidValueError: test records of one class.
        """
        truth, learned = labels_of(real), labels_of(synthetic)
        if truth.all() or not truth.any():
            rule = f"a test split with both classes of {self.target.column!r}"
            raise InvalidValueError("holdout", "one class", rule)
        if learned.all() or not learned.any() or not features_of(real, self.target):
            predicted = np.zeros(len(real))
        else:
            predicted = self.predict(synthetic, learned, real, rng)
        return predicted[truth], predicted[~truth]


@final
@dataclass(frozen=True, kw_only=True)
class TstrAuc(AreaMetric):
    """Area under the ROC curve, on real test records, of boosted trees fitted to synthetic ones.

    Args:
        rounds: rounds of boosting.

    Raises:
        InvalidValueError: `rounds` below 1.
    """

    name: ClassVar[str] = "tstr_auc"
    reference: ClassVar[str] = (
        "C. Esteban, S. Hyland and G. Raetsch, Real-valued (Medical) Time Series Generation with "
        "Recurrent Conditional GANs (2017), section 4.1; interval: see auc_score"
    )
    rounds: int = 60

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InvalidValueError("rounds", self.rounds, "at least 1")

    def predict(
        self, synthetic: Sample, label: NDArray[np.bool_], real: Sample, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        from sklearn.ensemble import HistGradientBoostingClassifier

        chosen = features_of(real, self.target)
        settings = boosting(real, chosen, rounds=self.rounds, rng=rng)
        classifier = HistGradientBoostingClassifier(**settings)
        classifier.fit(synthetic.codes[:, chosen].astype(np.float64), label)
        return classifier.decision_function(real.codes[:, chosen].astype(np.float64))


def features_of(sample: Sample, target: "Target") -> list[int]:
    """Return the positions of all columns but the target's."""
    return [i for i, name in enumerate(sample.schema.names) if name != target.column]


def boosting(
    sample: Sample, chosen: list[int], *, rounds: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the settings of boosted trees on the codes of the chosen columns."""
    return {
        "max_iter": rounds,
        "early_stopping": False,
        "categorical_features": unordered(sample.schema.columns[i] for i in chosen),
        "random_state": int(rng.integers(2**31)),
    }


def labels_of(sample: Sample) -> NDArray[np.bool_]:
    """Return the label of each record.

    Raises:
        InvalidValueError: the sample was made without a target.
    """
    if sample.labels is None:
        raise InvalidValueError("sample", None, "labelled by the metric's target")
    return sample.labels


def unordered(columns: Iterable[Column]) -> list[bool]:
    """Return which columns boosted trees take for categories, the others being numbers.

    They take at most 255 categories; beyond, codes are treated as numbers.
    """
    return [isinstance(column, CategoricalColumn) and column.size <= 255 for column in columns]
