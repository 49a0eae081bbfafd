"""Least squares by effects: the same as the normal equations, with the same covariance."""

import numpy as np
import pytest

from dpsynth.data.domain import Clique
from dpsynth.pgm.effects import Effects
from dpsynth.pgm.measurement import NoisyMarginal
from tests.pgm.brute_force import CLIQUE_SETS, DOMAIN, indicators, measure

NAMES = [n for n in CLIQUE_SETS if n not in ("none", "everything")]
# Overlapping, some inside others, one twice, axes out of order.
MIXED = CLIQUE_SETS["duplicates and subsets"]


def noisy(cliques: list[Clique], *, rng: np.random.Generator) -> list[NoisyMarginal]:
    """Measurements of no table at all, so that nothing is consistent by chance."""
    return [
        NoisyMarginal(
            clique=c, values=rng.normal(9, 5, DOMAIN.project(c).shape), sigma=rng.uniform(1, 4)
        )
        for c in cliques
    ]


def least_squares(measured: list[NoisyMarginal]) -> tuple[np.ndarray, np.ndarray]:
    """A table, of any sign, that solves the normal equations, and its covariance."""
    rows = np.concatenate([indicators(DOMAIN, m.clique) / m.sigma for m in measured])
    seen = np.concatenate([m.values.ravel() / m.sigma for m in measured])
    inverse = np.linalg.pinv(rows, rcond=1e-10)
    return inverse @ seen, inverse @ inverse.T


@pytest.mark.parametrize("name", NAMES)
def test_estimates_and_variances_are_those_of_the_normal_equations(name: str) -> None:
    rng = np.random.default_rng(1)
    measured = noisy(CLIQUE_SETS[name], rng=rng)
    effects = Effects.of(DOMAIN, measured, total=None)
    table, covariance = least_squares(measured)
    for clique in {m.clique for m in measured} | {m.clique[:1] for m in measured}:
        matrix, shape = indicators(DOMAIN, clique), DOMAIN.project(clique).shape
        np.testing.assert_allclose(effects.marginal(clique).ravel(), matrix @ table, atol=1e-8)
        exact = matrix @ covariance @ matrix.T
        np.testing.assert_allclose(effects.variance(clique), np.diag(exact), rtol=1e-8)
        weights = rng.normal(size=shape)
        expected = weights.ravel() @ exact @ weights.ravel()
        assert effects.query_variance(clique, weights) == pytest.approx(expected, rel=1e-8)


def test_marginals_agree_on_what_they_share() -> None:
    effects = Effects.of(DOMAIN, noisy(MIXED, rng=np.random.default_rng(5)), total=None)
    both = effects.marginal(("b", "c"))
    np.testing.assert_allclose(both.sum(axis=1), effects.marginal(("b",)), atol=1e-9)
    np.testing.assert_allclose(both.sum(axis=0), effects.marginal(("c",)), atol=1e-9)


@pytest.mark.statistical
def test_estimates_are_unbiased_with_the_stated_total_variance() -> None:
    """1,000 draws of noise, seed 6: each cell's mean within 4.5 standard errors (6 cells, alpha
    4e-5), the sum of squares within 4.5 of its own. Control: noise stated a tenth too large
    moves the stated variance out of the interval."""
    draws, sigmas = 1000, [3.0, 1.0, 2.0, 2.0, 7.0, 4.0]
    exact = measure([("b", "c")], sigma=1e-12, seed=4, domain=DOMAIN)[0].values
    truth = {c: measure([c], sigma=1e-12, seed=4, domain=DOMAIN)[0].values for c in MIXED}
    rng = np.random.default_rng(6)

    def drawn(factor: float = 1.0) -> Effects:
        measured = [
            NoisyMarginal(
                clique=c, values=truth[c] + rng.normal(0.0, s, truth[c].shape), sigma=factor * s
            )
            for c, s in zip(MIXED, sigmas, strict=True)
        ]
        return Effects.of(DOMAIN, measured, total=None)

    errors = np.stack([drawn().marginal(("b", "c")) - exact for _ in range(draws)])
    spread = drawn().variance(("b", "c"))
    assert np.abs(errors.mean(axis=0)).max() < 4.5 * (spread / draws) ** 0.5
    squares = (errors**2).sum(axis=(1, 2))
    stderr = squares.std() / draws**0.5
    assert abs(squares.mean() - exact.size * spread) < 4.5 * stderr
    wrong = exact.size * drawn(1.1).variance(("b", "c"))
    assert abs(squares.mean() - wrong) > 4.5 * stderr


@pytest.mark.statistical
def test_noise_has_the_stated_covariance() -> None:
    """Alpha 1e-5, 2,000 draws, seed 2: a variance is within 14% (4.4 deviations) of its value."""
    rng = np.random.default_rng(2)
    effects = Effects.of(DOMAIN, noisy(CLIQUE_SETS["chain"], rng=rng), total=None)
    weights = rng.normal(size=(3, 2))
    drawn = [(effects.noise(rng=rng).marginal(("b", "c")) * weights).sum() for _ in range(2000)]
    assert np.var(drawn) == pytest.approx(effects.query_variance(("b", "c"), weights), rel=0.14)
    # The control: weights twice as large.
    doubled = effects.query_variance(("b", "c"), 2 * weights)
    assert np.var(drawn) != pytest.approx(doubled, rel=0.14)


def test_a_public_total_is_exact_and_lowers_the_variance() -> None:
    measured = noisy([("a",), ("a", "b")], rng=np.random.default_rng(3))
    known = Effects.of(DOMAIN, measured, total=400.0)
    unknown = Effects.of(DOMAIN, measured, total=None)
    assert known.marginal(("b", "a")).sum() == pytest.approx(400.0)
    assert known.query_variance(("a",), np.ones(2)) == 0.0
    assert known.variance(("a",)) < unknown.variance(("a",))


def test_axes_follow_the_order_asked_for() -> None:
    effects = Effects.of(DOMAIN, noisy([("d", "b")], rng=np.random.default_rng(4)), total=None)
    np.testing.assert_array_equal(effects.marginal(("b", "d")), effects.marginal(("d", "b")).T)
    assert effects.covers(("d",))
    assert not effects.covers(("d", "a"))
