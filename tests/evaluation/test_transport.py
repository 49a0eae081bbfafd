"""Transport, queries, tails and kernels against plain definitions."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from dpsynth.data.schema import CategoricalColumn, FloatColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.counting_queries import HigherOrderConjunctions, QueryError
from dpsynth.evaluation.marginals import KMarginal, ThreeWayTvd
from dpsynth.evaluation.mean_discrepancy import mmd_p_value
from dpsynth.evaluation.sample import Sample
from dpsynth.evaluation.tail import TailRecall
from dpsynth.evaluation.transport import OneWayWasserstein, TwoWayWasserstein, line_transport
from dpsynth.evaluation.tstr_values import _macro_f1, _r2
from tests.evaluation.laws import corrupt, draw, replace


def value(metric, real: Table, made: Table, seed: int = 0) -> float:
    return metric(real, made, rng=np.random.default_rng(seed)).value


def test_transport_on_a_line_and_its_derivative() -> None:
    rng = np.random.default_rng(0)
    p, q, places = rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(7)), rng.normal(size=7)
    distance, potential = line_transport(p, q, places)
    assert distance == pytest.approx(wasserstein_distance(places, places, p, q))
    for i, j in ((0, 3), (5, 1)):
        moved = q.copy()
        moved[i] += 1e-6
        moved[j] -= 1e-6
        slope = (line_transport(p, moved, places)[0] - distance) / 1e-6
        assert slope == pytest.approx(potential[i] - potential[j], abs=1e-4)


def test_one_way_is_the_move_in_parts_of_the_range() -> None:
    columns = (
        FloatColumn(name="x", lower=0.0, upper=1.0, bins=11),
        CategoricalColumn(name="k", categories=("a", "b")),
    )
    schema = Schema(columns=columns)
    first = Table.from_frame(schema, pd.DataFrame({"x": [0.0] * 4, "k": list("aaab")}))
    second = Table.from_frame(schema, pd.DataFrame({"x": [1.0] * 4, "k": list("aabb")}))
    # The number moves a whole range, a quarter of the categories moves: their mean.
    assert value(OneWayWasserstein(), first, second) == pytest.approx((1 + 0.25) / 2)


def test_a_longer_move_is_a_larger_distance_in_pairs() -> None:
    rng = np.random.default_rng(1)
    real = draw(500, rng=rng)
    moves = [
        replace(real, income=np.clip(real.frame["income"] + by, 0, 1)) for by in (0.1, 0.3, 0.6)
    ]
    found = [value(TwoWayWasserstein(), real, made) for made in moves]
    assert found == sorted(found)
    assert found[0] > 0


def test_queries_are_answered_as_by_a_plain_loop() -> None:
    rng = np.random.default_rng(2)
    real, made = draw(60, rng=rng), corrupt(draw(40, rng=rng), 0.5, rng=rng)
    first, second = Sample.of(real), Sample.of(made)
    order = sorted(range(len(first.sizes)), key=lambda i: first.schema.names[i])
    for metric in (QueryError(queries=20), HigherOrderConjunctions(queries=20)):
        asked = metric.asked(first, order, np.random.Generator(np.random.PCG64(metric.seed)))
        apart = []
        for query in asked:
            shares = [
                np.mean([all(c[row[i]] for i, c in query.items()) for row in sample.codes])
                for sample in (first, second)
            ]
            apart.append(abs(shares[0] - shares[1]))
        mean = float(np.mean(apart))
        expected = 1000 * (1 - mean) if metric.name == "hoc" else mean
        assert value(metric, real, made) == pytest.approx(expected)
        assert mean > 0
    # A record is similar to itself: every query of conjunctions finds one.
    assert all(
        any(all(c[row[i]] for i, c in query.items()) for row in first.codes) for query in asked
    )


def test_tail_recall_counts_rare_categories_and_cells() -> None:
    columns = tuple(CategoricalColumn(name=c, categories=("x", "y", "z")) for c in "ab")
    schema = Schema(columns=columns)
    frame = pd.DataFrame({"a": ["x"] * 98 + ["y", "z"], "b": ["x"] * 100})
    real = Table.from_frame(schema, frame)
    metric = TailRecall(rare=0.05)
    # Rare are y and z of a, and the cells (y, x) and (z, x): of each, one occurs.
    made = Table.from_frame(schema, pd.DataFrame({"a": ["x"] * 9 + ["y"], "b": ["x"] * 10}))
    assert value(metric, real, made) == 0.5
    assert value(metric, real, real) == 1.0


def test_published_units_are_those_of_total_variation() -> None:
    rng = np.random.default_rng(3)
    real, made = draw(200, rng=rng), draw(200, rng=rng)
    expected = 1000 * (1 - value(ThreeWayTvd(), real, made))
    assert value(KMarginal(), real, made) == pytest.approx(expected)


def test_macro_f1_and_r2_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import f1_score, r2_score

    rng = np.random.default_rng(4)
    truth, predicted = rng.integers(3, size=50), rng.integers(2, size=50)
    settings: Any = {"average": "macro", "zero_division": 0}
    expected = f1_score(truth, predicted, **settings)
    assert _macro_f1(truth, predicted) == pytest.approx(expected)
    x = rng.normal(size=50)
    y = x + rng.normal(size=50) / 2
    assert _r2(x, y) == pytest.approx(r2_score(x, y))


@pytest.mark.statistical
def test_the_kernel_test_keeps_its_level_and_has_power() -> None:
    """60 pairs of one law at level .1: more than 14 rejections have probability below .001."""
    rng = np.random.default_rng(5)
    rejected = sum(
        mmd_p_value(draw(60, rng=rng), draw(60, rng=rng), rng=rng, permutations=49) <= 0.1
        for _ in range(60)
    )
    assert rejected <= 14
    spoilt = corrupt(draw(200, rng=rng), 0.7, rng=rng)
    assert mmd_p_value(draw(200, rng=rng), spoilt, rng=rng, permutations=99) == 0.01
    with pytest.raises(InvalidValueError, match="permutations"):
        mmd_p_value(spoilt, spoilt, rng=rng, permutations=0)
