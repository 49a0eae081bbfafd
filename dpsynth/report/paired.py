"""What paired runs show: an exact test, and a bootstrap interval over seeds."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dpsynth.report.summary import LEVEL, Interval

Floats: TypeAlias = NDArray[np.float64]
RESAMPLES = 4999
FLIPS = 19_999  # of 20 generators' 190 pairs one can still be shown


def sign_flip_p(differences: Floats, strata: Sequence[Any], *, rng: np.random.Generator) -> float:
    """Return the two-sided p-value of paired differences under flips of their signs.

    If the two of each pair are exchangeable, as two runs of one algorithm are, a difference is as
    likely as its opposite, whatever its law: the test is exact at any number of pairs. It
    enumerates up to `FLIPS` flips and draws as many where there are more. Of n pairs p is at
    least 2^(1-n), so that five pairs show nothing at 5%.

    Args:
        differences: one a pair.
        strata: of each pair, what it belongs to; each stratum weighs the same.
        rng: draws flips where there are too many to enumerate.

    Reference: Fisher 1935, The Design of Experiments, section 21.
    """
    from scipy.stats import permutation_test

    if len(differences) == 0 or not np.any(differences):
        return 1.0
    if len(differences) == 1:
        return 1.0  # of two flips, both are as far from 0
    found = permutation_test(
        (differences * _weights(strata),),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=FLIPS,
        batch=500,
        random_state=rng,  # pyright: ignore[reportCallIssue]  its name before scipy 1.15
    )
    return float(found.pvalue)


def seed_bootstrap(values: Floats, strata: Sequence[Any], *, rng: np.random.Generator) -> Interval:
    """Return the mean over strata of their means, with its studentised bootstrap interval.

    Seeds are drawn with replacement within each stratum. Percentiles of resampled means are too
    narrow at a handful of seeds, by a factor of sqrt(1 - 1/n) and by Student's tails; those of the
    studentised mean are not. There is no interval (nan) where resamples without any variance are
    more frequent than its tails: with one seed, or three in one stratum.

    Args:
        values: one a seed and stratum: scores, or paired differences.
        strata: of each value, its data set.
        rng: draws the resamples.

    Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 12.5.
    """
    groups = [values[[s == name for s in strata]] for name in dict.fromkeys(strata)]
    value = float(np.mean([g.mean() for g in groups]))
    tail = (1 - LEVEL) / 2
    alike = float(np.prod([len(g) ** (1.0 - len(g)) for g in groups]))
    if min(len(g) for g in groups) < 2 or alike > tail:
        return Interval(value=value, lower=np.nan, upper=np.nan, seeds=len(values))
    drawn = [g[rng.integers(0, len(g), (RESAMPLES, len(g)))] for g in groups]
    shift = np.mean([d.mean(axis=1) for d in drawn], axis=0) - value
    error, errors = _standard_error(groups), _standard_error(drawn)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.nan_to_num(shift / errors, nan=0.0, posinf=np.inf, neginf=-np.inf)
    low, high = np.quantile(t, [tail, 1 - tail], method="inverted_cdf")
    if error == 0:
        low = high = 0.0
    return Interval(
        value=value,
        lower=float(value - high * error),
        upper=float(value - low * error),
        seeds=len(values),
    )


def _weights(strata: Sequence[Any]) -> Floats:
    counts = {name: list(strata).count(name) for name in strata}
    return np.array([1.0 / (counts[name] * len(counts)) for name in strata])


def _standard_error(groups: Sequence[Floats]) -> Any:
    """Return the standard error of the mean of means, over the last axis of each group."""
    variances = [g.var(axis=-1, ddof=1) / g.shape[-1] for g in groups]
    return np.sqrt(np.sum(variances, axis=0)) / len(groups)
