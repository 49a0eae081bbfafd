"""Kernels of forgetting: reversible in the columns' laws, from everything kept to nothing."""

from dataclasses import replace

import numpy as np
import pytest

from dpsynth.generators.neural.noising import Noising
from dpsynth.pgm.inversion import drawn_from

LAWS = (np.array([0.7, 0.2, 0.1]), np.array([0.05, 0.3, 0.4, 0.2, 0.05]), np.array([1.0]))


def noising(*, walk: bool) -> Noising:
    return Noising(laws=LAWS, ordered=(False, walk, walk), steps=8)


@pytest.mark.parametrize("walk", [True, False])
def test_kernels_are_reversible_in_the_laws_and_compose(walk: bool) -> None:
    kernels = noising(walk=walk)
    for law, so_far, by_step in zip(LAWS, kernels.so_far, kernels.by_step, strict=True):
        assert so_far[0] == pytest.approx(np.eye(len(law)))
        for step, kernel in enumerate(by_step, start=1):
            assert so_far[step - 1] @ kernel == pytest.approx(so_far[step])
            assert kernel.sum(axis=1) == pytest.approx(1.0)
            assert law[:, None] * kernel == pytest.approx((law[:, None] * kernel).T)
        assert np.abs(so_far[-1] - law).max() < 0.05  # nothing is left but the law


def test_a_walk_goes_to_neighbours_first() -> None:
    first = {walk: noising(walk=walk).by_step[1][0] for walk in (True, False)}
    assert first[True][0, 1] > 10 * first[True][0, 4]
    assert first[False][0, 1] == pytest.approx(6 * first[False][0, 4])


def test_arrays_carry_all_of_it() -> None:
    one = noising(walk=True)
    other = Noising.from_arrays(one.arrays())
    for first, second in zip(one.so_far, other.so_far, strict=True):
        assert (first == second).all()
    changed = Noising.from_arrays(replace(one, steps=9).arrays())
    assert len(changed.by_step[0]) == 9


def test_codes_are_drawn_by_their_weights() -> None:
    """20,000 draws, seed 0; each share within 5 standard errors (alpha 1e-5)."""
    rng = np.random.default_rng(0)
    weights = np.array([1.0, 0.0, 5.0, 4.0])
    drawn = drawn_from(np.tile(weights.cumsum(), (20_000, 1)), uniform=rng.random(20_000))
    shares = np.bincount(drawn, minlength=4) / 20_000
    expected = weights / weights.sum()
    assert (np.abs(shares - expected) <= 5 * np.sqrt(expected * (1 - expected) / 20_000)).all()
