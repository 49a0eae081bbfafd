"""What endless replays of a transcript would show: how much of a gap is statistics, how much not.

An audit's lower bound falls short of the claim for three reasons: its runs are few, its pair of
tables does not move all answers as far as it could, and the accountant adds up more than can be
lost. With the exact law of the likelihood ratio the first is told from the other two.
"""

from math import sqrt

import numpy as np

from dpsynth.audit.replay import Additive, Selection, Worlds, prepared
from dpsynth.audit.transcript import Transcript
from dpsynth.errors import UnsupportedEventError

_THRESHOLDS = 400
_DECIMALS = 3
"""Sums of ratios of selections that agree to so many decimals are one, or they would be too many.
mu is known to about as many."""


def mu_limit(transcript: Transcript, worlds: Worlds, *, least_rate: float = 1e-3) -> float:
    """Return the mu that the likelihood ratio shows where both error rates are known exactly.

    The log-likelihood ratio of Gaussian answers is N(-m²/2, m²) in the first world and N(m²/2, m²)
    in the second, m² the sum of (shift / sigma)²; that of selections is a sum of independent
    discrete ones. mu is the largest over all thresholds.

    Args:
        transcript: Gaussian noise on counts and selections, nothing else; some Gaussian noise.
        worlds: the neighbours.
        least_rate: the least of either error rate that is looked at: runs are needed in number of
            a hundred times its inverse to tell a smaller one.

    Raises:
        UnsupportedEventError: other answers, or no Gaussian noise that differs.

    Reference: Dong, Roth & Su 2019, Equation 6 and Theorem 3.
    """
    from scipy.special import ndtr, ndtri

    squares, value, laws = 0.0, np.zeros(1), np.ones((2, 1))
    for step in transcript.steps:
        match prepared(step, worlds):
            case Additive() as found if found.step.family == "gaussian":
                squares += float((found.shift**2).sum()) / found.step.spread**2
            case Selection() as found:
                sums = np.add.outer(value, found.ratio).ravel().round(_DECIMALS)
                value, place = np.unique(sums, return_inverse=True)
                both = zip(laws, (found.law, found.law * np.exp(found.ratio)), strict=True)
                weights = [np.multiply.outer(law, one).ravel() for law, one in both]
                laws = np.stack([np.bincount(place.ravel(), weights=w) for w in weights])
            case _:
                rule = "only Gaussian noise on counts and selections have this limit"
                raise UnsupportedEventError("audit", step.event, rule)
    if squares == 0.0:
        raise UnsupportedEventError("audit", transcript.events, "no Gaussian answer differs")
    m = sqrt(squares)
    ends = float(value.min()) - 5 * m - squares, float(value.max()) + 5 * m + squares
    best = 0.0
    for threshold in np.linspace(*ends, _THRESHOLDS):
        away = threshold - value
        false_positive = laws[0] @ ndtr(-(away + squares / 2) / m)
        false_negative = laws[1] @ ndtr((away - squares / 2) / m)
        if min(false_positive, false_negative) >= least_rate:
            best = max(best, float(-ndtri(false_positive) - ndtri(false_negative)))
    return best
