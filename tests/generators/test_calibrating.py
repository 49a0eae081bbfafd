"""Shifts of logits that give columns their laws: against the plain way of finding them."""

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.generators.neural.calibrating import shift_to
from dpsynth.generators.neural.softmax import parts, softmax

DOMAIN = Domain(sizes={"a": 2, "b": 9, "c": 1, "d": 4})


def plain(logits: np.ndarray, shares: np.ndarray, rounds: int) -> np.ndarray:
    shift = np.zeros_like(shares)
    for _ in range(rounds):
        laws = [softmax(part).mean(axis=0) for part in parts(logits + shift, DOMAIN)]
        shift += np.log(shares / np.maximum(np.concatenate(laws), 1e-12))
    return shift


def wanted(rng: np.random.Generator) -> np.ndarray:
    return np.concatenate([rng.dirichlet(np.ones(size)) for size in DOMAIN.shape])


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0])
def test_shifts_are_those_of_rounds_of_softmaxes(spread: float) -> None:
    rng = np.random.default_rng(0)
    logits, shares = spread * rng.normal(size=(500, 16)), wanted(rng)
    for rounds in (1, 3, 20):
        found = shift_to(logits, shares, DOMAIN, rounds=rounds)
        np.testing.assert_allclose(found, plain(logits, shares, rounds), rtol=1e-9, atol=1e-9)


def test_rows_of_one_code_each_leave_no_shift_without_a_number() -> None:
    """Nothing moves their laws, so that shifts grow with every round."""
    rng = np.random.default_rng(0)
    shares = np.concatenate([np.full(size, 1.0 / size) for size in DOMAIN.shape])
    logits = np.where(np.arange(16) == np.array([0]), 1e4, -1e4) * np.ones((500, 1))
    for by in (logits, 1e4 * rng.normal(size=(500, 16))):
        assert np.isfinite(shift_to(by, shares, DOMAIN, rounds=60)).all()


def test_mean_laws_are_the_shares() -> None:
    rng = np.random.default_rng(1)
    logits, shares = rng.normal(size=(500, 16)), wanted(rng)
    shifted = logits + shift_to(logits, shares, DOMAIN)
    laws = np.concatenate([softmax(part).mean(axis=0) for part in parts(shifted, DOMAIN)])
    np.testing.assert_allclose(laws, shares, atol=1e-6)
    assert (
        np.abs(np.concatenate([softmax(p).mean(0) for p in parts(logits, DOMAIN)]) - shares).max()
        > 0.1
    )
