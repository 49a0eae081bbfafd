from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from dpsynth.privacy.fixed_point import exp_negative, normal_two_sided_tail, pi


@settings(max_examples=150, deadline=None)
@given(
    x=st.fractions(min_value=0, max_value=120, max_denominator=10**12),
    bits=st.sampled_from([16, 96, 160, 512]),
)
def test_exp_is_within_one_unit(x: Fraction, bits: int) -> None:
    with localcontext(prec=300):
        truth = (-Decimal(x.numerator) / Decimal(x.denominator)).exp() * 2**bits
        assert abs(exp_negative(x, bits) - truth) <= 1


def test_pi_is_within_one_unit() -> None:
    digits = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628")
    with localcontext(prec=100):
        assert abs(pi(200) - digits * 2**200) <= 1


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.3, 1.0, 2.5, 6.0, 9.3, 13.0, 26.0])
def test_normal_tail_agrees_with_scipy_and_with_itself_at_more_bits(x: float) -> None:
    value = normal_two_sided_tail(Fraction(x), 128)
    assert value / 2**128 == pytest.approx(2 * norm.sf(x), rel=1e-12, abs=2.0**-127)
    assert abs(normal_two_sided_tail(Fraction(x), 700) / 2**572 - value) <= 1


def test_normal_tail_obeys_its_differential_equation() -> None:
    # independent of scipy: -dT/dx = sqrt(2/pi) exp(-x^2/2), by a central difference at 400 bits
    step, bits = Fraction(1, 2**60), 400
    for x in map(Fraction, np.linspace(0.5, 8, 6)):
        fall = normal_two_sided_tail(x - step, bits) - normal_two_sided_tail(x + step, bits)
        slope = Fraction(fall, 2**bits) / (2 * step)
        density_squared = Fraction(2 * exp_negative(x * x, bits), pi(bits))
        assert float(slope**2 / density_squared) == pytest.approx(1, abs=1e-14)
