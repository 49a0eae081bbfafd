"""The network of latent draws: its columns, its marginals, and what pulls pairs to a guess."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.data.domain import Domain
from dpsynth.generators.neural.latent_mixture import LatentMixture, expected, hearsay, misfit
from dpsynth.pgm.measurement import NoisyMarginal

DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 4})
SHARES = np.concatenate([[0.7, 0.3], [0.2, 0.5, 0.3], [0.4, 0.3, 0.2, 0.1]])


def network(seed: int = 0) -> LatentMixture:
    rng = np.random.default_rng(seed)
    return LatentMixture(DOMAIN, SHARES, draws=60, latent=4, hidden=16, rng=rng)


def test_expected_marginals_are_those_of_the_mixture() -> None:
    laws, mixture = network().laws(), network().mixture(1.0)
    for clique in (("b",), ("c", "a"), ("a", "b", "c")):
        assert expected(laws, clique).detach().numpy() == pytest.approx(
            mixture.marginal(clique), abs=1e-6
        )


@pytest.mark.parametrize("shifts", [True, False])
def test_a_fit_reaches_a_pair_and_keeps_the_columns(shifts: bool) -> None:
    joint = np.array([[0.2, 0.4, 0.1], [0.0, 0.1, 0.2]])
    measured = NoisyMarginal(clique=("a", "b"), values=1000 * joint, sigma=1.0)
    found = network()
    before = np.abs(found.mixture(1.0).marginal(("a", "b")) - joint).sum()
    pull = hearsay(DOMAIN, np.outer(SHARES, SHARES), [("a", "b")], 0.001)
    of_pair = misfit([measured], 1000.0)
    found.fit(lambda laws: of_pair(laws) + pull(laws), steps=150, learning_rate=0.01, shifts=shifts)
    mixture = found.mixture(1.0)
    assert np.abs(mixture.marginal(("a", "b")) - joint).sum() < 0.02 < before
    columns = np.concatenate([mixture.marginal((a,)) for a in DOMAIN.attributes])
    assert np.abs(columns - SHARES).max() < 1e-3


@pytest.mark.parametrize("shifts", [True, False])
def test_columns_move_without_learning_by_shifts_alone(shifts: bool) -> None:
    found = network()

    def columns() -> np.ndarray:
        mixture = found.mixture(1.0)
        return np.concatenate([mixture.marginal((a,)) for a in DOMAIN.attributes])

    before = columns()
    found.fit(lambda laws: laws["a"].sum(), steps=20, learning_rate=1e-12, shifts=shifts)
    moved = np.abs(columns() - before).max()
    assert np.abs(before - SHARES).max() > 1e-2
    assert (moved > 1e-2) == shifts
    assert (np.abs(columns() - SHARES).max() < 1e-3) == shifts


def test_hearsay_leaves_what_is_known_and_pulls_the_rest() -> None:
    laws, guess = network().laws(), np.outer(SHARES, SHARES)
    free = hearsay(DOMAIN, guess, [("a", "b", "c")], 0.01)
    assert float(free(laws).detach()) == 0.0
    of_one = hearsay(DOMAIN, guess, [("a", "b"), ("c", "b")], 0.01)
    gap = expected(laws, ("a", "c")).detach().numpy() - np.outer(SHARES[:2], SHARES[5:])
    assert float(of_one(laws).detach()) == pytest.approx(0.5 * (gap**2).sum() / 0.01**2, rel=1e-3)


def test_a_fit_ends_where_it_is_good_enough() -> None:
    calls = []

    def loss(laws):
        calls.append(1)
        return laws["a"].sum()

    network().fit(loss, steps=5, learning_rate=0.01, shifts=True, enough=1e9)
    assert len(calls) == 1
    network().fit(loss, steps=5, learning_rate=0.01, shifts=True)
    assert len(calls) == 6


def test_a_sharp_pair_is_fitted_in_few_steps() -> None:
    """Twins of 12 uneven codes, noise of 5 records of 40,000; the loss falls ten-thousandfold."""
    shares = 0.7 ** np.arange(12)
    shares /= shares.sum()
    domain, both = Domain(sizes={"a": 12, "b": 12}), np.concatenate([shares, shares])
    measured = NoisyMarginal(clique=("a", "b"), values=40_000 * np.diag(shares), sigma=5.0)
    loss, rng = misfit([measured], 40_000.0), np.random.default_rng(0)
    twins = LatentMixture(domain, both, draws=400, latent=16, hidden=64, rng=rng)
    before = float(loss(twins.laws()).detach())
    twins.fit(loss, steps=150, learning_rate=0.01, shifts=True)
    assert float(loss(twins.laws()).detach()) < 1e-3 * before
