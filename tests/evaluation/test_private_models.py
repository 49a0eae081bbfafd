"""Private classifiers of real records: they learn with budget, and read no bound themselves."""

import numpy as np
import pytest

pytest.importorskip("diffprivlib", reason="the extra dpsynth[baselines] is not installed")

from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.evaluation import private_models
from dpsynth.evaluation.private_models import PRIVATE_MODELS, private_auc
from dpsynth.evaluation.sample import Sample
from tests.evaluation.laws import ILL, draw


def samples(seed: int) -> tuple[Sample, Sample]:
    rng = np.random.default_rng(seed)
    train, holdout = draw(3000, rng=rng), draw(2000, rng=rng)
    return Sample.of(train, target=ILL), Sample.of(holdout, target=ILL)


@pytest.mark.parametrize("model", PRIVATE_MODELS)
def test_it_learns_with_budget_and_hardly_without(model: str) -> None:
    train, holdout = samples(0)

    def mean(epsilon: float) -> float:
        scores = [
            private_auc(
                train,
                holdout,
                model=model,
                target=ILL,
                epsilon=epsilon,
                rng=np.random.default_rng(seed),
            ).value
            for seed in range(5)
        ]
        return float(np.mean(scores))

    rich, poor = mean(20), mean(1e-3)
    assert rich > 0.75
    assert poor < rich - 0.1


@pytest.mark.parametrize("model", PRIVATE_MODELS)
def test_same_seed_same_score(model: str) -> None:
    train, holdout = samples(1)
    scores = {
        private_auc(
            train, holdout, model=model, target=ILL, epsilon=1, rng=np.random.default_rng(seed)
        ).value
        for seed in (3, 3, 4)
    }
    assert len(scores) == 2


def test_norms_hold_for_every_record() -> None:
    train, _ = samples(2)
    features = private_models._features(train, ILL.column)
    assert features.min() >= 0
    assert features.max() <= 1
    columns = len(train.schema.names) - 1
    assert np.linalg.norm(features, axis=1).max() <= np.sqrt(columns) + 1e-12


def test_a_model_that_would_read_the_records_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from diffprivlib.models import LogisticRegression
    from diffprivlib.utils import PrivacyLeakWarning

    monkeypatch.setattr(private_models, "_model", lambda *_: LogisticRegression(epsilon=1.0))
    train, holdout = samples(3)
    with pytest.raises(PrivacyLeakWarning):
        private_auc(
            train,
            holdout,
            model="logistic_regression",
            target=ILL,
            epsilon=1,
            rng=np.random.default_rng(0),
        )


def test_mistakes_are_named() -> None:
    train, holdout = samples(4)
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidValueError, match="epsilon"):
        private_auc(train, holdout, model="gaussian_nb", target=ILL, epsilon=0, rng=rng)
    with pytest.raises(UnknownNameError, match="gaussian_nb"):
        private_auc(train, holdout, model="gausian_nb", target=ILL, epsilon=1, rng=rng)
