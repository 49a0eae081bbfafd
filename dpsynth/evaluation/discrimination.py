"""Whether a classifier tells synthetic records from real ones: C2ST, and pMSE with its null.

Predictions are cross-fitted: in-sample, a flexible model separates two samples of one law. Folds
are drawn, and not stratified by what records are, since an excess of a kind in every fold would be
learned in one and confirmed in another. Records are sorted first, so that nothing depends on the
order of rows or columns. Both see codes, not how values are written: classifiers that see
mid-points of bins separate anything.

Of a table that copies the real one, every kind that training has too much of is lacking in testing:
predictions are worse than chance, which counts as chance here and is the best score.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.diversity import points
from dpsynth.evaluation.intervals import roc_auc, student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample, pool
from dpsynth.evaluation.tstr import unordered

Array: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.bool_]

LARGEST_RATIO = 1000.0
"""A ratio to the null beyond this counts as this."""


@dataclass(frozen=True, kw_only=True)
class DiscriminationMetric(Metric):
    """A metric of cross-fitted predictions, on at most `most` records of either table.

    The interval covers the value over the population of records, of the models that were fitted;
    variation between fits comes on top.

    Args:
        folds: folds of cross-fitting.
        most: records that are drawn from a larger table.

    Raises:
        InvalidValueError: fewer than 2 folds or records.
    """

    higher_is_better: ClassVar[bool] = False
    reads: ClassVar[Literal["train", "holdout"]] = "train"
    folds: int = 3
    most: int = 3000

    def __post_init__(self) -> None:
        for field in ("folds", "most"):
            if getattr(self, field) < 2:
                raise InvalidValueError(field, getattr(self, field), "at least 2")

    @final
    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return self.score(real, synthetic, rng=rng).value

    def _both(
        self, real: Sample, synthetic: Sample, rng: np.random.Generator
    ) -> tuple[Sample, Labels]:
        """Return both tables' records in an order of their own, and which are synthetic."""
        first, second = (s.at_most(self.most, rng=rng) for s in (real, synthetic))
        both, order = pool(first, second), real.by_name
        made = np.arange(len(both)) >= len(first)
        rows = np.lexsort([made, *(both.codes[:, i] for i in order)])
        return both.take(rows).only(order), made[rows]


@final
@dataclass(frozen=True, kw_only=True)
class ClassifierTwoSample(DiscriminationMetric):
    """Area under the ROC curve of boosted trees that tell synthetic records from real ones.

    .5 is chance; an area below it counts as .5.

    Args:
        rounds: rounds of boosting.
    """

    name: ClassVar[str] = "c2st_auc"
    minimum: ClassVar[float] = 0.5
    maximum: ClassVar[float] = 1.0
    reference: ClassVar[str] = (
        "D. Lopez-Paz and M. Oquab, Revisiting Classifier Two-Sample Tests (2017), section 3, with "
        "the area under the curve for the accuracy; error by DeLong, see roc_auc"
    )
    rounds: int = 30

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        both, made = self._both(real, synthetic, rng)
        predicted = np.zeros(len(made))
        for train, test in _splits(made, self.folds, rng):
            predicted[test] = self._predict(both, made, train, test)
        area, error = roc_auc(predicted[made], predicted[~made])
        found = student_interval(
            area, error, freedom=float("inf"), minimum=self.minimum, maximum=self.maximum
        )
        return _at_least(self.minimum, found)

    def _predict(self, both: Sample, made: Labels, train: Labels, test: Labels) -> Array:
        from sklearn.ensemble import HistGradientBoostingClassifier

        kinds = unordered(both.schema.columns)
        # scikit-learn states types of its parameters only in part.
        chosen: dict[str, Any] = {"early_stopping": False, "categorical_features": kinds}
        trees = HistGradientBoostingClassifier(
            max_iter=self.rounds, max_leaf_nodes=15, random_state=0, **chosen
        )
        codes = both.codes.astype(np.float64)
        trees.fit(codes[train], made[train], sample_weight=_balanced(made[train]))
        return trees.decision_function(codes[test])


@final
@dataclass(frozen=True, kw_only=True)
class PropensityRatio(DiscriminationMetric):
    """pMSE over its mean under permuted labels: how far propensities are from even, beyond chance.

    pMSE is the mean of (p - 1/2)^2 over records of both tables, which weigh equally, with p from a
    cross-fitted logistic regression on single columns. 1 is what equal laws score; a ratio below
    it counts as 1. Dependence between columns is not seen: `c2st_auc` sees it.

    Args:
        permutations: of the labels, for the null.
    """

    name: ClassVar[str] = "pmse_ratio"
    minimum: ClassVar[float] = 1.0
    maximum: ClassVar[float] = LARGEST_RATIO
    reference: ClassVar[str] = (
        "J. Snoke, G. Raab, B. Nowok, C. Dibben and A. Slavkovic, General and specific utility "
        "measures for synthetic data (2018), section 2 (pMSE and its null by permutation)"
    )
    permutations: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.permutations < 1:
            raise InvalidValueError("permutations", self.permutations, "at least 1")

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        both, made = self._both(real, synthetic, rng)
        features = points(both)
        squares = self._squares(features, made, rng)
        value = float(squares @ _balanced(made)) / len(made)
        null = [
            float(np.mean(self._squares(features, label, rng) * _balanced(label)))
            for label in (rng.permutation(made) for _ in range(self.permutations))
        ]
        expected = float(np.mean(null))
        scale = 1.0 / expected if expected > 0 else 0.0  # where nothing can be fitted
        parts = [squares[made], squares[~made]]
        few = min(len(part) for part in parts) < 2
        error = np.nan if few else np.sqrt(sum(x.var(ddof=1) / len(x) / 4 for x in parts)) * scale
        found = student_interval(
            min(value * scale, self.maximum),
            float(error),
            freedom=float("inf"),
            minimum=self.minimum,
            maximum=self.maximum,
        )
        return _at_least(self.minimum, found)

    def _squares(self, features: Array, made: Labels, rng: np.random.Generator) -> Array:
        """Return (p - 1/2)^2 of each record."""
        from sklearn.linear_model import LogisticRegression

        propensity = np.full(len(made), 0.5)
        for train, test in _splits(made, self.folds, rng):
            model = LogisticRegression(max_iter=200)
            model.fit(features[train], made[train], sample_weight=_balanced(made[train]))
            propensity[test] = model.predict_proba(features[test])[:, 1]
        return (propensity - 0.5) ** 2


def _splits(made: Labels, folds: int, rng: np.random.Generator) -> list[tuple[Labels, Labels]]:
    """Return (training, test) masks of random folds, of those that both labels train."""
    fold = rng.permutation(len(made)) % folds
    found: list[tuple[Labels, Labels]] = []
    for test in (fold == f for f in np.unique(fold)):
        seen = made[~test]
        if seen.any() and not seen.all():
            found.append((~test, test))
    return found


def _balanced(made: Labels) -> Array:
    """Return weights of mean 1 under which both labels weigh equally."""
    share = made.mean()
    return np.where(made, 0.5 / share, 0.5 / (1.0 - share))


def _at_least(chance: float, score: Score) -> Score:
    """Return the score with what is worse than chance set to chance."""
    return Score(
        value=max(score.value, chance),
        lower=max(score.lower, chance),
        upper=max(score.upper, chance),
    )
