"""What every registered metric must do: a new one is tested by its line in the registry."""

from dataclasses import replace as with_fields
from functools import cache

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.metric import Metric, make_metrics
from dpsynth.evaluation.references import References
from dpsynth.evaluation.sample import Sample
from dpsynth.registry import METRICS
from tests.evaluation.laws import ILL, SCHEMA, codes_of, corrupt, draw, replace

SLACK = 0.03
"""How far prediction may move when nothing of substance does: trees break ties by position."""


@pytest.fixture(params=list(METRICS))
def metric(request: pytest.FixtureRequest) -> Metric:
    return make_metrics([request.param], target=ILL)[0]


@cache
def table(name: str) -> Table:
    seeds = {"train": (0, 1500), "holdout": (1, 1000), "fresh": (2, 1500), "half": (3, 700)}
    seed, rows = seeds[name]
    return draw(rows, rng=np.random.default_rng(seed))


def score(metric: Metric, synthetic: Table, seed: int = 0) -> float:
    return metric(table(metric.reads), synthetic, rng=np.random.default_rng(seed)).value


def loss(metric: Metric, synthetic: Table) -> float:
    """Return the score with its sign turned so that lower is better."""
    return -score(metric, synthetic) if metric.higher_is_better else score(metric, synthetic)


def tolerance(metric: Metric) -> float:
    return 1e-9 if metric.reads == "train" else SLACK


def test_it_says_what_it_is(metric: Metric) -> None:
    assert METRICS.get(metric.name) is type(metric)
    assert metric.identity.startswith(metric.name + "(")
    assert metric.minimum < metric.maximum
    assert len(metric.reference) > 20
    assert type(metric).__doc__


def test_a_fresh_sample_of_the_law_scores_at_the_holdout_reference(metric: Metric) -> None:
    rng = np.random.default_rng(4)
    references = References.compute(
        table("train"), table("holdout"), metrics=[metric], target=ILL, rng=rng
    )
    reference = references.holdout(metric, 1500)
    slack = max(reference.upper - reference.lower, 0.01)
    assert abs(score(metric, table("fresh")) - reference.value) <= slack


def test_nothing_scores_better_than_the_records_themselves(metric: Metric) -> None:
    itself = loss(metric, table("train"))
    assert itself <= loss(metric, table("fresh")) + tolerance(metric)
    if metric.reads == "train":
        assert score(metric, table("train")) == pytest.approx(metric.best)


def test_a_lost_class_counts(metric: Metric) -> None:
    poor = replace(table("fresh"), ill="no")
    assert loss(metric, poor) > loss(metric, table("fresh")) + 0.02


def test_tables_of_unequal_size_compare(metric: Metric) -> None:
    half = table("half")
    doubled = half.take(np.tile(np.arange(len(half)), 2))
    assert score(metric, doubled) == pytest.approx(score(metric, half), abs=SLACK)


def test_the_order_of_rows_plays_no_part(metric: Metric) -> None:
    fresh = table("fresh")
    shuffled = fresh.take(np.random.default_rng(5).permutation(len(fresh)))
    assert score(metric, shuffled) == pytest.approx(score(metric, fresh), abs=tolerance(metric))


def test_the_order_of_columns_plays_no_part(metric: Metric) -> None:
    turned = Schema(columns=SCHEMA.columns[::-1])
    real, synthetic = (
        Table.from_frame(turned, table(name).frame) for name in (metric.reads, "fresh")
    )
    found = metric(real, synthetic, rng=np.random.default_rng(0)).value
    assert found == pytest.approx(score(metric, table("fresh")), abs=tolerance(metric))


def test_values_within_bins_play_no_part(metric: Metric) -> None:
    codec = Codec(schema=SCHEMA)
    fresh = table("fresh")
    rewritten = codec.decode(codec.encode(fresh), rng=np.random.default_rng(6))
    assert score(metric, rewritten) == score(metric, fresh)


def test_constant_columns_are_no_obstacle(metric: Metric) -> None:
    rng = np.random.default_rng(7)
    columns = (
        CategoricalColumn(name="only", categories=("x",)),
        CategoricalColumn(name="ill", categories=("no", "yes")),
        IntegerColumn(name="same", lower=0, upper=5),
    )
    schema = Schema(columns=columns)
    frame = pd.DataFrame({"only": "x", "ill": ["no", "yes"] * 20, "same": 3})
    real = Table.from_frame(schema, frame)
    found = metric(real, real, rng=rng)
    assert metric.minimum <= found.lower <= found.value <= found.upper <= metric.maximum
    if metric.reads == "train":
        assert found.value == metric.best


def test_missing_values_count(metric: Metric) -> None:
    emptied = replace(table("fresh"), visits=pd.NA, work=None)
    assert loss(metric, emptied) > loss(metric, table("fresh"))


def test_one_synthetic_row_leaves_the_whole_range(metric: Metric) -> None:
    one = table("fresh").take(np.array([0]))
    found = metric(table(metric.reads), one, rng=np.random.default_rng(0))
    assert np.isfinite(found.value)
    if metric.reads == "train":
        assert (found.lower, found.upper) == (metric.minimum, metric.maximum)
        assert metric(one, one, rng=np.random.default_rng(0)).value == metric.best


def test_equal_seeds_give_equal_scores_and_value_is_the_score(metric: Metric) -> None:
    real = Sample.of(table(metric.reads), target=ILL)
    synthetic = Sample.of(table("fresh"), target=ILL)
    first, second = (metric.score(real, synthetic, rng=np.random.default_rng(8)) for _ in range(2))
    assert first == second
    assert first.value == metric.value(real, synthetic, rng=np.random.default_rng(8))


def test_more_corruption_scores_worse(metric: Metric) -> None:
    # Prediction from half spoilt records is as good as from none: it is asked for less.
    shares = (0.0, 0.2, 0.5, 1.0) if metric.reads == "train" else (0.0, 0.5, 1.0)
    rng = np.random.default_rng(9)
    losses = [loss(metric, corrupt(table("fresh"), share, rng=rng)) for share in shares]
    assert losses == sorted(losses)
    assert losses[-1] > losses[0] + 0.05


def test_a_table_under_other_columns_is_refused(metric: Metric) -> None:
    columns = (with_fields(SCHEMA.columns[0], name="area"), *SCHEMA.columns[1:])
    frame = table("fresh").frame.rename(columns={"region": "area"})
    other = Table.from_frame(Schema(columns=columns), frame)
    with pytest.raises(InvalidValueError, match="same columns"):
        metric(table(metric.reads), other, rng=np.random.default_rng(0))


def test_it_does_not_change_what_it_reads(metric: Metric) -> None:
    fresh = draw(100, rng=np.random.default_rng(10))
    before = codes_of(fresh).copy()
    metric(table(metric.reads), fresh, rng=np.random.default_rng(0))
    assert np.array_equal(codes_of(fresh), before)
