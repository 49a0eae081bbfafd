"""The hold-out reference is at the synthetic table's size, whatever the hold-out's."""

import numpy as np
import pytest

from dpsynth.evaluation.marginals import MarginalMetric, OneWayTvd, ThreeWayTvd, TwoWayTvd
from dpsynth.evaluation.references import References
from dpsynth.evaluation.sample import Sample
from tests.evaluation.laws import ILL, draw
from tests.tables import coded_table, dependent_codes

# Two-way tables are well filled at 800 records, three-way tables of 512 cells are sparse.
SIZES = (8, 8, 8, 8)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("metric", [TwoWayTvd(), ThreeWayTvd()], ids=lambda m: m.name)
def test_reference_is_the_expected_score_of_a_same_size_holdout(metric: MarginalMetric) -> None:
    # 60 splits: fewer than 50 fresh hold-outs within intervals of level .95 have probability
    # below .001.
    rng = np.random.default_rng(0)
    expected, fresh, raw, inside = [], [], [], 0
    for _ in range(60):
        train, holdout, same_size = (
            coded_table(dependent_codes(n, SIZES, rng=rng), SIZES) for n in (800, 200, 800)
        )
        references = References.compute(train, holdout, metrics=[metric], rng=rng)
        reference = references.holdout(metric, 800)
        score = metric(train, same_size, rng=rng).value
        expected.append(reference.value)
        fresh.append(score)
        raw.append(metric(train, holdout, rng=rng).value)
        inside += reference.lower <= score <= reference.upper
    assert np.mean(expected) == pytest.approx(np.mean(fresh), rel=0.05)
    assert inside >= 50
    # Negative control: the small hold-out's own score would flatter every generator.
    assert np.mean(raw) > 1.2 * np.mean(fresh)


def test_a_large_holdout_needs_no_extrapolation() -> None:
    rng = np.random.default_rng(1)
    train, holdout = draw(200, rng=rng), draw(2000, rng=rng)
    metric = TwoWayTvd()
    references = References.compute(train, holdout, metrics=[metric], rng=rng)
    scores = [metric(train, draw(200, rng=rng), rng=rng).value for _ in range(30)]
    assert references.holdout(metric, 200).value == pytest.approx(np.mean(scores), rel=0.1)


def test_independence_has_the_exact_single_columns() -> None:
    rng = np.random.default_rng(2)
    train, holdout = draw(300, rng=rng), draw(100, rng=rng)
    metrics = (OneWayTvd(), TwoWayTvd())
    references = References.compute(train, holdout, metrics=metrics, rng=rng)
    floor = {m.name: references.independent[m.identity].value for m in metrics}
    assert floor["tvd_1way"] == 0.0
    assert floor["tvd_2way"] > 0.1


def test_labels_move_with_the_column_that_they_are_made_from() -> None:
    rng = np.random.default_rng(3)
    sample = Sample.of(draw(300, rng=rng), target=ILL)
    permuted = sample.independent(rng=rng, target="ill")
    ill = [c.name for c in sample.schema.columns].index("ill")
    assert permuted.labels is not None
    assert sample.labels is not None
    assert np.array_equal(permuted.labels, permuted.codes[:, ill] == 1)
    assert not np.array_equal(permuted.labels, sample.labels)
