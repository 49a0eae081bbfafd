"""Prediction on untouched records: ceiling, floor, and classes that a generator lost."""

import numpy as np
import pytest

from dpsynth.data.datasets import Target
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.sample import Sample
from dpsynth.evaluation.tstr import TstrAuc
from tests.evaluation.laws import ILL, corrupt, draw, replace

METRIC = TstrAuc(target=ILL, rounds=20)


def test_real_records_teach_and_independent_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    train, test = draw(1500, rng=rng), draw(1500, rng=rng)
    learned = METRIC(test, train, rng=rng)
    real, fresh = Sample.of(train, target=ILL), Sample.of(test, target=ILL)
    permuted = METRIC.score(fresh, real.independent(rng=rng, target="ill"), rng=rng)
    assert learned.lower > 0.75
    assert permuted.upper < 0.65
    assert METRIC(test, corrupt(train, 0.5, rng=rng), rng=rng).value < learned.value


@pytest.mark.parametrize("left", ["no", "yes"])
def test_a_lost_class_scores_as_ignorance_on_every_test_record(left: str) -> None:
    rng = np.random.default_rng(1)
    train, test = draw(300, rng=rng), draw(300, rng=rng)
    score = METRIC(test, replace(train, ill=left), rng=rng)
    assert score.value == 0.5
    assert score.lower < 0.5 < score.upper


def test_a_lost_category_of_a_feature_keeps_its_test_records() -> None:
    rng = np.random.default_rng(2)
    train, test = draw(800, rng=rng), draw(400, rng=rng)
    poor = replace(train, region="north", income=0.1)
    assert METRIC(test, poor, rng=rng).value < METRIC(test, train, rng=rng).value - 0.03


def test_the_target_is_no_feature() -> None:
    rng = np.random.default_rng(3)
    train, test = draw(500, rng=rng), draw(500, rng=rng)
    target = Target(column="visits", above=2)
    metric = TstrAuc(target=target, rounds=20)
    assert metric(test, train, rng=rng).value < 0.95
    assert Sample.of(test, target=target).labels is not None


def test_a_test_split_of_one_class_is_refused() -> None:
    rng = np.random.default_rng(4)
    train = draw(50, rng=rng)
    with pytest.raises(InvalidValueError, match="both classes of 'ill'"):
        METRIC(replace(train, ill="no"), train, rng=rng)
    with pytest.raises(InvalidValueError, match="rounds is 0"):
        TstrAuc(target=ILL, rounds=0)
