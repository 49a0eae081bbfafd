"""Blocks of rows: together they are one large sample, and each is close to the model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.blocks import BLOCK_ROWS, part_of, sample_blocks
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.sampling import sample_codes
from tests.pgm.brute_force import (
    CLIQUE_SETS,
    DOMAIN,
    joint,
    models,
    probabilities,
    random_potentials,
)


def fitted(cliques: list[Clique], *, seed: int = 3, scale: float = 1.0) -> GraphicalModel:
    maximal = maximal_cliques(DOMAIN, cliques)
    potentials = random_potentials(DOMAIN, maximal, rng=np.random.default_rng(seed), scale=scale)
    return GraphicalModel(domain=DOMAIN, total=1.0, cliques=maximal, potentials=potentials)


def blocks(model: GraphicalModel, n: int, block: int, *, seed: int = 0) -> list[np.ndarray]:
    marginals, rng = model.calibration.marginals, np.random.default_rng(seed)
    return list(sample_blocks(model.tree, marginals, n, rng=rng, block=block))


def counts(rows: np.ndarray, domain: Domain, attributes: Clique) -> np.ndarray:
    shape = domain.project(attributes).shape
    columns = tuple(rows[:, i].astype(np.int64) for i in domain.axes(attributes))
    found = np.bincount(np.ravel_multi_index(columns, shape), minlength=int(np.prod(shape)))
    return found.reshape(shape)


@pytest.mark.parametrize("cliques", CLIQUE_SETS.values(), ids=CLIQUE_SETS)
def test_blocks_add_up_to_one_rounded_sample(cliques: list[Clique]) -> None:
    model = fitted(cliques)
    found = blocks(model, 5000, 300)
    assert [len(b) for b in found] == [300] * 16 + [200]
    assert all(b.dtype == np.uint8 and b.flags.f_contiguous for b in found)
    rows = np.concatenate(found)
    assert (rows < np.array(DOMAIN.shape)).all()
    root = model.tree.cliques[0]
    # As of one sample: each further attribute adds less than one row of rounding to a cell.
    error = counts(rows, DOMAIN, root) - 5000 * model.marginal(root)
    assert np.abs(error).max() < len(root) + 1e-6
    for one in found:  # and each block follows the model, with its own rounding on top
        error = counts(one, DOMAIN, root[:1]) - len(one) * model.marginal(root[:1])
        assert np.abs(error).max() < 3.0


# The control: independent blocks add up their rounding.
def test_boundaries_add_no_error() -> None:
    model = fitted(CLIQUE_SETS["chain"], scale=0.5)
    n, block = 20_000, 20
    together = np.concatenate(blocks(model, n, block))
    rng = np.random.default_rng(1)
    apart = np.concatenate([model.sample(block, rng=rng) for _ in range(n // block)])
    for clique in model.cliques[:3]:
        expected = n * model.marginal(clique)
        assert np.abs(counts(together, DOMAIN, clique) - expected).max() < 4.0
        assert np.abs(counts(apart, DOMAIN, clique) - expected).max() > 8.0


@given(models(zeros=True), st.integers(1, 40), st.integers(2, 300))
@settings(max_examples=40, deadline=None)
def test_no_row_of_a_block_is_in_an_impossible_cell(model, block: int, n: int) -> None:
    domain, cliques, potentials = model
    if probabilities(domain, cliques, potentials) is None:
        return
    fit = GraphicalModel(domain=domain, total=1.0, cliques=cliques, potentials=potentials)
    rows = np.concatenate(blocks(fit, n, block)).astype(np.int64)
    assert rows.shape == (n, len(domain.attributes))
    assert np.isfinite(joint(domain, cliques, potentials)[tuple(rows.T)]).all()


def test_a_single_block_is_a_plain_sample() -> None:
    model = fitted(CLIQUE_SETS["cycle"])
    (only,) = blocks(model, 100, 100)
    plain = sample_codes(model.tree, model.calibration.marginals, 100, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(only, plain)


def test_a_model_samples_in_blocks_and_joins_them() -> None:
    model, n = fitted(CLIQUE_SETS["chain"]), BLOCK_ROWS + 1000
    found = list(model.blocks(n, rng=np.random.default_rng(2)))
    assert [len(b) for b in found] == [BLOCK_ROWS, 1000]
    rows = model.sample(n, rng=np.random.default_rng(2))
    assert rows.flags.f_contiguous
    np.testing.assert_array_equal(rows, np.concatenate(found))
    for clique in model.cliques[:2]:
        assert np.abs(counts(rows, DOMAIN, clique) - n * model.marginal(clique)).max() < 4.0
    with pytest.raises(InvalidValueError, match="n is 0"):
        model.blocks(0, rng=np.random.default_rng(2))
    with pytest.raises(InvalidValueError, match=r"at most 2\*\*44"):
        next(model.blocks(2**44 + 1, rng=np.random.default_rng(2)))


def test_a_part_is_rounded_without_bias_and_never_takes_what_is_not_left() -> None:
    rng = np.random.default_rng(4)
    left = np.array([[5, 0, 2, 1], [0, 0, 0, 3], [10**12, 1, 10**11, 0]])
    members = np.array([3, 3, 2**18])
    repeats, total = 20_000, np.zeros(left.shape)
    for _ in range(repeats):
        found = part_of(left, members, rng=rng)
        assert (found.sum(axis=1) == members).all()
        assert ((found >= 0) & (found <= left)).all()
        total += found
    expected = members[:, None] * left / left.sum(axis=1, keepdims=True)
    # A cell is rounded up or down: its standard error is at most 0.5 / sqrt(repeats) = .0035.
    assert np.abs(total / repeats - expected).max() < 5 * 0.0036
    np.testing.assert_array_equal(part_of(left[:2], left[:2].sum(axis=1), rng=rng), left[:2])


# 400 samples of 50 rows in blocks of 20, of a pair that no clique holds; alpha = 1e-5 two-sided
# over 8 cells (|z| < 4.9), seeds 3 and 13. The control moves 5% of the rows.
@pytest.mark.statistical
@pytest.mark.parametrize("wrong", [False, True])
def test_samples_in_blocks_average_to_the_model(wrong: bool) -> None:
    model = fitted([("a", "b"), ("b", "c"), ("c", "d")])
    found = [
        counts(np.concatenate(blocks(model, 50, 20, seed=1300 + i)), DOMAIN, ("a", "d")).ravel()
        for i in range(400)
    ]
    expected = 50 * model.marginal(("a", "d")).ravel()
    if wrong:
        expected = expected + 2.5 * (np.arange(8) == 0) - 2.5 * (np.arange(8) == 1)
    z = (np.mean(found, axis=0) - expected) / (np.std(found, axis=0, ddof=1) / np.sqrt(400))
    assert bool(np.abs(z).max() < 4.9) is not wrong
