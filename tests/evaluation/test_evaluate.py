"""Evaluation: value, references, and what is refused."""

import numpy as np
import pytest

from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.evaluation.evaluate import evaluate, resolve
from dpsynth.evaluation.marginals import TwoWayTvd
from dpsynth.evaluation.references import References
from dpsynth.registry import METRICS
from tests.evaluation.laws import ILL, corrupt, draw


def test_values_lie_between_their_references() -> None:
    rng = np.random.default_rng(0)
    train, holdout, synthetic = draw(2000, rng=rng), draw(800, rng=rng), draw(2000, rng=rng)
    spoilt = corrupt(synthetic, 0.1, rng=rng)
    # Independent columns are perfect in single ones, and nearly so in distances from the centre;
    # a little noise spreads records, by which more of the real ones have one beside them. Trees
    # that tell tables apart take their time, and are tested by themselves.
    other = ("tvd_1way", "tvd_1way_max", "alpha_precision", "beta_recall")
    other += ("wasserstein_1way", "pmse_ratio", "tail_recall", "c2st_auc")
    names = [name for name in METRICS if name not in other]
    results = evaluate(train, holdout, spoilt, metrics=names, target=ILL, rng=rng)
    assert [r.metric for r in results] == names
    for result in results:
        assert result.lower <= result.value <= result.upper
        sign = 1 if result.higher_is_better else -1
        assert sign * result.independent < sign * result.value < sign * result.holdout


def test_kept_references_give_the_same_numbers_and_follow_the_size() -> None:
    rng = np.random.default_rng(1)
    train, holdout, synthetic = (draw(n, rng=rng) for n in (1000, 400, 1000))
    metrics = resolve(["tvd_2way", "tstr_auc"], target=ILL)
    kept = References.compute(
        train, holdout, metrics=metrics, target=ILL, rng=np.random.default_rng(2)
    )
    again, once = (
        evaluate(
            train,
            holdout,
            synthetic,
            metrics=metrics,
            target=ILL,
            rng=np.random.default_rng(3),
            references=kept,
        )
        for _ in range(2)
    )
    assert again == once
    sizes = [kept.holdout(metrics[0], rows).value for rows in (100, 1000, 10_000)]
    assert sizes == sorted(sizes, reverse=True)


def test_what_is_missing_or_unknown_is_refused() -> None:
    rng = np.random.default_rng(4)
    train, holdout = draw(50, rng=rng), draw(50, rng=rng)
    with pytest.raises(InvalidValueError, match="metrics"):
        evaluate(train, holdout, train, metrics=[], rng=rng)
    with pytest.raises(UnknownNameError, match="tvd_2way"):
        evaluate(train, holdout, train, metrics=["tvd_2wy"], rng=rng)
    with pytest.raises(InvalidValueError, match="target is None"):
        evaluate(train, holdout, train, metrics=["tstr_auc"], rng=rng)
    kept = References.compute(train, holdout, metrics=[TwoWayTvd()], rng=rng)
    with pytest.raises(UnknownNameError, match="tvd_3way"):
        evaluate(train, holdout, train, metrics=["tvd_3way"], rng=rng, references=kept)
