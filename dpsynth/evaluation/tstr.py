"""Train on synthetic records, test on real records that no generator saw."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import auc_score, roc_auc
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target


@final
@dataclass(frozen=True, kw_only=True)
class TstrAuc(Metric):
    """Area under the ROC curve, on real test records, of boosted trees fitted to synthetic ones.

    Every test record counts, whatever the generator lost: when one class is absent from the
    synthetic table, the classifier is constant and its area is .5. Features are the codes of all
    columns but the target's, so bins are part of the metric. Its reference on real data is the
    score of the training table itself ("train on real, test on real"), which is the ceiling.

    The interval covers the area, over the population of test records, of the classifier that was
    fitted; variation between fits comes on top. A test split with one class has no area, and is
    refused.

    Args:
        target: the column to predict and what counts as positive.
        rounds: rounds of boosting.

    Raises:
        InvalidValueError: `rounds` below 1.
    """

    name: ClassVar[str] = "tstr_auc"
    higher_is_better: ClassVar[bool] = True
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    reads: ClassVar[Literal["train", "holdout"]] = "holdout"
    reference: ClassVar[str] = (
        "C. Esteban, S. Hyland and G. Raetsch, Real-valued (Medical) Time Series Generation with "
        "Recurrent Conditional GANs (2017), section 4.1; interval: see auc_score"
    )
    target: "Target"
    rounds: int = 60

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise InvalidValueError("rounds", self.rounds, "at least 1")

    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return roc_auc(*self._predictions(real, synthetic, rng))[0]

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        return auc_score(*self._predictions(real, synthetic, rng))

    def _predictions(
        self, real: Sample, synthetic: Sample, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the predictions for the positive and for the negative test records."""
        truth = _labels(real)
        if truth.all() or not truth.any():
            rule = f"a test split with both classes of {self.target.column!r}"
            raise InvalidValueError("holdout", "one class", rule)
        predicted = self._predict(real, synthetic, _labels(synthetic), rng)
        return predicted[truth], predicted[~truth]

    def _predict(
        self,
        real: Sample,
        synthetic: Sample,
        learned: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Return the fitted probability (or its logit) of the positive class for real records."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        chosen = [i for i, name in enumerate(real.schema.names) if name != self.target.column]
        if learned.all() or not learned.any() or not chosen:
            return np.zeros(len(real))
        settings: dict[str, Any] = {
            "max_iter": self.rounds,
            "early_stopping": False,
            "categorical_features": _categorical(real, chosen),
            "random_state": int(rng.integers(2**31)),
        }
        classifier = HistGradientBoostingClassifier(**settings)
        classifier.fit(synthetic.codes[:, chosen].astype(np.float64), learned)
        return classifier.decision_function(real.codes[:, chosen].astype(np.float64))


def _labels(sample: Sample) -> NDArray[np.bool_]:
    if sample.labels is None:
        raise InvalidValueError("sample", None, "labelled by the metric's target")
    return sample.labels


def _categorical(sample: Sample, chosen: list[int]) -> list[bool]:
    # The trees take at most 255 categories; beyond, codes are treated as numbers.
    columns = sample.schema.columns
    return [isinstance(columns[i], CategoricalColumn) and columns[i].size <= 255 for i in chosen]
