"""Recall at few false alarms: read off the curve, with an interval that covers the population's."""

import numpy as np
import pytest
from scipy.stats import norm

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.tstr_recall import TstrRecall, recall_at
from tests.evaluation.laws import ILL, corrupt, draw


def test_it_is_the_share_above_the_threshold_and_chance_where_scores_tie() -> None:
    negative = np.arange(100.0)
    score = recall_at(np.array([98.5, 99.5, 50.0, 10.0]), negative, false_positive_rate=0.01)
    assert score.value == 0.5
    tied = recall_at(np.zeros(50), np.zeros(200), false_positive_rate=0.01)
    assert (tied.lower, tied.value, tied.upper) == (0.0, pytest.approx(0.01), 1.0)


@pytest.mark.statistical
@pytest.mark.parametrize(("positives", "negatives"), [(200, 300), (800, 3000)])
def test_the_interval_covers_the_population(positives: int, negatives: int) -> None:
    """300 tables, seed 0: fewer than 273 hits have probability below .001 at coverage .95. Negative
    control: a binomial interval at the threshold of the sample, as if that were known."""
    from scipy.stats import binomtest

    rng, rate, hits, naive = np.random.default_rng(0), 0.01, 0, 0
    truth = float(norm.sf(norm.isf(rate) - 2))
    for _ in range(300):
        found, clear = rng.normal(2, 1, positives), rng.normal(0, 1, negatives)
        score = recall_at(found, clear, false_positive_rate=rate)
        hits += score.lower <= truth <= score.upper
        above = int((found > np.quantile(clear, 1 - rate)).sum())
        low, high = binomtest(above, positives).proportion_ci(0.95)
        naive += low <= truth <= high
    assert hits >= 273
    assert naive < 273


def test_spoilt_records_teach_less() -> None:
    rng = np.random.default_rng(1)
    test, fresh = draw(3000, rng=rng), draw(2000, rng=rng)
    metric = TstrRecall(target=ILL)
    good = metric(test, fresh, rng=rng)
    bad = metric(test, corrupt(fresh, 1.0, rng=rng), rng=rng)
    assert bad.value < 0.05 < good.lower < good.value < good.upper


@pytest.mark.parametrize("wrong", [{"false_positive_rate": 0.0}, {"rounds": 0}])
def test_parameters_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(wrong))):
        TstrRecall(target=ILL, **wrong)  # pyright: ignore[reportArgumentType]
