"""Derivatives on the tree: the covariances of the full table."""

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.effect_covariances import EffectCovariances
from dpsynth.pgm.inference import Oracle
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.tangent import Tangent
from tests.pgm.brute_force import CLIQUE_SETS, DOMAIN, indicators, random_potentials

NAMES = [n for n in CLIQUE_SETS if n not in ("none", "everything")]


def tangent_of(name: str) -> tuple[GraphicalModel, Tangent]:
    cliques = maximal_cliques(DOMAIN, CLIQUE_SETS[name])
    potentials = random_potentials(DOMAIN, cliques, rng=np.random.default_rng(2))
    model = GraphicalModel(domain=DOMAIN, total=1.0, cliques=cliques, potentials=potentials)
    asked = tuple(dict.fromkeys(DOMAIN.canonical(c) for c in CLIQUE_SETS[name]))
    oracle = Oracle(tree=model.tree, cliques=asked)
    return model, Tangent(oracle=oracle, marginals=model.calibration.marginals)


def covariance_of(model: GraphicalModel, tangent: Tangent) -> np.ndarray:
    """Covariance matrix of the cells' indicators, over the full table."""
    table = model.marginal(DOMAIN.attributes).ravel()
    cells = np.concatenate([indicators(DOMAIN, clique) for clique in tangent.oracle.cliques])
    mean = cells @ table
    return (cells * table) @ cells.T - np.outer(mean, mean)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_covariances(name: str) -> None:
    model, tangent = tangent_of(name)
    exact = covariance_of(model, tangent)
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=len(exact))
        np.testing.assert_allclose(tangent.covariance(direction), exact @ direction, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_solving_undoes_the_derivative(name: str) -> None:
    _, tangent = tangent_of(name)
    direction = np.random.default_rng(3).normal(size=len(tangent.expected))
    change = tangent.covariance(direction)
    found = tangent.solve(change, tolerance=1e-9, steps=500)
    # The direction itself is not unique: cliques share what they say of common attributes.
    np.testing.assert_allclose(tangent.covariance(found), change, atol=1e-7)


@pytest.mark.parametrize("zeros", [0, 3])
def test_one_clique_is_solved_at_once_as_by_conjugate_gradients(zeros: int) -> None:
    """Pairs and a triple inside a single clique of 48 cells, some of which no record can be in."""
    domain = Domain(sizes={"a": 2, "b": 3, "c": 4, "d": 2})
    cliques = (("a", "b"), ("b", "c"), ("a", "d"), ("b", "c", "d"), ("a", "c"))
    weights = np.random.default_rng(5).normal(size=domain.shape)
    weights.ravel()[:zeros] = -np.inf
    model = GraphicalModel(
        domain=domain, total=1.0, cliques=(domain.attributes,), potentials=(weights,)
    )
    oracle = Oracle(tree=model.tree, cliques=cliques)
    tangent = Tangent(oracle=oracle, marginals=model.calibration.marginals)
    assert EffectCovariances.of(oracle, tangent.marginals) is not None
    change = tangent.covariance(np.random.default_rng(6).normal(size=len(tangent.expected)))
    at_once = tangent.solve(change, tolerance=0.1, steps=1)
    np.testing.assert_allclose(tangent.covariance(at_once), change, atol=1e-9)
    slowly = tangent.descended(change, tolerance=1e-10, steps=500)
    for one, other in zip(tangent.changes(at_once), tangent.changes(slowly), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_is_certain_or_large_is_left_to_conjugate_gradients() -> None:
    """Two columns that are always alike: no weights move one without the other."""
    domain = Domain(sizes={"a": 2, "b": 2})
    weights = np.where(np.eye(2, dtype=bool), 0.0, -np.inf)
    model = GraphicalModel(domain=domain, total=1.0, cliques=(("a", "b"),), potentials=(weights,))
    oracle = Oracle(tree=model.tree, cliques=(("a", "b"),))
    assert EffectCovariances.of(oracle, model.calibration.marginals) is None
    wide = Domain(sizes={"a": 60, "b": 50})
    model = GraphicalModel(
        domain=wide, total=1.0, cliques=(("a", "b"),), potentials=(np.zeros((60, 50)),)
    )
    oracle = Oracle(tree=model.tree, cliques=(("a", "b"),))
    assert EffectCovariances.of(oracle, model.calibration.marginals) is None


def test_a_loop_takes_more_than_one_step() -> None:
    _, tangent = tangent_of("triples in a ring")
    change = tangent.covariance(np.random.default_rng(3).normal(size=len(tangent.expected)))
    rough = tangent.covariance(tangent.solve(change, tolerance=0.0, steps=1))
    assert np.abs(rough - change).max() > 1e-3
