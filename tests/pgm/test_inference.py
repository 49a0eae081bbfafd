"""Belief propagation against sums and maxima over the full table."""

import numpy as np
import pytest
from hypothesis import given, settings

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.inference import Oracle, split
from dpsynth.pgm.junction_tree import JunctionTree
from tests.pgm.brute_force import (
    CLIQUE_SETS,
    DOMAIN,
    joint,
    models,
    random_potentials,
    table_marginal,
)


def compare(domain: Domain, cliques: tuple[Clique, ...], potentials) -> None:
    tree = JunctionTree.build(domain, cliques)
    oracle = Oracle(tree=tree, cliques=cliques)
    before = [p.copy() for p in potentials]
    calibration = oracle.calibrate(potentials)
    logs = joint(domain, cliques, potentials)
    log_partition = np.log(np.exp(logs - logs.max()).sum()) + logs.max()
    table = np.exp(logs - log_partition)
    assert calibration.log_partition == pytest.approx(log_partition, abs=1e-9, rel=1e-12)
    for clique, marginal in zip(tree.cliques, calibration.marginals, strict=True):
        np.testing.assert_allclose(marginal, table_marginal(domain, table, clique), atol=1e-12)
    for clique, marginal in zip(cliques, oracle.project(calibration), strict=True):
        np.testing.assert_allclose(marginal, table_marginal(domain, table, clique), atol=1e-12)
    best = oracle.propagator.maximum(oracle.spread(potentials))
    assert best == pytest.approx(logs.max(), abs=1e-9)
    for old, new in zip(before, potentials, strict=True):
        np.testing.assert_array_equal(old, new)  # the input is not touched


@pytest.mark.parametrize("cliques", CLIQUE_SETS.values(), ids=CLIQUE_SETS)
def test_equals_the_full_table(cliques: list[Clique]) -> None:
    maximal = maximal_cliques(DOMAIN, cliques)
    compare(DOMAIN, maximal, random_potentials(DOMAIN, maximal, rng=np.random.default_rng(1)))


@given(models())
@settings(max_examples=100, deadline=None)
def test_equals_the_full_table_for_any_model(model) -> None:
    compare(*model)


def test_extreme_potentials_stay_finite() -> None:
    cliques = (("a", "b"), ("b", "c"))
    potentials = [np.zeros((2, 3)), np.zeros((3, 2))]
    potentials[0][0, :] = -1e6
    potentials[1][:, 1] = 1e6
    oracle = Oracle(tree=JunctionTree.build(DOMAIN, cliques), cliques=cliques)
    first, second = oracle.project(oracle.calibrate(potentials))
    np.testing.assert_allclose(first, [[0, 0, 0], [1 / 3] * 3], atol=1e-15)
    np.testing.assert_allclose(second, [[0, 1 / 3]] * 3, atol=1e-15)


def test_an_uncovered_clique_is_refused() -> None:
    tree = JunctionTree.build(DOMAIN, [("a", "b")])
    with pytest.raises(InvalidValueError, match="inside a clique of the tree"):
        Oracle(tree=tree, cliques=(("a", "c"),)).spread([np.zeros((2, 2))])


def test_split_is_views_and_checks_the_length() -> None:
    flat = np.arange(12.0)
    parts = split(DOMAIN, (("a", "b"), ("b", "c")), flat)
    assert [p.shape for p in parts] == [(2, 3), (3, 2)]
    assert all(np.shares_memory(p, flat) for p in parts)
    with pytest.raises(InvalidValueError, match=r"\(12,\).*\(6,\)"):
        split(DOMAIN, (("a", "b"),), flat)
