"""Residuals: an orthogonal decomposition, and least squares equal to the dense one."""

from itertools import combinations

import numpy as np
import pytest

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import UnknownNameError
from dpsynth.pgm.effects import centred
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.residuals import Residuals, decompose
from tests.pgm.brute_force import measure, table_marginal

DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 4, "e": 1})
# Overlapping, one inside another, one twice, axes out of order.
MEASURED: list[Clique] = [("a",), ("c", "b"), ("a", "b"), ("b", "a"), ("a", "c", "e")]


def subsets(clique: Clique) -> list[Clique]:
    return [s for size in range(len(clique) + 1) for s in combinations(clique, size)]


def matrix(clique: Clique) -> np.ndarray:
    """The query matrix of a marginal: its cells by the cells of the full table."""
    rows = []
    for cell in np.eye(DOMAIN.cells):
        rows.append(table_marginal(DOMAIN, cell.reshape(DOMAIN.shape), clique).ravel())
    return np.stack(rows, axis=1)


def residual_matrix(clique: Clique) -> np.ndarray:
    shape = [DOMAIN.sizes[a] for a in clique]
    return np.stack([centred(column.reshape(shape)).ravel() for column in matrix(clique).T], axis=1)


def noisy(cliques: list[Clique], sigmas: list[float], seed: int) -> list[NoisyMarginal]:
    found = []
    for i, (clique, sigma) in enumerate(zip(cliques, sigmas, strict=True)):
        exact = measure([clique], sigma=1e-12, seed=seed, domain=DOMAIN)[0].values
        drawn = np.random.default_rng([seed, i]).normal(0.0, sigma, exact.shape)
        found.append(NoisyMarginal(clique=clique, values=exact + drawn, sigma=sigma))
    return found


def dense(measurements: list[NoisyMarginal], clique: Clique) -> np.ndarray:
    """Weighted least squares of least norm over the full table."""
    stacked = np.vstack([matrix(m.clique) / m.sigma for m in measurements])
    answers = np.concatenate([m.values.ravel() / m.sigma for m in measurements])
    table = np.linalg.pinv(stacked) @ answers
    return table_marginal(DOMAIN, table.reshape(DOMAIN.shape), clique)


def test_residuals_of_different_sets_are_orthogonal_and_span_the_marginals() -> None:
    """A basis that is wrong in any axis (no centring, or another mean) fails here."""
    every = subsets(DOMAIN.attributes)
    blocks = {clique: residual_matrix(clique) if clique else matrix(()) for clique in every}
    for one, other in combinations(every, 2):
        assert np.abs(blocks[one] @ blocks[other].T).max() < 1e-12
    ranks = [np.linalg.matrix_rank(block) for block in blocks.values()]
    assert ranks == [np.prod([DOMAIN.sizes[a] - 1 for a in clique]) for clique in every]
    assert sum(ranks) == DOMAIN.cells


def test_a_marginal_is_the_sum_of_its_residuals() -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 4))
    parts = decompose(("a", "b", "c"), values)
    assert set(parts) == set(subsets(("a", "b", "c")))
    exact = Residuals(domain=DOMAIN, values=parts, variances=dict.fromkeys(parts, 1.0))
    np.testing.assert_allclose(exact.marginal(("a", "b", "c")), values, atol=1e-12)
    np.testing.assert_allclose(exact.marginal(("c", "a")), values.sum(axis=1).T, atol=1e-12)


@pytest.mark.parametrize("asked", [("a", "b"), ("c", "b"), ("c",), ("a", "b", "c"), ("e", "a"), ()])
def test_reconstruction_is_dense_least_squares(asked: Clique) -> None:
    measurements = noisy(MEASURED, [3.0, 1.0, 2.0, 0.5, 7.0], seed=1)
    found = Residuals.estimate(DOMAIN, measurements).marginal(asked)
    np.testing.assert_allclose(found, dense(measurements, asked), atol=1e-8)


def test_marginals_agree_on_what_they_share() -> None:
    found = Residuals.estimate(DOMAIN, noisy(MEASURED, [5.0] * len(MEASURED), seed=2))
    for attribute in ("b", "c"):
        axis = 0 if attribute == "c" else 1
        np.testing.assert_allclose(
            found.marginal(("b", "c")).sum(axis=axis), found.marginal((attribute,)), atol=1e-9
        )


def test_the_stated_variance_is_that_of_dense_least_squares() -> None:
    measurements = noisy(MEASURED, [3.0, 1.0, 2.0, 0.5, 7.0], seed=3)
    stacked = np.vstack([matrix(m.clique) / m.sigma for m in measurements])
    covariance = np.linalg.pinv(stacked.T @ stacked)
    estimates = Residuals.estimate(DOMAIN, measurements)
    for asked in (("a",), ("b", "c"), ("a", "b")):
        query = matrix(asked)
        exact = np.diag(query @ covariance @ query.T)
        np.testing.assert_allclose(exact, estimates.variance(asked), rtol=1e-9)


@pytest.mark.statistical
def test_estimates_are_unbiased_with_the_stated_total_variance() -> None:
    """1,000 draws of noise, seed 4: each cell's mean within 4.5 standard errors (12 cells, alpha
    8e-5), the sum of squares within 4.5 of its own. Control: noise stated a tenth too large
    moves the stated variance out of the interval."""
    draws, sigmas = 1000, [3.0, 1.0, 2.0, 2.0, 7.0]
    exact = measure([("b", "c")], sigma=1e-12, seed=4, domain=DOMAIN)[0].values
    truth = {c: measure([c], sigma=1e-12, seed=4, domain=DOMAIN)[0].values for c in MEASURED}
    rng = np.random.default_rng(4)

    def drawn(factor: float = 1.0) -> Residuals:
        measured = [
            NoisyMarginal(
                clique=c, values=truth[c] + rng.normal(0.0, s, truth[c].shape), sigma=factor * s
            )
            for c, s in zip(MEASURED, sigmas, strict=True)
        ]
        return Residuals.estimate(DOMAIN, measured)

    errors = np.stack([drawn().marginal(("b", "c")) - exact for _ in range(draws)])
    spread = drawn().variance(("b", "c"))
    assert np.abs(errors.mean(axis=0)).max() < 4.5 * (spread / draws) ** 0.5
    squares = (errors**2).sum(axis=(1, 2))
    stderr = squares.std() / draws**0.5
    assert abs(squares.mean() - exact.size * spread) < 4.5 * stderr
    wrong = exact.size * drawn(1.1).variance(("b", "c"))
    assert abs(squares.mean() - wrong) > 4.5 * stderr


def test_an_unknown_attribute_is_named() -> None:
    with pytest.raises(UnknownNameError, match="'z'"):
        Residuals.estimate(DOMAIN, []).marginal(("z",))
