"""Diversity: distances are those of a plain loop, and a collapse that marginals miss is seen."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.diversity import (
    AlphaPrecision,
    BetaRecall,
    Coverage,
    neighbour_distances,
    points,
    squared_distances,
)
from dpsynth.evaluation.marginals import OneWayTvd
from dpsynth.evaluation.sample import Sample
from tests.evaluation.laws import draw

METRICS = (Coverage(), AlphaPrecision(), BetaRecall())


def score(metric, real, synthetic) -> float:
    return metric(real, synthetic, rng=np.random.default_rng(0)).value


def test_distances_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    codes = Sample.of(draw(40, rng=rng)), Sample.of(draw(30, rng=rng))
    first, second = (points(sample) for sample in codes)
    found = squared_distances(first, second)
    for i, j in product(range(40), range(30)):
        assert found[i, j] == pytest.approx(((first[i] - second[j]) ** 2).sum(), abs=1e-6)
    same = codes[0].take(np.array([3, 3]))
    assert squared_distances(points(same), points(same)).max() == 0.0


def test_what_a_column_counts_for() -> None:
    schema = Schema(
        columns=(
            CategoricalColumn(name="kind", categories=("a", "b", "c"), missing=True),
            IntegerColumn(name="size", lower=0, upper=4, missing=True),
        )
    )
    frame = pd.DataFrame({"kind": ["a", "b", "a", None, "a"], "size": [0, 0, 4, 0, pd.NA]})
    sample = Sample.of(Table.from_frame(schema, frame))
    apart = squared_distances(points(sample), points(sample))
    assert apart[0].tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_the_kth_neighbour_is_another_record() -> None:
    line = np.array([[0.0], [1.0], [3.0], [3.0]])
    assert neighbour_distances(line, 1).tolist() == [1.0, 1.0, 0.0, 0.0]
    assert neighbour_distances(line, 2).tolist() == [9.0, 4.0, 4.0, 4.0]
    assert np.isinf(neighbour_distances(line, 4)).all()


def test_a_collapse_that_marginals_miss_is_seen() -> None:
    """Fifty kinds of records have nearly the right columns, and are few all the same."""
    rng = np.random.default_rng(1)
    real, fresh = draw(2000, rng=rng), draw(2000, rng=rng)
    few = fresh.take(np.tile(np.arange(50), 40))
    assert score(OneWayTvd(), real, few) < 0.15
    for metric in (Coverage(), BetaRecall()):
        assert score(metric, real, fresh) > 0.4
        assert score(metric, real, few) < 0.5 * score(metric, real, fresh)


def test_coverage_of_a_fresh_sample_is_what_the_paper_expects() -> None:
    """Of continuous records as many as real ones cover 1 - (n-1)...(n-k)/((2n-1)...(2n-k))."""
    rng, n, k = np.random.default_rng(2), 1500, 5
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    compare = Coverage(neighbours=k).compare(rng.random((n, 3)), rng.random((n, 3)))
    # One sample of 1,500, whose share has a deviation of at most .013: four of them.
    assert compare(np.arange(n)) == pytest.approx(expected, abs=0.05)
    shifted = Coverage(neighbours=k).compare(rng.random((n, 3)), rng.random((n, 3)) + 0.3)
    assert shifted(np.arange(n)) < expected - 0.2


@pytest.mark.parametrize("metric", METRICS)
def test_a_large_table_is_drawn_from(metric) -> None:
    rng = np.random.default_rng(3)
    real, fresh = draw(3000, rng=rng), draw(3000, rng=rng)
    small = type(metric)(most=500)
    first = score(small, real, fresh)
    assert first == score(small, real, fresh)
    assert first == pytest.approx(score(small, real.take(np.arange(500)), fresh), abs=0.1)


@pytest.mark.parametrize("parameters", [{"most": 1}, {"groups": 1}, {"neighbours": 0}])
def test_parameters_out_of_range_are_named(parameters) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(parameters))):
        Coverage(**parameters)
