"""How many rare events a classifier finds that raises few false alarms, and learned from copies."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.metric import CONFIDENCE, Score
from dpsynth.evaluation.sample import Sample
from dpsynth.evaluation.tstr import PredictionMetric, TstrAuc


@final
@dataclass(frozen=True, kw_only=True)
class TstrRecall(PredictionMetric):
    """Share of positive real records found by the trees of `tstr_auc` at few false alarms.

    It is the height of the ROC curve at `false_positive_rate`; between two thresholds records are
    flagged at random, so that a classifier which knows nothing recalls as much as it alarms.

    The interval is exact and wide: the threshold is known to lie between two order statistics of
    the negative test records, and the recall at either end is a binomial share, each with half of
    the error (Bonferroni).

    Args:
        false_positive_rate: share of negative records that may be flagged; above 0 and below 1.
        rounds: rounds of boosting.

    Raises:
        InvalidValueError: a parameter out of its range.
    """

    name: ClassVar[str] = "tstr_recall"
    reference: ClassVar[str] = (
        "M. Pepe, The Statistical Evaluation of Medical Tests for Classification and Prediction "
        "(2003), section 4.2 (ROC(t)); order statistics: H. David and H. Nagaraja (2003), section "
        "7.1; shares: C. Clopper and E. Pearson (1934)"
    )
    false_positive_rate: float = 0.01
    rounds: int = 60

    def __post_init__(self) -> None:
        if not 0 < self.false_positive_rate < 1:
            rule = "above 0 and below 1"
            raise InvalidValueError("false_positive_rate", self.false_positive_rate, rule)
        if self.rounds < 1:
            raise InvalidValueError("rounds", self.rounds, "at least 1")

    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return self.score(real, synthetic, rng=rng).value

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        learner = TstrAuc(target=self.target, rounds=self.rounds)
        positive, negative = learner.predictions(real, synthetic, rng)
        return recall_at(positive, negative, false_positive_rate=self.false_positive_rate)


def recall_at(
    positive: NDArray[np.float64], negative: NDArray[np.float64], *, false_positive_rate: float
) -> Score:
    """Return the height of the ROC curve at a false positive rate, with an interval at 95%.

    Args:
        positive: predictions for positive records, at least one.
        negative: predictions for negative records, at least one.
        false_positive_rate: where the curve is read.
    """
    from scipy.stats import binom, binomtest

    tail = (1 - CONFIDENCE) / 4
    falling, n = np.sort(negative)[::-1], len(negative)
    # How many negatives lie above the population's threshold, for all but `tail` at either end.
    fewest, most = (int(binom.ppf(q, n, false_positive_rate)) for q in (tail, 1 - tail))
    strict = falling[fewest - 1] if fewest > 0 else np.inf
    lax = falling[most] if most < n else -np.inf
    found = [int((positive > strict).sum()), int((positive >= lax).sum())]
    level = 1 - 2 * tail
    low, high = (binomtest(k, len(positive)).proportion_ci(level) for k in found)
    value = _height(positive, negative, false_positive_rate)
    return Score(value=value, lower=min(float(low.low), value), upper=max(float(high.high), value))


def _height(
    positive: NDArray[np.float64], negative: NDArray[np.float64], false_positive_rate: float
) -> float:
    from sklearn.metrics import roc_curve

    truth = np.repeat([True, False], [len(positive), len(negative)])
    alarms, recalls, _ = roc_curve(truth, np.concatenate([positive, negative]))
    return float(np.interp(false_positive_rate, alarms, recalls))
