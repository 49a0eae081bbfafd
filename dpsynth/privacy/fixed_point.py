"""exp and the normal tail as integers scaled by a power of two, each within one unit of the truth.

They decide what floating point cannot: Python integers have no rounding that is not written out
here, so each result carries its proof.
"""

from fractions import Fraction
from functools import lru_cache
from math import isqrt

_GUARD = 64


def exp_negative(x: Fraction, bits: int) -> int:
    """Return an integer within 1 of 2**bits * exp(-x).

    x is halved until it is below 2**-8, the Taylor series is summed downwards with truncation, and
    the result squared back. With `bits + 64` working bits the series is off by less than 2**6 units
    and each squaring at most doubles the error and adds one; no more than log2(bits) + 9 squarings
    happen, since beyond x = 0.7 (bits + 1) the answer is 0. So the error stays far below the guard.

    Args:
        x: at least 0.
        bits: binary places of the answer, up to 2**20.
    """
    if x == 0:
        return 1 << bits
    if x * 10 > 7 * (bits + 1):  # exp(-x) < 2**-bits
        return 0
    work = bits + _GUARD
    halvings = max(0, (x.numerator // x.denominator).bit_length() + 8)
    argument = (x.numerator << work) // (x.denominator << halvings)
    total, term, n = 1 << work, 1 << work, 0
    while term:
        n += 1
        term = (term * argument >> work) // n
        total += -term if n % 2 else term
    for _ in range(halvings):
        total = total * total >> work
    return total >> _GUARD


@lru_cache(maxsize=8)
def pi(bits: int) -> int:
    """Return an integer within 1 of 2**bits * pi, by Machin's formula."""
    work = bits + _GUARD

    def arctan_inverse(m: int) -> int:
        power = total = (1 << work) // m
        n, sign = 1, 1
        while power:
            power //= m * m
            n, sign = n + 2, -sign
            total += sign * (power // n)
        return total

    return 4 * (4 * arctan_inverse(5) - arctan_inverse(239)) >> _GUARD


def normal_two_sided_tail(x: Fraction, bits: int) -> int:
    """Return an integer within 1 of 2**bits * P(|N(0, 1)| > x).

    P(|N| <= x) = sqrt(2 / pi) exp(-x^2 / 2) sum over n of x^(2n+1) / (1 3 5 ... (2n+1)): terms of
    one sign, so nothing cancels. The sum grows like exp(x^2 / 2); as many more working bits pay
    for that. Beyond x^2 / 2 = 0.7 (bits + 1) the answer is 0.

    Args:
        x: at least 0.
        bits: binary places of the answer.

    Reference: Abramowitz & Stegun 1964, equation 26.2.11.
    """
    half_square = x * x / 2
    if half_square * 10 > 7 * (bits + 1):
        return 0
    growth = int(half_square * 3 / 2) + 1  # more than log2(exp(x^2 / 2))
    work = bits + growth + 2 * _GUARD
    square = (2 * half_square.numerator << work) // half_square.denominator
    term = total = (x.numerator << work) // x.denominator
    n = 1
    while term:
        n += 2
        term = (term * square >> work) // n
        total += term
    root = isqrt((2 << 3 * work) // pi(work))  # sqrt(2 / pi), scaled
    inside = (total * exp_negative(half_square, work) >> work) * root >> work
    return (1 << bits) - (inside >> (work - bits))
