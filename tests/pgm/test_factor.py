"""Factors: sums, expansion and sums of products against einsum written by hand."""

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.factor import Factor, sum_product

RNG = np.random.default_rng(0)
A = Factor(domain=Domain(sizes={"a": 2, "b": 3}), values=RNG.random((2, 3)))
B = Factor(domain=Domain(sizes={"b": 3, "s": 1, "c": 4}), values=RNG.random((3, 1, 4)))
C = Factor(domain=Domain(sizes={"c": 4, "d": 2}), values=RNG.random((4, 2)))


def test_shape_must_be_the_domains() -> None:
    with pytest.raises(InvalidValueError, match=r"\(3, 2\).*\(2, 3\)"):
        Factor(domain=A.domain, values=np.zeros((3, 2)))


def test_sum_follows_the_order_asked_for() -> None:
    np.testing.assert_allclose(B.sum(("c", "b")).values, B.values.sum(axis=1).T)
    np.testing.assert_allclose(B.sum(("c", "b", "s")).values, B.values.transpose(2, 0, 1))


def test_expand_repeats() -> None:
    wide = A.expand(Domain(sizes={"c": 4, "b": 3, "a": 2})).values
    np.testing.assert_array_equal(wide, np.stack([A.values.T] * 4))


def test_sum_product_is_einsum() -> None:
    expected = np.einsum("ab,bc,cd->dsa".replace("s", ""), A.values, B.values[:, 0], C.values)
    found = sum_product([A, B, C], ("d", "s", "a"), ceiling=100)
    np.testing.assert_allclose(found.values, expected[:, None, :])
    assert found.domain.attributes == ("d", "s", "a")


def test_sum_product_refuses_what_is_too_large() -> None:
    with pytest.raises(InvalidValueError, match="48, but it must be at most 47"):
        sum_product([A, B, C], ("a", "b", "c", "d"), ceiling=47)
    wide = [
        Factor(domain=Domain(sizes={f"{i}{j}": 2 for j in range(20)}), values=np.ones((2,) * 20))
        for i in range(3)
    ]
    with pytest.raises(InvalidValueError, match="60, but it must be at most 52"):
        sum_product(wide, ("00",), ceiling=2**21)
