"""Rows: exact counts up to rounding, unbiased rounding, and laws tested with a control."""

import numpy as np
import pytest
from hypothesis import given, settings

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm import sampling
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.sampling import systematic_counts
from tests.pgm.brute_force import (
    CLIQUE_SETS,
    DOMAIN,
    models,
    random_potentials,
)


def counts(rows: np.ndarray, domain: Domain, attributes: Clique) -> np.ndarray:
    columns = tuple(rows[:, i].astype(np.int64) for i in domain.axes(attributes))
    shape = domain.project(attributes).shape
    return np.bincount(np.ravel_multi_index(columns, shape), minlength=int(np.prod(shape))).reshape(
        shape
    )


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
@pytest.mark.parametrize("cliques", CLIQUE_SETS.values(), ids=CLIQUE_SETS)
def test_shape_and_range(cliques: list[Clique], n: int) -> None:
    maximal = maximal_cliques(DOMAIN, cliques)
    potentials = random_potentials(DOMAIN, maximal, rng=np.random.default_rng(6))
    model = GraphicalModel(domain=DOMAIN, total=1.0, cliques=maximal, potentials=potentials)
    rows = model.sample(n, rng=np.random.default_rng(7))
    assert rows.shape == (n, 6)
    assert rows.dtype == np.uint8
    assert (rows < np.array(DOMAIN.shape)).all()
    np.testing.assert_array_equal(rows, model.sample(n, rng=np.random.default_rng(7)))


def test_wide_codes_get_a_wider_type() -> None:
    rows = GraphicalModel.uniform(Domain(sizes={"a": 257}), 1.0).sample(
        600, rng=np.random.default_rng(0)
    )
    assert rows.dtype == np.uint16
    assert np.bincount(rows[:, 0], minlength=257).max() <= 3


@given(models())
@settings(max_examples=30, deadline=None)
def test_the_root_clique_is_rounded_not_drawn(model) -> None:
    domain, cliques, potentials = model
    fitted = GraphicalModel(domain=domain, total=1.0, cliques=cliques, potentials=potentials)
    rows = fitted.sample(5000, rng=np.random.default_rng(8))
    root = fitted.tree.cliques[0]
    expected = 5000 * fitted.marginal(root[:1])
    assert np.abs(counts(rows, domain, root[:1]) - expected).max() < 1.0 + 1e-6
    expected = 5000 * fitted.marginal(root)
    # Each further attribute adds less than one row of rounding to a cell.
    assert np.abs(counts(rows, domain, root) - expected).max() < len(root) + 1e-6


def test_pairs_are_far_closer_than_independent_draws() -> None:
    cliques = tuple(maximal_cliques(DOMAIN, CLIQUE_SETS["chain"]))
    potentials = random_potentials(DOMAIN, cliques, rng=np.random.default_rng(9), scale=0.5)
    model = GraphicalModel(domain=DOMAIN, total=1.0, cliques=cliques, potentials=potentials)
    n, rng = 100_000, np.random.default_rng(10)
    rows = model.sample(n, rng=rng)
    for clique in cliques:
        expected = n * model.marginal(clique)
        rounding = np.abs(counts(rows, DOMAIN, clique) - expected).max()
        drawn = np.abs(rng.multinomial(n, expected.ravel() / n) - expected.ravel()).max()
        assert rounding < 4.0
        assert drawn > 10 * rounding


def test_rounding_is_unbiased_and_exact_in_sum() -> None:
    rng = np.random.default_rng(11)
    shares = rng.dirichlet(np.full(7, 0.3), size=5)
    shares[2] = [0, 0, 1, 0, 0, 0, 0]
    members = np.array([1, 2, 10, 1000, 3])
    repeats = 20_000
    total = np.zeros((5, 7))
    for _ in range(repeats):
        found = systematic_counts(shares, members, rng=rng)
        assert (found.sum(axis=1) == members).all()
        assert (np.abs(found - members[:, None] * shares) < 1.0 + 1e-9).all()
        total += found
    # A cell is rounded up or down: its standard error is at most 0.5 / sqrt(repeats) = .0035.
    assert np.abs(total / repeats - members[:, None] * shares).max() < 5 * 0.0036
    assert (total[2] == [0, 0, 10 * repeats, 0, 0, 0, 0]).all()


@pytest.mark.parametrize("offset", [0.0, 1e-17, 0.5, 1 - 2**-53])
def test_a_share_of_zero_gets_no_row_whatever_the_offset(offset: float) -> None:
    class Fixed:
        def random(self, shape: tuple[int, ...]) -> np.ndarray:
            return np.full(shape, offset)

    shares = np.array([[0.0, *[0.1] * 10, 0.0, 0.0], [0.0] * 12 + [1.0], [1.0] + [0.0] * 12])
    assert np.cumsum(shares[0])[-1] < 1.0  # so that the last rows are decided by the rounding
    for members in (1, 3, 1000, 10**6):
        found = systematic_counts(shares, np.full(3, members), rng=Fixed())  # type: ignore
        assert (found[shares == 0.0] == 0).all()
        assert (found.sum(axis=1) == members).all()
        assert (found >= 0).all()


# 400 samples of 50 rows; the z statistic of a pair that the model makes independent given the
# separator, and of a cell no clique holds. alpha = 1e-5 two-sided (|z| < 4.42), seed 12.
@pytest.mark.statistical
@pytest.mark.parametrize("wrong", [False, True])
def test_many_small_samples_average_to_the_model(wrong: bool) -> None:
    cliques = (("a", "b"), ("b", "c"), ("c", "d"))
    potentials = random_potentials(DOMAIN, cliques, rng=np.random.default_rng(12), scale=1.0)
    model = GraphicalModel(domain=DOMAIN, total=1.0, cliques=cliques, potentials=potentials)
    rng = np.random.default_rng(13)
    wanted: Clique = ("a", "d")
    samples = np.stack(
        [counts(model.sample(50, rng=rng), DOMAIN, wanted).ravel() for _ in range(400)]
    )
    expected = 50 * model.marginal(wanted).ravel()
    if wrong:  # the control: 5% of the rows moved from the likeliest cell to the next
        expected = expected + 2.5 * (np.arange(8) == 0) - 2.5 * (np.arange(8) == 1)
    z = (samples.mean(axis=0) - expected) / (samples.std(axis=0, ddof=1) / np.sqrt(400))
    assert bool(np.abs(z).max() < 4.42) is not wrong


def test_marginals_across_cliques_are_closer_than_those_of_a_random_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A chain of four attributes, 3,000 rows, seeds 0 to 9: mean error of what the ends show."""
    domain = Domain(sizes=dict.fromkeys("abcd", 6))
    cliques = (("a", "b"), ("b", "c"), ("c", "d"))
    potentials = tuple(np.random.default_rng(4).normal(size=(6, 6)) for _ in cliques)
    model = GraphicalModel(domain=domain, total=1.0, cliques=cliques, potentials=potentials)
    law = model.marginal(("a", "d"))

    def error() -> float:
        found = []
        for seed in range(10):
            rows = model.sample(3000, rng=np.random.default_rng(seed))
            ends = np.bincount(rows[:, 0].astype(int) * 6 + rows[:, 3], minlength=36)
            found.append(np.abs(ends / 3000 - law.ravel()).sum())
        return float(np.mean(found))

    spread = error()
    monkeypatch.setattr(sampling, "context_of", lambda *_, **__: None)
    assert spread < 0.75 * error()
