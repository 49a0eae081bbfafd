"""Areas under the ROC curve of other classifiers than boosted trees: logistic, and a forest."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.diversity import points
from dpsynth.evaluation.sample import Sample
from dpsynth.evaluation.tstr import AreaMetric, features_of


@final
@dataclass(frozen=True, kw_only=True)
class TstrLogisticAuc(AreaMetric):
    """As `tstr_auc`, of a logistic regression: indicators of categories, numbers over their range.

    Args:
        strength: inverse of the ridge penalty, above 0.

    Raises:
        InvalidValueError: a strength of 0 or less.
    """

    name: ClassVar[str] = "tstr_logistic_auc"
    reference: ClassVar[str] = (
        "C. Esteban, S. Hyland and G. Raetsch (2017), section 4.1, with the classifier of D. Cox, "
        "The regression analysis of binary sequences (1958)"
    )
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise InvalidValueError("strength", self.strength, "above 0")

    def predict(
        self,
        synthetic: Sample,
        label: NDArray[np.bool_],
        real: Sample,
        rng: np.random.Generator,  # noqa: ARG002 - the fit has one optimum
    ) -> NDArray[np.float64]:
        from sklearn.linear_model import LogisticRegression

        chosen = features_of(real, self.target)
        model = LogisticRegression(C=self.strength, max_iter=500)
        model.fit(points(synthetic.only(chosen)), label)
        return model.decision_function(points(real.only(chosen)))


@final
@dataclass(frozen=True, kw_only=True)
class TstrForestAuc(AreaMetric):
    """As `tstr_auc`, of a random forest on the codes.

    Args:
        trees: how many.

    Raises:
        InvalidValueError: no tree.
    """

    name: ClassVar[str] = "tstr_forest_auc"
    reference: ClassVar[str] = (
        "C. Esteban, S. Hyland and G. Raetsch (2017), section 4.1, with the classifier of "
        "L. Breiman, Random Forests (2001)"
    )
    trees: int = 50

    def __post_init__(self) -> None:
        if self.trees < 1:
            raise InvalidValueError("trees", self.trees, "at least 1")

    def predict(
        self, synthetic: Sample, label: NDArray[np.bool_], real: Sample, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        from sklearn.ensemble import RandomForestClassifier

        chosen = features_of(real, self.target)
        forest = RandomForestClassifier(
            n_estimators=self.trees, min_samples_leaf=5, random_state=int(rng.integers(2**31))
        )
        forest.fit(synthetic.codes[:, chosen], label)
        return np.asarray(forest.predict_proba(real.codes[:, chosen]))[:, 1]
