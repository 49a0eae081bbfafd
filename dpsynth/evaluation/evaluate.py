"""Score a synthetic table with many metrics, each beside its references."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.metric import Metric, make_metrics
from dpsynth.evaluation.references import References
from dpsynth.evaluation.sample import Sample, check_same_columns

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One metric's verdict on a synthetic table; all intervals are at 95%.

    Args:
        metric: name.
        identity: name and parameters; only scores of equal identity compare.
        value, lower, upper: the score and its interval; see the metric for what it covers.
        holdout, holdout_lower, holdout_upper: what as many real records that the generator did not
            see would score; for a metric of prediction, what the real training table scores.
        independent, independent_lower, independent_upper: what the training table scores after
            each column is permuted on its own: exact single columns, no dependence, no noise.
        higher_is_better: direction.
    """

    metric: str
    identity: str
    value: float
    lower: float
    upper: float
    holdout: float
    holdout_lower: float
    holdout_upper: float
    independent: float
    independent_lower: float
    independent_upper: float
    higher_is_better: bool


def evaluate(
    train: "Table",
    holdout: "Table",
    synthetic: "Table",
    *,
    metrics: Sequence[str | Metric],
    rng: np.random.Generator,
    target: "Target | None" = None,
    references: References | None = None,
) -> list[Evaluation]:
    """Return the score of `synthetic` under each metric, with its references.

    The numbers are computed from real records without noise: no privacy guarantee covers them.

    Args:
        train: what the generator was fitted to.
        holdout: real records that it never saw.
        synthetic: what it made, under the same columns.
        metrics: names in the registry, or metrics.
        rng: source of subsampling; each metric has a stream of its own.
        target: what metrics of prediction predict.
        references: those of the same tables and metrics, when they have been computed before.

    Raises:
        InvalidValueError: different columns; no metric; a target is needed and absent.
        UnknownNameError: an unknown metric, or one that `references` lacks.
    """
    chosen = resolve(metrics, target=target)
    streams = rng.spawn(len(chosen) + 1)
    if references is None:
        references = References.compute(
            train, holdout, metrics=chosen, target=target, rng=streams[-1], rows=len(synthetic)
        )
    made = Sample.of(synthetic, target=target)
    real = {
        "train": Sample.of(train, target=target),
        "holdout": Sample.of(holdout, target=target),
    }
    for sample in real.values():
        check_same_columns(sample, made)
    return [
        _verdict(metric, real[metric.reads], made, references, stream)
        for metric, stream in zip(chosen, streams, strict=False)
    ]


def resolve(
    metrics: Sequence[str | Metric], *, target: "Target | None" = None
) -> tuple[Metric, ...]:
    """Return `metrics` with names replaced by the registered metrics.

    Raises:
        InvalidValueError: none, or a target is needed and absent.
        UnknownNameError: no metric of that name.
    """
    if not metrics:
        raise InvalidValueError("metrics", list(metrics), "at least one")
    return tuple(
        make_metrics([item], target=target)[0] if isinstance(item, str) else item
        for item in metrics
    )


def _verdict(
    metric: Metric,
    real: Sample,
    synthetic: Sample,
    references: References,
    rng: np.random.Generator,
) -> Evaluation:
    score = metric.score(real, synthetic, rng=rng)
    unseen = references.holdout(metric, len(synthetic))
    independent = references.independent[metric.identity]
    return Evaluation(
        metric=metric.name,
        identity=metric.identity,
        value=score.value,
        lower=score.lower,
        upper=score.upper,
        holdout=unseen.value,
        holdout_lower=unseen.lower,
        holdout_upper=unseen.upper,
        independent=independent.value,
        independent_lower=independent.lower,
        independent_upper=independent.upper,
        higher_is_better=metric.higher_is_better,
    )
