"""From scores in two worlds to a verdict: thresholds on one split, counts on another, exact bounds.

With probability 1 - alpha every bound below holds at once: each of the 6 J error rates (J score
families, three thresholds each, two kinds of error) gets alpha / (6 J) of the error. A threshold is
chosen on validation runs only, so the counts on test runs are binomial.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, final, get_args

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.statistics import binomial_upper
from dpsynth.audit.tradeoff import TradeOff

_THRESHOLDS = 400
_POWER = 0.9
_MOST_TABLED = 5_000

Goal = Literal["mu", "epsilon", "claim"]


@final
@dataclass(frozen=True, kw_only=True)
class ScoreTest:
    """One score family at one threshold, counted once on test runs.

    Args:
        family: the score.
        goal: which lower bound the threshold was chosen for, or the claim itself.
        runs: test runs in each world.
        false_positives: runs of world 0 above the threshold.
        false_negatives: runs of world 1 at or below it.
        false_positive_upper, false_negative_upper: bounds on the rates, valid together with all
            others of the audit.
        epsilon_lower: what (epsilon, delta) must at least be, given these bounds.
        mu_lower: what the mu of Gaussian DP must at least be.
        violated: whether the bounds contradict the claim.
    """

    family: str
    goal: Goal
    runs: int
    false_positives: int
    false_negatives: int
    false_positive_upper: float
    false_negative_upper: float
    epsilon_lower: float
    mu_lower: float
    violated: bool


def bound_level(alpha: float, families: int) -> float:
    """Return the error probability of each one-sided bound: alpha / (2 J), J tests counted."""
    return alpha / (2 * families * len(get_args(Goal)))


def epsilon_bound(
    false_positive: NDArray[np.float64], false_negative: NDArray[np.float64], delta: float
) -> NDArray[np.float64]:
    """Return the least epsilon that allows error rates below these bounds; at least 0.

    Reference: Kairouz, Oh & Viswanath 2015, Theorem 2.1.
    """
    one = _log_ratio(1.0 - false_negative - delta, false_positive)
    other = _log_ratio(1.0 - false_positive - delta, false_negative)
    return np.maximum(np.maximum(one, other), 0.0)


def _log_ratio(
    numerator: NDArray[np.float64], denominator: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.log(np.maximum(numerator, np.finfo(np.float64).tiny)) - np.log(denominator)


def mu_bound(
    false_positive: NDArray[np.float64], false_negative: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the least mu of Gaussian DP that allows error rates below these bounds; at least 0.

    Reference: Dong, Roth & Su 2019, Equation 6.
    """
    from scipy.special import ndtri

    return np.maximum(-ndtri(false_positive) - ndtri(false_negative), 0.0)


def violates(
    claim: TradeOff, false_positive: NDArray[np.float64], false_negative: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return whether error rates below these bounds contradict the claim, in either direction."""
    return (false_negative < claim(false_positive)) | (false_positive < claim(false_negative))


def decide(
    families: tuple[str, ...],
    validation: tuple[NDArray[np.float64], NDArray[np.float64]],
    test: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    claim: TradeOff,
    delta: float,
    alpha: float,
) -> tuple[ScoreTest, ...]:
    """Return the tests of every family for both goals.

    Args:
        families: names of the scores.
        validation: scores in world 0 and world 1, each of shape (families, runs).
        test: likewise, of independent runs.
        claim: the trade-off function that is claimed.
        delta: at which epsilon is bounded.
        alpha: probability with which any of all bounds may fail.
    """
    level = bound_level(alpha, len(families))
    runs = int(test[0].shape[1])
    tests: list[ScoreTest] = []
    for row, family in enumerate(families):
        thresholds = _thresholds(
            validation[0][row], validation[1][row], claim=claim, delta=delta, level=level
        )
        for goal, threshold in thresholds.items():
            positives = int((test[0][row] > threshold).sum())
            negatives = int((test[1][row] <= threshold).sum())
            upper = binomial_upper(np.array([positives, negatives]), runs, alpha=level)
            first, second = upper[:1], upper[1:]
            tests.append(
                ScoreTest(
                    family=family,
                    goal=goal,
                    runs=runs,
                    false_positives=positives,
                    false_negatives=negatives,
                    false_positive_upper=float(first[0]),
                    false_negative_upper=float(second[0]),
                    epsilon_lower=float(epsilon_bound(first, second, delta)[0]),
                    mu_lower=float(mu_bound(first, second)[0]),
                    violated=bool(violates(claim, first, second)[0]),
                )
            )
    return tuple(tests)


def _thresholds(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    claim: TradeOff,
    delta: float,
    level: float,
) -> dict[Goal, float]:
    """Return for each goal the threshold whose bound, computed on these scores, is largest, or for
    the goal "claim" nearest to contradicting the claim."""
    pooled = np.unique(np.concatenate([first, second]))
    if pooled.size > _THRESHOLDS:
        # even in rank, and dense towards both ends, where large epsilons are found
        rank = (1 - np.cos(np.linspace(0, np.pi, _THRESHOLDS))) / 2
        pooled = pooled[np.round(rank * (pooled.size - 1)).astype(np.int64)]
    runs = first.size
    positives = runs - np.searchsorted(np.sort(first), pooled, side="right")
    negatives = np.searchsorted(np.sort(second), pooled, side="right")
    false_positive, false_negative = (
        _bounds(positives, runs, level),
        _bounds(negatives, runs, level),
    )
    reached: dict[Goal, NDArray[np.float64]] = {
        "mu": mu_bound(false_positive, false_negative),
        "epsilon": epsilon_bound(false_positive, false_negative, delta),
        "claim": np.maximum(
            _apart(claim(false_positive), false_negative),
            _apart(claim(false_negative), false_positive),
        ),
    }
    return {goal: float(pooled[int(np.argmax(found))]) for goal, found in reached.items()}


def _bounds(counts: NDArray[np.int64], runs: int, level: float) -> NDArray[np.float64]:
    """Return `binomial_upper`, where runs are few from a table that all scores share."""
    if runs > _MOST_TABLED:
        return binomial_upper(counts, runs, alpha=level)
    return _table(runs, level)[counts]


@lru_cache(maxsize=16)
def _table(runs: int, level: float) -> NDArray[np.float64]:
    return binomial_upper(np.arange(runs + 1), runs, alpha=level)


def _apart(least: NDArray[np.float64], bound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how many standard deviations of a normal law an error rate is below the least one
    allowed. A difference of rates would be best where nothing is tested, at 0 and 1."""
    from scipy.special import ndtri

    inside = np.clip(least, 1e-300, 1.0 - 1e-16)
    return np.where(bound >= 1.0, -np.inf, ndtri(inside) - ndtri(np.minimum(bound, 1.0 - 1e-16)))


def largest_measurable_epsilon(runs: int, level: float, delta: float) -> float:
    """Return the epsilon bound of an attack that never errs: no audit of this size can see more."""
    upper = binomial_upper(np.zeros(1), runs, alpha=level)
    return float(epsilon_bound(upper, upper, delta)[0])


def smallest_detectable_inflation(
    claim: TradeOff, epsilon: float, *, runs: int, level: float
) -> float:
    """Return the least factor c so that a loss c times the claimed one is found with power 0.9.

    The mechanism assumed is Gaussian with c times the largest mu that keeps the claim, or, where a
    claim of pure epsilon leaves no mu, randomised response of c epsilon. Both keep the claim at
    c = 1. The score assumed is the likelihood ratio.

    Args:
        claim: the trade-off function that is claimed.
        epsilon: the claimed epsilon, used where there is no mu.
        runs: test runs in each world.
        level: error probability of each bound.

    Returns:
        The factor, to within 1%; inf beyond 1000.
    """
    mu = claim.largest_mu
    low, high = 1.0, 1000.0
    if not _detects(claim, mu, epsilon, high, runs=runs, level=level):
        return float("inf")
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        if _detects(claim, mu, epsilon, middle, runs=runs, level=level):
            high = middle
        else:
            low = middle
    return high


def _detects(
    claim: TradeOff, mu: float | None, epsilon: float, factor: float, *, runs: int, level: float
) -> bool:
    from scipy.special import expit, ndtr

    if mu is not None:
        cut = np.linspace(-4.0, 4.0 + factor * mu, 200)
        rates = ndtr(-cut), ndtr(cut - factor * mu)
    else:
        rates = (np.array([expit(-factor * epsilon)]),) * 2
    # each count stays below its quantile with probability (1 + power) / 2, so both with the power
    counts = [_binomial_quantile((1 + _POWER) / 2, runs, rate) for rate in rates]
    bounds = [binomial_upper(count, runs, alpha=level) for count in counts]
    return bool(violates(claim, *bounds).any())


def _binomial_quantile(share: float, runs: int, rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smallest count that is not exceeded with probability `share`."""
    from scipy.special import bdtr, bdtrik

    count = np.ceil(bdtrik(share, runs, rate))
    count = np.where(np.isnan(count), np.where(rate < 0.5, 0, runs), count)  # rates at the ends
    below = np.maximum(count - 1, 0)
    return np.clip(np.where(bdtr(below, runs, rate) >= share, below, count), 0, runs)
