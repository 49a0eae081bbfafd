"""Private selection of one candidate among many, exactly and in floating point.

Both mechanisms need only booleans of probability exp(-gamma), gamma = (best - score) * rate, and
those are drawn exactly (`exact.bernoulli_exp`). Scores arrive as floats that stand for reals; a
score off by an error makes the sensitivity of what is compared exceed the stated one. So scores
are rounded to a grid of sensitivity * 2**-16, and the mechanism runs with the sensitivity
enlarged by 2**-14 of itself: enough for the rounding and for an error of sensitivity * 2**-16 in
every score. The price is 0.006% of epsilon.
"""

from fractions import Fraction
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.exact import bernoulli_exp
from dpsynth.privacy.words import Words, uniform_below

_GRID = 2.0**-16
_ENLARGED = 1 + Fraction(1, 2**14)
_BLOCK = 1 << 17
_LARGEST_RATIO = 2.0**34  # beyond, a float cannot tell a score to within the allowed error


def check_scores(scores: NDArray[np.float64], *, epsilon: float, sensitivity: float) -> None:
    """Refuse what cannot be selected from.

    Raises:
        InvalidValueError: no score, a score that is not finite or above 2**34 sensitivities,
            epsilon or sensitivity not finite and positive.
    """
    if not (isfinite(epsilon) and epsilon > 0):
        raise InvalidValueError("epsilon", epsilon, "a finite number above 0")
    if not (isfinite(sensitivity) and sensitivity > 0):
        raise InvalidValueError("sensitivity", sensitivity, "a finite number above 0")
    if scores.ndim != 1 or scores.size == 0:
        raise InvalidValueError("shape of scores", scores.shape, "one axis, one score or more")
    largest = float(np.max(np.abs(scores)))
    if not largest <= sensitivity * _LARGEST_RATIO:
        raise InvalidValueError(
            "largest score", largest, f"finite and at most 2**34 x sensitivity {sensitivity!r}"
        )


def loss_rate(epsilon: float, sensitivity: float, monotone: bool) -> float:
    """Return the exponent per unit of score: epsilon / (2 sensitivity), without 2 if monotone.

    Without the 2 only if every score moves in the same direction when a record is added: the
    normalisation then shifts with the scores. An L1 error is not monotone.
    Reference: McSherry & Talwar 2007, Theorem 6; Dwork & Roth 2014, Section 3.4.
    """
    return epsilon / (sensitivity * (1.0 if monotone else 2.0))


class _Exponents:
    """gamma of each candidate: a count of grid steps below the best, times one exact rational."""

    def __init__(
        self, scores: NDArray[np.float64], epsilon: float, sensitivity: float, monotone: bool
    ) -> None:
        grid = np.rint(scores / (sensitivity * _GRID)).astype(np.int64)
        self._below = grid.max() - grid
        self._step = Fraction(epsilon) * Fraction(_GRID) / _ENLARGED / (1 if monotone else 2)
        self.gamma: NDArray[np.float64] = self._below * float(self._step)

    def exact(self, candidate: int) -> Fraction:
        return int(self._below[candidate]) * self._step


def exponential_mechanism(
    scores: NDArray[np.float64],
    size: int,
    *,
    epsilon: float,
    sensitivity: float,
    monotone: bool,
    words: Words,
) -> NDArray[np.intp]:
    """Return `size` candidates, i with probability exactly proportional to exp(-gamma_i).

    Uniform proposals, each accepted with probability exp(-gamma_i): what is accepted has the law
    of the exponential mechanism, and its loss has a range of at most epsilon.

    Args:
        scores: one a candidate, to be maximised.
        size: how many independent draws.
        epsilon: bound on the range of the privacy loss of one draw.
        sensitivity: largest change of any score between neighbours.
        monotone: True if all scores move the same way when a record is added.
        words: the source of random bits.

    Raises:
        InvalidValueError: scores or parameters out of range.

    Reference: McSherry & Talwar 2007, Section 3.
    """
    check_scores(scores, epsilon=epsilon, sensitivity=sensitivity)
    exponents = _Exponents(scores, epsilon, sensitivity, monotone)
    weight = float(np.exp(-exponents.gamma).sum())  # proposals accepted, of scores.size; at least 1
    chosen = np.empty(0, dtype=np.intp)
    while chosen.size < size:
        wanted = int((size - chosen.size) * scores.size / weight * 1.1) + 16
        proposals = uniform_below(scores.size, min(wanted, _BLOCK), words)

        def exact(i: int, proposals: NDArray[np.int64] = proposals) -> Fraction:
            return exponents.exact(int(proposals[i]))

        accepted = bernoulli_exp(exponents.gamma[proposals], exact, words)
        chosen = np.concatenate([chosen, proposals[accepted]])
    return chosen[:size]


def report_noisy_max(
    scores: NDArray[np.float64],
    *,
    epsilon: float,
    sensitivity: float,
    monotone: bool,
    words: Words,
) -> int:
    """Return the candidate of the largest score plus exponential noise of scale 1 / rate.

    Drawn as permute-and-flip, which has the same law: visit the candidates in random order and
    take each with probability exp(-gamma_i). It is epsilon-DP and never worse in expectation than
    the exponential mechanism, but the range of its loss may exceed epsilon.

    Args and Raises: as `exponential_mechanism`, for a single draw.

    Reference: McKenna & Sheldon 2020, Algorithm 1; Ding et al. 2021, Theorem 5 (same law).
    """
    check_scores(scores, epsilon=epsilon, sensitivity=sensitivity)
    exponents = _Exponents(scores, epsilon, sensitivity, monotone)
    order = _permutation(scores.size, words)

    def exact(i: int) -> Fraction:
        return exponents.exact(int(order[i]))

    # The best candidate has gamma 0 and is taken for certain, so one always is.
    return int(order[int(bernoulli_exp(exponents.gamma[order], exact, words).argmax())])


def _permutation(n: int, words: Words) -> NDArray[np.intp]:
    """Return an exactly uniform permutation: the order of n distinct words."""
    while True:
        keys = words(n)
        order = np.argsort(keys, kind="stable")
        if n < 2 or bool((np.diff(keys[order]) > 0).all()):
            return order


def softmax_draws(
    scores: NDArray[np.float64], rate: float, size: int, *, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return `size` draws of the exponential mechanism, in floating point: research only.

    Args:
        scores: one a candidate, to be maximised.
        rate: exponent per unit of score (`loss_rate`).
        size: how many independent draws.
        rng: source of randomness.
    """
    cumulative = np.cumsum(np.exp(rate * (scores - scores.max())))
    uniforms: NDArray[np.float64] = rng.random(size) * cumulative[-1]
    drawn: NDArray[np.intp] = np.searchsorted(cumulative, uniforms, side="right")
    return np.minimum(drawn, scores.size - 1)


def exponential_argmax(
    scores: NDArray[np.float64], rate: float, *, rng: np.random.Generator
) -> int:
    """Return a candidate of report-noisy-max, in floating point: research only.

    Args: as `softmax_draws`.
    """
    return int(np.argmax(rate * scores + rng.exponential(size=scores.size)))
