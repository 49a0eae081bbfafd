"""Intervals of scores, each with the quantity that it covers.

No percentile bootstrap: a resampled total variation distance is biased upwards by the noise that
resampling adds, so its percentiles may lie wholly above the value that they should surround.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from dpsynth.evaluation.metric import CONFIDENCE, Score


def student_interval(
    value: float, error: float, *, freedom: float, minimum: float, maximum: float
) -> Score:
    """Return value -/+ t x error within [minimum, maximum]; the whole range if `error` is unknown.

    Args:
        value: the estimate.
        error: its standard error; NaN where too few records tell it.
        freedom: degrees of freedom of the error.
        minimum: least value possible.
        maximum: largest value possible.
    """
    if not np.isfinite(error):
        return Score(value=value, lower=min(minimum, value), upper=max(maximum, value))
    reach = _quantile(freedom) * error
    lower, upper = max(minimum, value - reach), min(maximum, value + reach)
    return Score(value=value, lower=min(lower, value), upper=max(upper, value))


def influence_error(influence: NDArray[np.float64]) -> float:
    """Return the standard error of a statistic from the influence of each record on it.

    The infinitesimal jackknife: variance of the influence over n.

    Args:
        influence: one number a record, up to a constant; length n.

    Reference: B. Efron, "Nonparametric standard errors and confidence intervals", Canadian Journal
    of Statistics 9 (1981), section 3.
    """
    n = len(influence)
    return float(np.std(influence, ddof=1)) / sqrt(n) if n > 1 else float("nan")


def jackknife_error(
    statistic: Callable[[NDArray[np.intp]], float],
    n: int,
    *,
    groups: int,
    rng: np.random.Generator,
) -> float:
    """Return the standard error of a statistic by leaving out one of `groups` at a time.

    Args:
        statistic: row numbers -> value.
        n: number of rows.
        groups: number of random groups of near-equal size; at most n are used.
        rng: source of the grouping.

    Reference: J. Shao and D. Tu, "The Jackknife and Bootstrap" (1995), section 2.3.
    """
    count = min(groups, n)
    if count < 2:
        return float("nan")
    order = rng.permutation(n)
    label = np.arange(n) % count
    left_out = [statistic(np.sort(order[label != g])) for g in range(count)]
    return sqrt((count - 1) * float(np.var(left_out)))


def roc_auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> tuple[float, float]:
    """Return the area under the ROC curve and its standard error.

    Args:
        positive: predictions for positive records.
        negative: predictions for negative records.

    Returns:
        P(positive > negative) + P(equal) / 2, NaN if a class is absent; and the error by DeLong's
        formula, NaN if a class has fewer than two records.

    Reference: E. DeLong, D. DeLong and D. Clarke-Pearson, Biometrics 44 (1988), equations 2 and 4,
    by mid-ranks: X. Sun and W. Xu, IEEE Signal Processing Letters 21 (2014), equation 5.
    """
    m, n = len(positive), len(negative)
    if m == 0 or n == 0:
        return float("nan"), float("nan")
    above, below = placements(positive, negative)
    area = float(above.mean())
    if m < 2 or n < 2:
        return area, float("nan")
    return area, sqrt(float(above.var(ddof=1)) / m + float(below.var(ddof=1)) / n)


def placements(
    positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of negatives below each positive, and of positives above each negative.

    Ties count half; the mean of either is the area under the ROC curve.
    """
    from scipy.stats import rankdata

    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    return (ranks[:m] - rankdata(positive)) / n, 1 - (ranks[m:] - rankdata(negative)) / m


def auc_score(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> Score:
    """Return the area under the ROC curve with an interval for the population's area.

    The hull of DeLong's interval and of Newcombe's score interval: the first has no width where the
    classes separate in the sample, the second assumes a shape of the curve.

    Args:
        positive: predictions for positive records, at least one.
        negative: predictions for negative records, at least one.

    Reference: R. Newcombe, Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic, part 2, Statistics in Medicine 25 (2006), method 5.
    """
    area, error = roc_auc(positive, negative)
    normal = student_interval(area, error, freedom=float("inf"), minimum=0.0, maximum=1.0)
    grid = np.linspace(0, 1, 2001)
    m, n = len(positive), len(negative)
    spread = (1 - grid) / (2 - grid) + grid / (1 + grid)
    variance = grid * (1 - grid) * (1 + ((m + n) / 2 - 1) * spread) / (m * n)
    inside = grid[(grid - area) ** 2 <= _quantile(float("inf")) ** 2 * variance]
    return Score(
        value=area,
        lower=float(min([normal.lower, *inside[:1]])),
        upper=float(max([normal.upper, *inside[-1:]])),
    )


def _quantile(freedom: float) -> float:
    """Return the two-sided quantile of Student's law at the level of every interval."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
