"""Derivatives on the tree: the covariances of the full table."""

import numpy as np
import pytest

from dpsynth.pgm.cliques import maximal_cliques
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


def test_a_loop_takes_more_than_one_step() -> None:
    _, tangent = tangent_of("triples in a ring")
    change = tangent.covariance(np.random.default_rng(3).normal(size=len(tangent.expected)))
    rough = tangent.covariance(tangent.solve(change, tolerance=0.0, steps=1))
    assert np.abs(rough - change).max() > 1e-3
