"""Classifiers trained privately on the real records: what synthetic records compete with.

Who wants one prediction may spend the whole budget on it and release no table. These models account
for themselves, so their numbers stand beside the generators' and never in a ledger.
"""

import warnings
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.evaluation.intervals import auc_score
from dpsynth.evaluation.metric import Score
from dpsynth.evaluation.sample import Sample, check_same_columns

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target

PRIVATE_MODELS = ("logistic_regression", "gaussian_nb")


def private_auc(
    train: Sample,
    holdout: Sample,
    *,
    model: str,
    target: "Target",
    epsilon: float,
    rng: np.random.Generator,
) -> Score:
    """Return the area under the ROC curve, on the hold-out, of a model trained privately.

    Privacy: pure epsilon-DP of diffprivlib 0.6's model, by its own account. Everything that it is
    told of the records (bounds, norms) comes from the public schema, and its warning that it would
    read them itself is an error here.

    Args:
        train: real records to learn from, labelled.
        holdout: real records to predict, labelled.
        model: "logistic_regression" (objective perturbation) or "gaussian_nb" (noisy moments).
        target: the column that the labels are made from; it is no feature.
        epsilon: budget of the one fit.
        rng: source of the model's seed; it is not for release.

    Raises:
        InvalidValueError: epsilon not positive and finite, a sample without labels, other columns.
        UnknownNameError: no such model.

    Reference: K. Chaudhuri, C. Monteleoni and A. Sarwate, Differentially Private Empirical Risk
        Minimization (2011), algorithm 2; J. Vaidya, B. Shafiq, A. Basu and Y. Hong, Differentially
        Private Naive Bayes Classification (2013), section 4.
    """
    if not (epsilon > 0 and isfinite(epsilon)):
        raise InvalidValueError("epsilon", epsilon, "positive and finite")
    if model not in PRIVATE_MODELS:
        raise UnknownNameError("private model", model, PRIVATE_MODELS)
    check_same_columns(train, holdout)
    if train.labels is None or holdout.labels is None:
        raise InvalidValueError("sample", None, "labelled by the target")
    from diffprivlib.utils import PrivacyLeakWarning

    features, unseen = (_features(sample, target.column) for sample in (train, holdout))
    with warnings.catch_warnings():
        warnings.simplefilter("error", PrivacyLeakWarning)
        fitted = _model(model, features.shape[1], len(train.schema.names) - 1, epsilon, rng)
        fitted.fit(features, train.labels)
    if model == "logistic_regression":
        predicted = fitted.decision_function(unseen)
    else:
        odds = fitted.predict_log_proba(unseen)
        predicted = odds[:, 1] - odds[:, 0]
    return auc_score(predicted[holdout.labels], predicted[~holdout.labels])


def _model(model: str, width: int, columns: int, epsilon: float, rng: np.random.Generator) -> Any:
    from diffprivlib.models import GaussianNB, LogisticRegression

    seed = int(rng.integers(2**31))
    if model == "gaussian_nb":
        return GaussianNB(
            epsilon=epsilon, bounds=(np.zeros(width), np.ones(width)), random_state=seed
        )
    # Every column's block has norm at most 1: one indicator, or one number in [0, 1].
    return LogisticRegression(
        epsilon=epsilon, data_norm=sqrt(columns), max_iter=500, random_state=seed
    )


def _features(sample: Sample, target: str) -> NDArray[np.float64]:
    """Return indicators of categorical codes, and numeric codes scaled to [0, 1]."""
    blocks: list[NDArray[np.float64]] = []
    for i, column in enumerate(sample.schema.columns):
        if column.name == target:
            continue
        codes = sample.codes[:, i].astype(np.int64)
        if isinstance(column, CategoricalColumn):
            blocks.append(np.eye(column.size)[codes])
        else:
            blocks.append((codes / max(column.size - 1, 1))[:, None])
    return np.concatenate(blocks, axis=1)
