"""Whom a synthetic table serves worse: distances, predictions and decisions by group."""

from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.errors import InvalidValueError, MissingExtraError, NoRecordsError
from dpsynth.evaluation.intervals import roc_auc
from dpsynth.evaluation.marginals import TwoWayTvd
from dpsynth.evaluation.references import References
from dpsynth.evaluation.sample import Sample, check_same_columns
from dpsynth.evaluation.tstr import TstrAuc, features_of, labels_of

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table

_FEWEST = 2
_MOST_VALUES = 20


@final
@dataclass(frozen=True, kw_only=True)
class Subgroup:
    """What a synthetic table is worth for one group; NaN is what cannot be told.

    Args:
        group: the category.
        real, synthetic: rows of it in the training and in the synthetic table.
        tvd, lower, upper: mean two-way total variation within the group, with the interval of
            `TwoWayTvd`; 1 where the synthetic table has lost the group.
        holdout: what as many real records of the group would score: small groups score worse.
        auc: area under the ROC curve, on the group's test records, of trees fitted to all
            synthetic records.
        auc_real: the same of trees fitted to all real training records.
    """

    group: str
    real: int
    synthetic: int
    tvd: float
    lower: float
    upper: float
    holdout: float
    auc: float = nan
    auc_real: float = nan


@final
@dataclass(frozen=True, kw_only=True)
class Disparity:
    """How unlike groups are in decisions of trees fitted to synthetic, and to real, records.

    Args:
        demographic_parity: largest difference of rates of positive decisions between groups.
        equalized_odds: largest difference of true or of false positive rates between groups.
        demographic_parity_real, equalized_odds_real: the same of trees fitted to real records.
    """

    demographic_parity: float
    equalized_odds: float
    demographic_parity_real: float
    equalized_odds_real: float


@final
@dataclass(frozen=True, kw_only=True)
class SubgroupReport:
    """Every group with real records, and the gaps between them; no guarantee covers it.

    Args:
        groups: in the order of the column's categories.
        tvd_gap, tvd_ratio: largest less, and over, least distance; infinite over 0.
        auc_gap: largest less least area of the groups that have one.
        disparity: of decisions; None without a target.
    """

    groups: tuple[Subgroup, ...]
    tvd_gap: float
    tvd_ratio: float
    auc_gap: float
    disparity: Disparity | None


def compare_subgroups(
    train: "Table",
    holdout: "Table",
    synthetic: "Table",
    *,
    sensitive: str,
    rng: np.random.Generator,
    target: "Target | None" = None,
) -> SubgroupReport:
    """Return how well `synthetic` serves each category of a column.

    Args:
        train: what the generator was fitted to.
        holdout: real records that it never saw.
        synthetic: what it made.
        sensitive: a categorical column, or a whole-number one of at most 20 values without bins;
            missing values are a group of their own.
        rng: source of splits and fits.
        target: what is predicted; None: nothing, and only distances are compared.

    Raises:
        InvalidValueError: a column without such groups, or the target; different columns.
        UnknownNameError: no such column.
        MissingExtraError: a target is given, and fairlearn is not installed.

    Reference: S. Bird et al., Fairlearn: A toolkit for assessing and improving fairness in AI
        (2020); M. Hardt, E. Price and N. Srebro, Equality of Opportunity in Supervised Learning
        (2016), definition 2.1.
    """
    names = _names(train.schema.column(sensitive))
    if target is not None and target.column == sensitive:
        raise InvalidValueError("sensitive", sensitive, "another column than the target")
    samples = [Sample.of(table, target=target) for table in (train, holdout, synthetic)]
    check_same_columns(samples[0], samples[2])
    check_same_columns(samples[0], samples[1])
    position = train.schema.names.index(sensitive)
    members = [sample.columns[position] for sample in samples]
    areas, disparity = {}, None
    if target is not None:
        areas, disparity = _predicted(samples, members[1], target, rng)
    groups = tuple(
        _subgroup(name, (train, holdout, synthetic), [m == g for m in members], areas.get(g), rng)
        for g, name in enumerate(names)
        if (members[0] == g).any()
    )
    distances = [g.tvd for g in groups]
    told = [g.auc for g in groups if isfinite(g.auc)]
    least = min(distances)
    return SubgroupReport(
        groups=groups,
        tvd_gap=max(distances) - least,
        tvd_ratio=max(distances) / least if least else float("inf"),
        auc_gap=max(told) - min(told) if told else nan,
        disparity=disparity,
    )


def _names(column: Column) -> list[str]:
    """Return the name of each code of a column whose codes are groups of people."""
    if isinstance(column, CategoricalColumn):
        found = [str(category) for category in column.categories]
    elif isinstance(column, IntegerColumn) and not column.binned and column.size <= _MOST_VALUES:
        found = [str(value) for value in range(column.lower, column.upper + 1)]
    else:
        rule = f"a categorical column, or one of at most {_MOST_VALUES} whole numbers without bins"
        raise InvalidValueError("sensitive", column.name, rule)
    return [*found, "missing"] if column.missing else found


def _subgroup(
    name: str,
    tables: "tuple[Table, Table, Table]",
    masks: list[NDArray[np.bool_]],
    areas: tuple[float, float] | None,
    rng: np.random.Generator,
) -> Subgroup:
    metric = TwoWayTvd()
    rows = [int(mask.sum()) for mask in masks]
    tvd, lower, upper, reference = 1.0, 1.0, 1.0, nan
    parts = [_part(table, mask) for table, mask in zip(tables, masks, strict=True)]
    real, unseen, made = parts
    if real is not None and made is not None:
        found = metric(real, made, rng=rng)
        tvd, lower, upper = found.value, found.lower, found.upper
    if real is not None and unseen is not None and min(rows[:2]) >= _FEWEST:
        kept = References.compute(real, unseen, metrics=[metric], rng=rng, rows=max(rows[2], 1))
        reference = kept.holdout(metric, max(rows[2], 1)).value
    auc, auc_real = areas or (nan, nan)
    return Subgroup(
        group=name,
        real=rows[0],
        synthetic=rows[2],
        tvd=tvd,
        lower=lower,
        upper=upper,
        holdout=reference,
        auc=auc,
        auc_real=auc_real,
    )


def _part(table: "Table", mask: NDArray[np.bool_]) -> "Table | None":
    try:
        return table.take(np.flatnonzero(mask))
    except NoRecordsError:
        return None


def _predicted(
    samples: list[Sample], group: NDArray[np.intp], target: "Target", rng: np.random.Generator
) -> tuple[dict[int, tuple[float, float]], Disparity]:
    """Return each group's areas (fitted to synthetic, to real), and how decisions differ."""
    try:
        from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
    except ImportError:
        raise MissingExtraError("fairness of decisions", "fairness") from None
    train, unseen, made = samples
    metric, truth = TstrAuc(target=target), labels_of(unseen)
    areas: dict[int, tuple[float, float]] = {}
    logits: list[NDArray[np.float64]] = []
    for learned in (made, train):
        label = labels_of(learned)
        if label.all() or not label.any() or not features_of(unseen, target):
            logits.append(np.where(label.mean() > 0.5, 1.0, -1.0) * np.ones(len(unseen)))
        else:
            logits.append(metric.predict(learned, label, unseen, rng))
    for g in np.unique(group):
        mine = group == g
        first, second = (roc_auc(x[mine & truth], x[mine & ~truth])[0] for x in logits)
        areas[int(g)] = first, second
    found = [
        float(measure(truth, x > 0, sensitive_features=group))
        for x in logits
        for measure in (demographic_parity_difference, equalized_odds_difference)
    ]
    return areas, Disparity(
        demographic_parity=found[0],
        equalized_odds=found[1],
        demographic_parity_real=found[2],
        equalized_odds_real=found[3],
    )
