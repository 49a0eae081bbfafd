"""Marginal metrics: against brute force, fast, and unmoved by what should not move them."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from dpsynth.data.schema import CategoricalColumn, Schema
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation import contingency
from dpsynth.evaluation.contingency import choose_sets
from dpsynth.evaluation.marginals import (
    MarginalMetric,
    OneWayTvd,
    ThreeWayTvd,
    ThreeWayTvdMax,
    TwoWayTvd,
    TwoWayTvdMax,
    WorkloadError,
)
from dpsynth.evaluation.sample import Sample
from tests.evaluation.laws import corrupt, draw


def brute_force(real: Sample, synthetic: Sample, k: int) -> list[float]:
    distances = []
    for chosen in combinations(range(len(real.sizes)), k):
        first = [tuple(row) for row in real.codes[:, chosen].tolist()]
        second = [tuple(row) for row in synthetic.codes[:, chosen].tolist()]
        distances.append(
            0.5
            * sum(
                abs(first.count(c) / len(first) - second.count(c) / len(second))
                for c in {*first, *second}
            )
        )
    return distances


@pytest.mark.parametrize("dense_cells", [2**18, 1])
@pytest.mark.parametrize("metric", [OneWayTvd(), TwoWayTvd(), ThreeWayTvd()], ids=lambda m: m.name)
def test_distances_equal_brute_force(
    metric: MarginalMetric, dense_cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contingency, "DENSE_CELLS", dense_cells)
    rng = np.random.default_rng(0)
    real = Sample.of(draw(60, rng=rng))
    synthetic = Sample.of(corrupt(draw(45, rng=rng), 0.3, rng=rng))
    assert metric.distances(real, synthetic) == pytest.approx(
        brute_force(real, synthetic, metric.ways)
    )


def test_summaries_are_mean_maximum_and_the_l1_norm() -> None:
    rng = np.random.default_rng(1)
    real, synthetic = draw(300, rng=rng), corrupt(draw(200, rng=rng), 0.3, rng=rng)
    pairs = brute_force(Sample.of(real), Sample.of(synthetic), 2)
    triples = brute_force(Sample.of(real), Sample.of(synthetic), 3)
    for metric, expected in (
        (TwoWayTvd(), np.mean(pairs)),
        (TwoWayTvdMax(), max(pairs)),
        (ThreeWayTvdMax(), max(triples)),
        (WorkloadError(), 2 * np.mean(triples)),
    ):
        assert metric(real, synthetic, rng=rng).value == pytest.approx(expected)


def test_many_sets_are_sampled_by_the_metrics_own_seed() -> None:
    sets = choose_sets(30, 3, limit=50, seed=0)
    assert len(set(sets)) == 50 < comb(30, 3)
    assert all(a < b < c for a, b, c in sets)
    assert sets == choose_sets(30, 3, limit=50, seed=0)
    assert sets != choose_sets(30, 3, limit=50, seed=1)
    assert TwoWayTvd(seed=1).identity != TwoWayTvd().identity


@pytest.mark.parametrize("metric", [OneWayTvd(), TwoWayTvd(), ThreeWayTvd()], ids=lambda m: m.name)
def test_fewer_columns_than_ways_compares_them_all(metric: MarginalMetric) -> None:
    schema = Schema(columns=(CategoricalColumn(name="a", categories=("x", "y")),))
    first = Sample(schema=schema, codes=np.array([[0], [1]]))
    second = Sample(schema=schema, codes=np.array([[0], [0]]))
    assert metric.value(first, second, rng=np.random.default_rng(0)) == pytest.approx(0.5)


def test_parameters_outside_their_rules_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="limit is 0"):
        OneWayTvd(limit=0)
    with pytest.raises(InvalidValueError, match="seed is -1"):
        OneWayTvd(seed=-1)
