"""Models: any marginal equals the full table's; saving loses nothing; bad models are refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.model import GraphicalModel
from tests.pgm.brute_force import (
    CLIQUE_SETS,
    DOMAIN,
    joint,
    models,
    random_potentials,
    table_marginal,
)


def compare_pairs(model: GraphicalModel) -> None:
    pairs = list(itertools.permutations(model.domain.attributes, 2))
    found = model.pairs(pairs)
    assert list(found) == pairs
    for pair in pairs:
        expected = model.marginal(pair)
        np.testing.assert_allclose(found[pair], expected, atol=1e-12 * model.total, rtol=1e-9)


def compare_all(model: GraphicalModel, widths: range) -> None:
    logs = joint(model.domain, model.cliques, model.potentials)
    table = np.exp(logs - logs.max())
    table *= model.total / table.sum()
    for width in widths:
        for wanted in itertools.permutations(model.domain.attributes, width):
            found = model.marginal(wanted)
            expected = table_marginal(model.domain, table, wanted)
            np.testing.assert_allclose(found, expected, atol=1e-12 * model.total, rtol=1e-9)


@pytest.mark.parametrize("cliques", CLIQUE_SETS.values(), ids=CLIQUE_SETS)
def test_every_marginal_in_every_order(cliques: list[Clique]) -> None:
    maximal = maximal_cliques(DOMAIN, cliques)
    potentials = random_potentials(DOMAIN, maximal, rng=np.random.default_rng(2))
    model = GraphicalModel(domain=DOMAIN, total=500.0, cliques=maximal, potentials=potentials)
    compare_all(model, range(0, 4))
    compare_pairs(model)


@given(models())
@settings(max_examples=50, deadline=None)
def test_every_marginal_of_any_model(model) -> None:
    domain, cliques, potentials = model
    fitted = GraphicalModel(domain=domain, total=3.0, cliques=cliques, potentials=potentials)
    compare_all(fitted, range(1, 4))
    compare_pairs(fitted)


def test_a_long_chain_never_materialises_the_domain() -> None:
    names = [f"x{i:02}" for i in range(60)]
    domain = Domain(sizes=dict.fromkeys(names, 10))  # 10**60 cells
    cliques = tuple(itertools.pairwise(names))
    potentials = random_potentials(domain, cliques, rng=np.random.default_rng(3), scale=1.0)
    model = GraphicalModel(domain=domain, total=1.0, cliques=cliques, potentials=potentials)
    # The product of the transition matrices, multiplied out by hand.
    product = model.marginal(names[:2])
    for left, right in itertools.pairwise(names[1:]):
        step = model.marginal((left, right))
        product = product @ (step / step.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(model.marginal((names[0], names[-1])), product, rtol=1e-9)
    with pytest.raises(InvalidValueError, match="cells of the marginal"):
        model.marginal(names[:9])


def test_uniform() -> None:
    model = GraphicalModel.uniform(DOMAIN, 144.0)
    np.testing.assert_allclose(model.marginal(DOMAIN.attributes), 1.0)
    assert model.cliques == ()
    assert model.marginal(()) == 144.0


def test_arrays_there_and_back() -> None:
    cliques = maximal_cliques(DOMAIN, CLIQUE_SETS["overlapping triples"])
    potentials = random_potentials(DOMAIN, cliques, rng=np.random.default_rng(4))
    model = GraphicalModel(domain=DOMAIN, total=12.5, cliques=cliques, potentials=potentials)
    arrays = model.arrays()
    assert all(a.dtype != object for a in arrays.values())
    again = GraphicalModel.from_arrays(DOMAIN, arrays)
    assert (again.total, again.cliques) == (model.total, model.cliques)
    first = model.sample(100, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(first, again.sample(100, rng=np.random.default_rng(5)))
    uniform = GraphicalModel.uniform(DOMAIN, 2.0)
    assert GraphicalModel.from_arrays(DOMAIN, uniform.arrays()).cliques == ()


def test_arrays_that_do_not_fit_are_refused() -> None:
    arrays = GraphicalModel.uniform(DOMAIN, 2.0).arrays()
    with pytest.raises(InvalidValueError, match="potentials"):
        GraphicalModel.from_arrays(DOMAIN, {**arrays, "potentials": np.zeros(3)})
    with pytest.raises(InvalidValueError, match="one column for each attribute"):
        GraphicalModel.from_arrays(Domain(sizes={"a": 2}), arrays)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"total": 0.0}, "total is 0.0"),
        ({"total": float("nan")}, "total is nan"),
        ({"cliques": (("b", "a"),)}, "maximal and in the domain's order"),
        ({"cliques": (("a", "b"), ("a",))}, "maximal"),
        ({"potentials": (np.zeros((3, 2)),)}, "of the clique's shape"),
        ({"potentials": (np.full((2, 3), np.inf),)}, "finite"),
        ({"ceiling": 5}, "at most 5"),
    ],
)
def test_bad_models_are_refused(changes: dict, rule: str) -> None:
    good = {"total": 1.0, "cliques": (("a", "b"),), "potentials": (np.zeros((2, 3)),)}
    with pytest.raises(InvalidValueError, match=rule):
        GraphicalModel(domain=DOMAIN, **{**good, **changes})


def test_bad_questions_are_refused() -> None:
    model = GraphicalModel.uniform(DOMAIN, 1.0)
    with pytest.raises(UnknownNameError):
        model.marginal(("z",))
    with pytest.raises(InvalidValueError, match="each named once"):
        model.marginal(("a", "a"))
    with pytest.raises(InvalidValueError, match="n is 0"):
        model.sample(0, rng=np.random.default_rng(0))
