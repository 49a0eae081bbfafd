"""What every registered metric must do: a new one is tested by its line in the registry."""

from functools import cache

import numpy as np
import pytest

from dpsynth.evaluation.conformance import INVARIANTS, Subject, table_of
from dpsynth.evaluation.known_law import collapse, lose_tail
from dpsynth.evaluation.metric import Metric, make_metrics
from dpsynth.evaluation.references import References
from dpsynth.evaluation.sample import Sample
from dpsynth.registry import METRICS
from tests.evaluation.laws import ILL

OWN = {"tail_recall": {"spoil": collapse, "lose": lose_tail}}
"""Noise occurs everywhere, and what is rare with it: its metric is about what is lost."""

SLOW = {"c2st_auc"}
"""Metrics that fit many trees."""


def _marked(name: str) -> object:
    return pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name


@cache
def made(name: str) -> Metric:
    return make_metrics([name], target=ILL)[0]


@cache
def subject_of(metric: Metric) -> Subject:
    return Subject.of(metric, **OWN.get(metric.name, {}))


@pytest.fixture(params=[_marked(name) for name in METRICS])
def metric(request: pytest.FixtureRequest) -> Metric:
    return made(request.param)


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_it_does_what_every_metric_must(metric: Metric, invariant: str) -> None:
    INVARIANTS[invariant](subject_of(metric))


def test_it_says_what_it_is(metric: Metric) -> None:
    assert METRICS.get(metric.name) is type(metric)
    assert metric.identity.startswith(metric.name + "(")
    assert metric.minimum < metric.maximum
    assert len(metric.reference) > 20
    assert type(metric).__doc__


def test_a_fresh_sample_of_the_law_scores_at_the_holdout_reference(metric: Metric) -> None:
    train, holdout, fresh = table_of(800, 0), table_of(600, 11), table_of(800, 1)
    rng = np.random.default_rng(4)
    references = References.compute(train, holdout, metrics=[metric], target=ILL, rng=rng)
    reference = references.holdout(metric, 800)
    found = metric(train if metric.reads == "train" else holdout, fresh, rng=rng).value
    slack = max(reference.upper - reference.lower, 0.01)
    assert abs(found - reference.value) <= slack


def test_one_synthetic_row_leaves_the_whole_range(metric: Metric) -> None:
    one = table_of(800, 1).take(np.array([0]))
    found = metric(table_of(800, 0), one, rng=np.random.default_rng(0))
    if metric.reads == "train":
        assert (found.lower, found.upper) == (metric.minimum, metric.maximum)


def test_the_value_alone_is_the_score(metric: Metric) -> None:
    real, fresh = (Sample.of(table_of(400, seed), target=ILL) for seed in (0, 1))
    first, second = (metric.score(real, fresh, rng=np.random.default_rng(8)) for _ in range(2))
    assert first == second
    assert first.value == metric.value(real, fresh, rng=np.random.default_rng(8))
