"""Exact samplers, vectorised: floating point proposes, integers decide.

Every law here is sampled by comparing a uniform U of unlimited precision with thresholds S(k).
64 bits of U are drawn at once for all; floating point then tells on which side of its thresholds
each U lies, unless it lies within a margin of one. The margin is at least 2**7 times the rounding
errors of everything inside it (NumPy's exp and log: a few units of 2**-52; SciPy's ndtri: 2**-49),
so a decision made is right. The rest, less than one in a million, is decided by integers of
whatever precision it takes, with further bits of U. The law sampled is therefore the law stated,
at distance 0: no truncated tail, no rounded probability, and sigma is the float given, exactly.

Reference: Canonne, Kamath & Steinke 2020, Algorithms 2 and 3 (discrete Laplace and Gaussian).
"""

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.fixed_point import exp_negative, normal_two_sided_tail
from dpsynth.privacy.words import Words, random_signs

_BLOCK = 1 << 17  # draws handled at once
_ROUNDED_BLOCK = 1 << 14  # of laws that reject nothing: all working arrays stay in cache
_MARGIN = 2.0**-42  # relative error allowed to floating point
_SMALLEST, _LARGEST = 2.0**-40, 2.0**40
_UNIT = 2.0**-64

Survival = Callable[[int, int], int]
"""`survival(k, bits)`: an integer within 1 of 2**bits * S(k), S not increasing in k >= 1."""


class _LazyUniform:
    """A uniform U of [0, 1) of which only so many bits are known as a comparison needed."""

    def __init__(self, word: int, words: Words, *, bits: int = 64) -> None:
        self._known, self._bits, self._words = word, bits, words

    def below(self, threshold: Callable[[int], int]) -> bool:
        """Return whether U < t, where `threshold(bits)` is within 1 of 2**bits * t."""
        while True:
            value = threshold(self._bits + 32)
            if (self._known + 1) << 32 <= value - 1:
                return True
            if self._known << 32 >= value + 1:
                return False
            self._known = self._known << 64 | int(self._words(1)[0])
            self._bits += 64

    def count(self, survival: Survival, guess: int) -> int:
        """Return how many k >= 1 have U < S(k), searching outwards from `guess`."""

        def reaches(k: int) -> bool:
            return k == 0 or self.below(partial(survival, k))

        low, step = max(guess, 0), 1
        while not reaches(low):
            low, step = max(low - step, 0), 2 * step
        high, step = low + 1, 1
        while reaches(high):
            low, high, step = high, high + step, 2 * step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if reaches(middle) else (low, middle)
        return low


def bernoulli(probability: float, n: int, words: Words) -> NDArray[np.bool_]:
    """Return `n` booleans, each True with exactly `probability` (a float of [0, 1]).

    Sixteen bits decide all but one in 2**16 of them; each of those gets as many more as it needs.
    """
    numerator, denominator = probability.as_integer_ratio()

    def threshold(bits: int) -> int:
        return (numerator << bits) // denominator

    draws = words(-(-n // 4)).view(np.uint16)[:n]
    cut = threshold(16)
    if cut == 1 << 16:
        return np.ones(n, dtype=np.bool_)
    below = draws < np.uint16(cut)
    for i in np.flatnonzero(draws == np.uint16(cut)):
        below[i] = _LazyUniform(cut, words, bits=16).below(threshold)
    return below


def bernoulli_exp(
    gamma: NDArray[np.float64], exact: Callable[[int], Fraction], words: Words
) -> NDArray[np.bool_]:
    """Return booleans, entry i True with probability exactly exp(-exact(i)).

    Args:
        gamma: floats within 2**-42 (1 + gamma) of the exact exponents, at least 0.
        exact: the exponent of one entry as a rational; called for ties only.
        words: the source of random bits.
    """
    draws = words(gamma.size)
    uniform = (draws.astype(np.float64) + 0.5) * _UNIT
    clipped = np.minimum(gamma, 64.0)
    probability = np.exp(-clipped)
    slack = probability * (2 * _MARGIN * (1.0 + clipped)) + 2 * _UNIT
    accept = uniform < probability
    for i in np.flatnonzero(np.abs(uniform - probability) <= slack):
        exponent = exact(int(i))
        accept[i] = exponent == 0 or _LazyUniform(int(draws[i]), words).below(
            partial(exp_negative, exponent)
        )
    return accept


def _round_down(
    estimate: NDArray[np.float64],
    margin: NDArray[np.float64],
    draws: NDArray[np.uint64],
    survival: Survival,
    words: Words,
) -> NDArray[np.float64]:
    """Return floor(estimate), each entry within its margin of an integer decided by `survival`."""
    result = np.floor(estimate)
    fraction = estimate - result
    for i in np.flatnonzero(np.minimum(fraction, 1.0 - fraction) <= margin):
        uniform = _LazyUniform(int(draws[i]), words)
        result[i] = uniform.count(survival, int(result[i]))
    return result


def _laplace_magnitude(scale: float, offset: Fraction, n: int, words: Words) -> NDArray[np.float64]:
    """Return `n` draws of M with P(M >= k) = exp(-(k - offset) / scale) for k >= 1.

    M = floor(scale * E + offset) with E = -log(U). The margin covers the error of the logarithm
    and, by scale / word, the bits of U beyond the 64 known.
    """
    exact_scale = Fraction(scale)
    draws = words(n)
    word = draws.astype(np.float64) + 0.5
    exponential = -np.log(word * _UNIT)
    estimate = scale * exponential + float(offset)
    margin = scale * (_MARGIN * (1.0 + exponential) + 1.0 / word) + _MARGIN
    margin[word < 1] = np.inf

    def survival(k: int, bits: int) -> int:
        return exp_negative((k - offset) / exact_scale, bits)

    return _round_down(estimate, margin, draws, survival, words)


def _discrete_laplace(scale: float, n: int, words: Words) -> NDArray[np.float64]:
    """Return between 0 and `n` draws, P(X = k) proportional to exp(-|k| / scale).

    A signed geometric variable, of which negative zeros are thrown away: zero has two signs.
    """
    magnitude = _laplace_magnitude(scale, Fraction(0), n, words)
    signs = random_signs(n, words)
    return (signs * magnitude)[(magnitude > 0) | (signs > 0)]


def _rounded_laplace(scale: float, n: int, words: Words) -> NDArray[np.float64]:
    """Return `n` draws of round(X), X continuous Laplace."""
    magnitude = _laplace_magnitude(scale, Fraction(1, 2), n, words)
    return random_signs(n, words) * magnitude


def _rounded_gaussian(sigma: float, n: int, words: Words) -> NDArray[np.float64]:
    """Return `n` draws of round(N(0, sigma^2)).

    The magnitude is floor(sigma * Q(U) + 1/2), Q the inverse of the two-sided tail. Since
    density(x) >= x U / 2, the unknown bits of U move x by at most 1 / (word * density), which up to
    x = 5 is less than half a margin; what lies beyond is decided by integers.
    """
    from scipy.special import ndtri  # pyright: ignore[reportMissingTypeStubs]

    exact_sigma = Fraction(sigma)
    draws = words(n)
    word = draws.astype(np.float64) + 0.5
    quantile = -ndtri(word * (_UNIT / 2))
    margin = np.where(quantile > 5.0, np.inf, sigma * (7.0 * _MARGIN) + _MARGIN)

    def survival(k: int, bits: int) -> int:
        return normal_two_sided_tail((k - Fraction(1, 2)) / exact_sigma, bits)

    magnitude = _round_down(sigma * quantile + 0.5, margin, draws, survival, words)
    return random_signs(n, words) * magnitude


def _discrete_gaussian(sigma: float, n: int, words: Words) -> NDArray[np.float64]:
    """Return between 0 and `n` draws, P(X = k) proportional to exp(-k^2 / (2 sigma^2)).

    Discrete Laplace proposals Y of scale t = floor(sigma) + 1, accepted with probability
    exp(-(|Y| - sigma^2 / t)^2 / (2 sigma^2)).
    Reference: Canonne, Kamath & Steinke 2020, Algorithm 3.
    """
    t = int(sigma) + 1
    proposals = _discrete_laplace(float(t), n, words)
    root = (np.abs(proposals) - sigma * (sigma / t)) / sigma
    variance = Fraction(sigma) ** 2

    def exact(i: int) -> Fraction:
        return (abs(int(proposals[i])) - variance / t) ** 2 / (2 * variance)

    return proposals[bernoulli_exp(root * root / 2, exact, words)]


_SAMPLERS: dict[tuple[str, NoiseLaw], Callable[[float, int, Words], NDArray[np.float64]]] = {
    ("gaussian", NoiseLaw.DISCRETE): _discrete_gaussian,
    ("gaussian", NoiseLaw.ROUNDED): _rounded_gaussian,
    ("laplace", NoiseLaw.DISCRETE): _discrete_laplace,
    ("laplace", NoiseLaw.ROUNDED): _rounded_laplace,
}


def integer_noise(
    family: str, law: NoiseLaw, spread: float, n: int, words: Words
) -> NDArray[np.float64]:
    """Return `n` integers (as floats) of exactly the stated law.

    Args:
        family: "gaussian" (spread is sigma) or "laplace" (spread is the scale).
        law: DISCRETE or ROUNDED.
        spread: at most 2**40. Below 2**-40 it is taken as 2**-40: more noise, never less.
        n: how many.
        words: the source of random bits.

    Raises:
        InvalidValueError: a spread beyond 2**40, where a float no longer holds every integer.
    """
    if not 0 < spread <= _LARGEST:
        raise InvalidValueError("noise scale", spread, "above 0 and at most 2**40")
    draw = _SAMPLERS[family, law]
    result = np.empty(n, dtype=np.float64)
    filled = 0
    while filled < n:
        wanted = min(_ROUNDED_BLOCK if law is NoiseLaw.ROUNDED else _BLOCK, n - filled)
        spare = 0 if law is NoiseLaw.ROUNDED else wanted // 4 + 8  # for proposals rejected
        drawn = draw(max(spread, _SMALLEST), wanted + spare, words)[:wanted]
        result[filled : filled + drawn.size] = drawn
        filled += drawn.size
    result += 0.0  # no negative zeros
    return result
