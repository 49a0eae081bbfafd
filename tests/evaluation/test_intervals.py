"""Coverage of every interval on simulated laws, each with an interval that must be found out."""

from collections.abc import Callable
from math import erf

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from dpsynth.evaluation.correlation import CorrelationDifference
from dpsynth.evaluation.intervals import auc_score, influence_error, jackknife_error, roc_auc
from dpsynth.evaluation.marginals import ThreeWayTvdMax, TwoWayTvd
from dpsynth.evaluation.metric import CONFIDENCE, Metric, Score
from dpsynth.evaluation.sample import Sample
from tests.tables import coded_schema, dependent_codes

RUNS = 400
LEAST = int(binom.ppf(1e-3, RUNS, CONFIDENCE))
"""Fewer hits than this, 366 of 400, have probability below .001 if coverage is .95."""

SIZES = (4, 3, 5, 2)


def sample(n: int, *, noise: float, rng: np.random.Generator) -> Sample:
    """Return `n` records of a dependent law, a share `noise` of whose cells is uniform."""
    codes = dependent_codes(n, SIZES, rng=rng)
    uniform = rng.integers(SIZES, size=codes.shape)
    spoilt = np.where(rng.random(codes.shape) < noise, uniform, codes)
    return Sample(schema=coded_schema(SIZES), codes=spoilt)


def covered(scores: list[Score], truth: float) -> int:
    return sum(s.lower <= truth <= s.upper for s in scores)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize(
    "metric", [TwoWayTvd(), ThreeWayTvdMax(), CorrelationDifference()], ids=lambda m: m.name
)
def test_interval_covers_the_expected_score_of_a_fresh_table(metric: Metric, noise: float) -> None:
    rng = np.random.default_rng(0)
    real = sample(600, noise=0.0, rng=rng)
    scores = [metric.score(real, sample(300, noise=noise, rng=rng), rng=rng) for _ in range(RUNS)]
    # The mean of 400 values is twenty times as sharp as each: error in it hardly matters.
    truth = float(np.mean([s.value for s in scores]))
    assert covered(scores, truth) >= LEAST
    # Negative control: intervals of half the width.
    halved = [
        Score(value=s.value, lower=(s.lower + s.value) / 2, upper=(s.upper + s.value) / 2)
        for s in scores
    ]
    if noise == 0.4:
        assert covered(halved, truth) < LEAST


@pytest.mark.slow
@pytest.mark.statistical
def test_percentile_bootstrap_would_not_cover() -> None:
    # The reason for another method: 40 runs, of which an honest interval loses 7 with
    # probability below .005; the percentile bootstrap loses nearly all.
    rng = np.random.default_rng(1)
    metric = TwoWayTvd()
    real = sample(600, noise=0.0, rng=rng)
    values, intervals = [], []
    for _ in range(40):
        synthetic = sample(300, noise=0.0, rng=rng)
        values.append(metric.value(real, synthetic, rng=rng))
        resampled = [
            metric.value(real, synthetic.take(rng.integers(300, size=300)), rng=rng)
            for _ in range(60)
        ]
        intervals.append(np.quantile(resampled, [0.025, 0.975]))
    truth = np.mean(values)
    assert sum(low <= truth <= high for low, high in intervals) < 20


@pytest.mark.statistical
@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_interval_covers_the_area_under_the_curve(shift: float) -> None:
    rng = np.random.default_rng(2)
    truth = (1 + erf(shift / 2)) / 2
    scores = [
        auc_score(rng.normal(shift, 1, size=40), rng.normal(0, 1, size=60)) for _ in range(RUNS)
    ]
    assert covered(scores, truth) >= LEAST
    # Negative control: an area that is off by a tenth.
    assert covered(scores, truth - 0.1) < LEAST


def test_separated_classes_leave_doubt() -> None:
    score = auc_score(np.array([2.0, 3.0, 4.0]), np.array([0.0, 1.0]))
    assert score.value == score.upper == 1.0
    assert score.lower < 0.8


def test_area_against_all_pairs() -> None:
    rng = np.random.default_rng(3)
    positive, negative = (rng.integers(5, size=n).astype(float) for n in (30, 20))
    wins = positive[:, None] - negative[None, :]
    area, error = roc_auc(positive, negative)
    assert area == pytest.approx((wins > 0).mean() + (wins == 0).mean() / 2)
    kernel = (wins > 0) + (wins == 0) / 2
    variance = kernel.mean(axis=1).var(ddof=1) / 30 + kernel.mean(axis=0).var(ddof=1) / 20
    assert error == pytest.approx(np.sqrt(variance))


@pytest.mark.parametrize(
    ("statistic", "error"),
    [
        (lambda x: float(x.mean()), lambda x: x.std(ddof=1) / np.sqrt(len(x))),
        (lambda x: 3 * float(x.mean()), lambda x: 3 * x.std(ddof=1) / np.sqrt(len(x))),
    ],
)
def test_jackknife_of_single_records_is_exact_for_a_mean(
    statistic: Callable[[NDArray[np.float64]], float],
    error: Callable[[NDArray[np.float64]], float],
) -> None:
    rng = np.random.default_rng(4)
    x = rng.exponential(size=30)
    found = jackknife_error(lambda rows: statistic(x[rows]), 30, groups=30, rng=rng)
    assert found == pytest.approx(error(x))
    assert influence_error(statistic(x) * x / x.mean()) == pytest.approx(error(x))


def test_one_record_tells_no_error() -> None:
    rng = np.random.default_rng(5)
    assert np.isnan(influence_error(np.array([1.0])))
    assert np.isnan(jackknife_error(lambda rows: 0.0, 1, groups=20, rng=rng))
