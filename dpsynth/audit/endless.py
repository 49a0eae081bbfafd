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

_THRESHOLDS = 2000
_DECIMALS = 5
"""Ratios of selections that agree to so many decimals are one atom."""


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

    squares, value, chance = 0.0, np.zeros(1), np.ones(1)
    for step in transcript.steps:
        match prepared(step, worlds):
            case Additive() as found if found.step.family == "gaussian":
                squares += float((found.shift**2).sum()) / found.step.spread**2
            case Selection() as found:
                sums = np.add.outer(value, found.ratio).ravel()
                both = np.multiply.outer(chance, found.law).ravel()
                value, place = np.unique(sums.round(_DECIMALS), return_inverse=True)
                chance = np.bincount(place.ravel(), weights=both)
            case _:
                rule = "only Gaussian noise on counts and selections have this limit"
                raise UnsupportedEventError("audit", step.event, rule)
    if squares == 0.0:
        raise UnsupportedEventError("audit", transcript.events, "no Gaussian answer differs")
    m = sqrt(squares)
    ends = float(value.min()) - 5 * m - squares, float(value.max()) + 5 * m + squares
    away = np.linspace(*ends, _THRESHOLDS)[:, None] - value
    false_positive = ndtr(-(away + squares / 2) / m) @ chance
    false_negative = ndtr((away - squares / 2) / m) @ (chance * np.exp(value))
    told = np.minimum(false_positive, false_negative) >= least_rate
    return float((-ndtri(false_positive) - ndtri(false_negative))[told].max())
