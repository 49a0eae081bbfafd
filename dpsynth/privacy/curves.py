"""Exchange rates between (epsilon, delta) and the additive currencies of zCDP and Gaussian DP.

Every function rounds to the safe side: an epsilon or a delta is never below the true one, a rho or
a mu never above it. Floating error is bounded term by term and added, or subtracted.
"""

# pyright: reportMissingTypeStubs=false

from collections.abc import Callable
from functools import lru_cache
from math import exp, expm1, inf, isfinite, isinf, log, log1p, nextafter, pi, sqrt, tanh

from dpsynth.errors import InvalidValueError

# Relative error granted to one elementary float operation chain; an ulp is 2**-52, and no term
# below goes through more than a handful of operations and library calls.
_ROUNDING = 2.0**-48
# Golden-section steps: the bracket shrinks by .618 each, so 120 steps exhaust a double.
_SEARCH_STEPS = 120
_GOLDEN = (sqrt(5.0) - 1.0) / 2.0
# A sweep asks for the same few budgets fit after fit, and a search costs milliseconds.
_REMEMBERED = 256


@lru_cache(_REMEMBERED)
def zcdp_epsilon(rho: float, delta: float) -> float:
    """Return the epsilon at `delta` of anything that is rho-zCDP.

    The bound holds for every Renyi order alpha; the best one is found by golden section, which is
    sound because the bound is quasi-convex in alpha (its derivative changes sign once).

    Args:
        rho: at least 0.
        delta: in (0, 1).

    Raises:
        InvalidValueError: a value outside its range.

    Reference: Canonne, Kamath & Steinke 2020, Proposition 12.
    """
    _check_nonnegative("rho", rho)
    _check_delta(delta)
    if rho == 0.0:
        return 0.0

    def bound(t: float) -> float:
        order_minus_1 = exp(t)
        tail, error = _tail(order_minus_1, delta)
        return (1.0 + order_minus_1) * rho * (1.0 + _ROUNDING) + tail + error

    return max(0.0, _minimum(bound, *_order_range(delta)))


@lru_cache(_REMEMBERED)
def zcdp_rho(epsilon: float, delta: float) -> float:
    """Return the largest rho whose zCDP implies (epsilon, delta)-DP.

    Args:
        epsilon: above 0, finite.
        delta: in (0, 1).

    Raises:
        InvalidValueError: a value outside its range, or an epsilon too small for a double.

    Reference: Canonne, Kamath & Steinke 2020, Proposition 12, solved for rho at each order.
    """
    _check_positive("epsilon", epsilon)
    _check_delta(delta)

    def bound(t: float) -> float:
        order_minus_1 = exp(t)
        tail, error = _tail(order_minus_1, delta)
        return -(epsilon * (1.0 - _ROUNDING) - tail - error) / (1.0 + order_minus_1)

    rho = -_minimum(bound, *_order_range(delta)) * (1.0 - _ROUNDING)
    return _largest_within(rho, lambda value: zcdp_epsilon(value, delta), epsilon)


def renyi_epsilon(order: float, divergence: float, delta: float) -> float:
    """Return the epsilon at `delta` of anything of that Renyi divergence at that order.

    Args:
        order: above 1.
        divergence: at least 0; may be infinite.
        delta: in (0, 1).

    Raises:
        InvalidValueError: a value outside its range.

    Reference: Canonne, Kamath & Steinke 2020, Proposition 12.
    """
    _check_order(order, divergence)
    _check_delta(delta)
    tail, error = _tail(order - 1.0, delta)
    return max(0.0, divergence * (1.0 + _ROUNDING) + tail + error)


def renyi_delta(order: float, divergence: float, epsilon: float) -> float:
    """Return the delta at `epsilon` of anything of that Renyi divergence at that order.

    Args:
        order: above 1.
        divergence: at least 0; may be infinite.
        epsilon: at least 0.

    Raises:
        InvalidValueError: a value outside its range.

    Reference: Canonne, Kamath & Steinke 2020, Proposition 12; total variation is at most
        sqrt(1 - exp(-divergence)) (Bretagnolle & Huber 1979), and bounds delta at any epsilon.
    """
    _check_order(order, divergence)
    _check_nonnegative("epsilon", epsilon)
    if isinf(divergence):
        return 1.0
    a = order - 1.0
    terms = (a * divergence, -a * epsilon, -order * log1p(1.0 / a), -log(a))
    exponent = sum(terms) + _ROUNDING * sum(abs(term) for term in terms)
    distance = sqrt(-expm1(-divergence)) * (1.0 + _ROUNDING)
    return min(1.0, distance, exp(min(exponent, 0.0)) * (1.0 + _ROUNDING))


def _check_order(order: float, divergence: float) -> None:
    if not 1.0 < order < inf:
        raise InvalidValueError("order", order, "a finite number above 1")
    if not divergence >= 0.0:
        raise InvalidValueError("divergence", divergence, "at least 0")


def _tail(order_minus_1: float, delta: float) -> tuple[float, float]:
    """Return (log(1/delta) + alpha log(1 - 1/alpha) - log(alpha - 1)) / (alpha - 1), which is what
    Proposition 12 adds to a Renyi divergence, and a bound on its floating error."""
    a = order_minus_1
    terms = (-log(delta), -(1.0 + a) * log1p(1.0 / a), -log(a))
    return sum(terms) / a, _ROUNDING * sum(abs(term) for term in terms) / a


def _order_range(delta: float) -> tuple[float, float]:
    """Return the range of log(alpha - 1): the best order is beyond it for no double rho or epsilon
    of interest, and an order at its edge is still a valid bound."""
    return -40.0, 40.0 - log(delta)


def gdp_delta(mu: float, epsilon: float) -> float:
    """Return the exact delta at `epsilon` of mu-Gaussian DP, rounded up.

    Written with Mills ratios, so that nothing overflows and the tail keeps its relative precision:
    Phi(x) = phi(x) M(-x), and exp(epsilon) phi(b) = phi(a) for a, b = -epsilon/mu +- mu/2.

    Args:
        mu: at least 0.
        epsilon: at least 0.

    Raises:
        InvalidValueError: a value outside its range.

    Reference: Dong, Roth & Su 2019, Corollary 2.13; Balle & Wang 2018, Theorem 8.
    """
    from scipy.special import erfcx

    _check_nonnegative("mu", mu)
    _check_nonnegative("epsilon", epsilon)
    if mu == 0.0:
        return 0.0
    a = mu / 2.0 - epsilon / mu
    b = -mu / 2.0 - epsilon / mu
    if a > 0.0:  # the complement is the small number: 1 - delta = Phi(-a) + exp(epsilon) Phi(b)
        return _complement_delta(a, b)
    density = exp(-a * a / 2.0) / sqrt(2.0 * pi)
    scale = sqrt(pi / 2.0)
    first = scale * float(erfcx(-a / sqrt(2.0)))
    second = scale * float(erfcx(-b / sqrt(2.0)))
    # a carries a relative error of some ulps of epsilon/mu + mu/2 (= -b), exp turns it into
    # |a| |b| ulps; the ratios are good to a few ulps of their own size plus that of b.
    relative = _ROUNDING * (1.0 + a * b)
    return min(1.0, density * ((first - second) * (1.0 + relative) + _ROUNDING * first))


def _complement_delta(a: float, b: float) -> float:
    from scipy.special import erfcx

    density = exp(-a * a / 2.0) / sqrt(2.0 * pi)
    scale = sqrt(pi / 2.0)
    kept = density * scale * (float(erfcx(a / sqrt(2.0))) + float(erfcx(-b / sqrt(2.0))))
    return min(1.0, 1.0 - kept * (1.0 - _ROUNDING * (1.0 - a * b)) + _ROUNDING)


@lru_cache(_REMEMBERED)
def gdp_epsilon(mu: float, delta: float) -> float:
    """Return the exact epsilon at `delta` of mu-Gaussian DP, rounded up.

    Args:
        mu: at least 0.
        delta: in (0, 1).

    Raises:
        InvalidValueError: a value outside its range.

    Reference: Dong, Roth & Su 2019, Corollary 2.13, inverted by bisection.
    """
    _check_nonnegative("mu", mu)
    _check_delta(delta)
    if gdp_delta(mu, 0.0) <= delta:
        return 0.0
    above = mu * mu + mu
    while gdp_delta(mu, above) > delta:
        above *= 2.0
        if isinf(above):
            raise InvalidValueError("mu", mu, "small enough for its epsilon to be finite")
    return _bisect(lambda epsilon: gdp_delta(mu, epsilon) <= delta, false=0.0, true=above)


@lru_cache(_REMEMBERED)
def gdp_mu(epsilon: float, delta: float) -> float:
    """Return the largest mu whose Gaussian DP implies (epsilon, delta)-DP, rounded down.

    Args:
        epsilon: above 0, finite.
        delta: in (0, 1).

    Raises:
        InvalidValueError: a value outside its range.

    Reference: Dong, Roth & Su 2019, Corollary 2.13, inverted by bisection.
    """
    _check_positive("epsilon", epsilon)
    _check_delta(delta)
    above = 1.0
    while gdp_delta(above, epsilon) <= delta:
        above *= 2.0
    below = above / 2.0
    while gdp_delta(below, epsilon) > delta:
        below /= 2.0
    mu = _bisect(lambda value: gdp_delta(value, epsilon) <= delta, false=above, true=below)
    return _largest_within(mu, lambda value: gdp_epsilon(value, delta), epsilon)


def gdp_mu_of_pure(epsilon: float) -> float:
    """Return the smallest mu such that epsilon-DP implies mu-GDP, rounded up.

    The trade-off of epsilon-DP is two chords that meet the diagonal at 1 / (1 + exp(epsilon)); the
    convex trade-off of mu-GDP lies below both as soon as it passes through that point.

    Reference: Dong, Roth & Su 2019, Equation 5 and Definition 2.6.
    """
    from scipy.special import erfinv, ndtri_exp

    _check_positive("epsilon", epsilon)
    if epsilon < 1.0:  # 1/(1 + e^epsilon) is 1/2 - tanh(epsilon/2)/2: keep the small difference
        mu = 2.0 * sqrt(2.0) * float(erfinv(tanh(epsilon / 2.0)))
    else:
        mu = -2.0 * float(ndtri_exp(-epsilon - log1p(exp(-epsilon))))
    return mu * (1.0 + _ROUNDING)


def gdp_mu_of_range(epsilon: float) -> float:
    """Return the smallest mu such that every mechanism whose privacy loss has a range of at most
    `epsilon` (an exponential mechanism) is mu-GDP, rounded up: that of (epsilon/2)-DP.

    Such losses are dominated by two-point ones, with type I and II errors a, b on the hyperbola
    (a + c)(b + c) = c (1 + c), where c = 1 / (exp(epsilon) - 1). Along it, the mu whose trade-off
    passes through (a, b) changes with the sign of (a + c) / I(a) - (b + c) / I(b), where
    I = phi(Phi^-1). Since a (1 - a) / (a + c) = b (1 - b) / (b + c) = 1 - a - b on the hyperbola,
    that is the sign of J(b) - J(a) with J(x) = I(x) / (x (1 - x)), and J grows with |x - 1/2| (the
    normal law precedes the logistic in the s-order of van Zwet 1964). So mu is largest on the
    diagonal, at a = b = 1 / (1 + exp(epsilon / 2)).

    Reference: Dong, Durfee & Rogers 2020, Lemma 3.2 (two points suffice).
    """
    _check_positive("epsilon", epsilon)
    return gdp_mu_of_pure(epsilon / 2.0)


def range_of_gdp_mu(mu: float) -> float:
    """Return the largest epsilon such that a range of epsilon implies mu-GDP, rounded down.

    Reference: the inverse of `gdp_mu_of_range`.
    """
    return 2.0 * pure_of_gdp_mu(mu)


def pure_of_gdp_mu(mu: float) -> float:
    """Return an epsilon such that epsilon-DP implies mu-GDP: the largest one, rounded down.

    Reference: the inverse of `gdp_mu_of_pure`.
    """
    from scipy.special import log_ndtr

    _check_positive("mu", mu)
    epsilon = float(log_ndtr(mu / 2.0) - log_ndtr(-mu / 2.0))
    return _largest_within(epsilon, gdp_mu_of_pure, mu)


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the least value of a quasi-convex function that golden section meets."""
    left = high - _GOLDEN * (high - low)
    right = low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    best = min(at_left, at_right)
    for _ in range(_SEARCH_STEPS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
        best = min(best, at_left, at_right)
    return best


def _bisect(holds: Callable[[float], bool], *, false: float, true: float) -> float:
    """Return the point next to the boundary on the side where `holds` was seen to hold."""
    while True:
        middle = false + (true - false) / 2.0
        if middle in (false, true):
            return true
        if holds(middle):
            true = middle
        else:
            false = middle


def _largest_within(start: float, cost: Callable[[float], float], limit: float) -> float:
    """Return a value a hair below `start`, if need be, whose cost is at most `limit`."""
    value, shrink = start, 2.0**-52
    while value > 0.0 and cost(value) > limit:
        value = min(start * (1.0 - shrink), nextafter(value, 0.0))
        shrink *= 2.0
    if not value > 0.0:
        raise InvalidValueError("epsilon", limit, "large enough to buy anything at all")
    return value


def _check_nonnegative(field: str, value: float) -> None:
    if not 0.0 <= value < inf:
        raise InvalidValueError(field, value, "a finite number, at least 0")


def _check_positive(field: str, value: float) -> None:
    if not (isfinite(value) and value > 0.0):
        raise InvalidValueError(field, value, "a finite number above 0")


def _check_delta(delta: float) -> None:
    if not 0.0 < delta < 1.0:
        raise InvalidValueError("delta", delta, "above 0 and below 1")
