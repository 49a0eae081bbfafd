"""Codes given the rest of their row: the law of the full table, zeros, and groups that follow."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.gibbs import Gibbs
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.refinement import Refinement, refined
from tests.pgm.brute_force import CLIQUE_SETS, DOMAIN, probabilities, random_potentials, with_zeros

# Chi-square tests of 20,000 codes each, alpha 1e-4, one seed.
ALPHA, ROWS = 1e-4, 20_000


def model_of(cliques: list[Clique], *, zeros: float = 0.0) -> GraphicalModel:
    rng, maximal = np.random.default_rng(3), maximal_cliques(DOMAIN, cliques)
    potentials = random_potentials(DOMAIN, maximal, rng=rng, scale=1.0)
    if zeros:
        potentials = with_zeros(potentials, rng=rng, share=zeros)
    return GraphicalModel(domain=DOMAIN, total=1.0, cliques=maximal, potentials=potentials)


def law(model: GraphicalModel, row: np.ndarray, axis: int) -> np.ndarray:
    """Return the conditional law of a row's code, from the table of all cells."""
    table = probabilities(model.domain, model.cliques, model.potentials)
    assert table is not None
    line = table[tuple(slice(None) if i == axis else code for i, code in enumerate(row))]
    return line / line.sum()


def p_value(model: GraphicalModel, row: np.ndarray, axis: int, expected: np.ndarray) -> float:
    gibbs = Gibbs.of(model, attributes=len(model.domain.attributes))
    rows = np.tile(row, (ROWS, 1))
    codes = gibbs.drawn(rows, axis, rng=np.random.default_rng(5))
    assert (rows == row).all()
    counts = np.bincount(codes, minlength=len(expected))
    assert (counts[expected == 0] == 0).all()
    kept = expected > 0
    if kept.sum() == 1:
        return 1.0
    return float(chisquare(counts[kept], ROWS * expected[kept] / expected[kept].sum()).pvalue)


@pytest.mark.parametrize("cliques", CLIQUE_SETS.values(), ids=CLIQUE_SETS)
def test_codes_have_their_conditional_law(cliques: list[Clique]) -> None:
    model = model_of(cliques)
    row = model.sample(1, rng=np.random.default_rng(4))[0]
    for axis in range(len(DOMAIN.attributes)):
        assert p_value(model, row, axis, law(model, row, axis)) > ALPHA


def test_the_law_of_another_row_is_told_apart() -> None:
    model = model_of(CLIQUE_SETS["overlapping triples"])
    row, axis = model.sample(1, rng=np.random.default_rng(4))[0], 3
    other = row.copy()
    other[1] = (row[1] + 1) % 3
    assert p_value(model, row, axis, law(model, other, axis)) < ALPHA


@pytest.mark.parametrize("shift", [-2000.0, 2000.0])
def test_weights_count_up_to_a_constant(shift: float) -> None:
    model = model_of(CLIQUE_SETS["overlapping triples"])
    far = replace(model, potentials=tuple(p + shift for p in model.potentials))
    rows = model.sample(500, rng=np.random.default_rng(0))
    for axis in range(6):
        near, found = (
            Gibbs.of(m, attributes=6).drawn(rows, axis, rng=np.random.default_rng(axis))
            for m in (model, far)
        )
        np.testing.assert_array_equal(near, found)


def test_structural_zeros_are_never_drawn() -> None:
    model = model_of(CLIQUE_SETS["big and nested"], zeros=0.3)
    rows = model.sample(3000, rng=np.random.default_rng(1))
    gibbs = Gibbs.of(model, attributes=6)
    table = probabilities(DOMAIN, model.cliques, model.potentials)
    assert table is not None
    assert (table == 0).any()
    for axis in range(6):
        codes = gibbs.drawn(rows, axis, rng=np.random.default_rng(axis))
        assert axis == 4 or (codes != rows[:, axis]).any()  # the fifth attribute has one code
        gibbs.write(rows, np.arange(len(rows)), axis, codes)
        assert (table[tuple(rows.T)] > 0).all()


def test_a_row_that_the_model_forbids_keeps_its_code() -> None:
    domain = Domain(sizes={"a": 2, "b": 2})
    potential = np.array([[0.0, -np.inf], [0.0, -np.inf]])
    model = GraphicalModel(domain=domain, total=1.0, cliques=(("a", "b"),), potentials=(potential,))
    rows = np.array([[1, 1], [0, 1]], dtype=np.uint8)
    codes = Gibbs.of(model, attributes=2).drawn(rows, 0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(codes, rows[:, 0])


def test_groups_follow_their_codes() -> None:
    domain = Domain(sizes={"a": 5, "b": 3})
    groups = np.array([0, 0, 1, 2, 2])
    coarse = GraphicalModel(
        domain=Domain(sizes={"a*": 3, "b": 3}),
        total=1.0,
        cliques=(("a*", "b"),),
        potentials=(np.random.default_rng(2).normal(size=(3, 3)),),
    )
    counts = np.array([3.0, 1.0, 2.0, 2.0, 5.0])
    model = refined(coarse, domain, {"a*": Refinement(attribute="a", groups=groups, counts=counts)})
    gibbs = Gibbs.of(model, attributes=2)
    rows = model.sample(2000, rng=np.random.default_rng(1))
    before = rows[:, 0].copy()
    codes = gibbs.drawn(rows, 0, rng=np.random.default_rng(0))
    gibbs.write(rows, np.arange(len(rows)), 0, codes)
    np.testing.assert_array_equal(rows[:, 2], groups[rows[:, 0]])
    # Without the group that follows, a code could change within its group only.
    assert (groups[before] != groups[rows[:, 0]]).any()
    alone = Gibbs(model=model, followers=({}, {}))
    stuck = alone.drawn(rows, 0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(groups[stuck], groups[rows[:, 0]])
