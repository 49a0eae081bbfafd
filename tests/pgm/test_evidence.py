"""Evidence: every answer and every row is exactly conditional, or the evidence is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.domain import Clique
from dpsynth.errors import ContradictionError, InvalidValueError, UnknownNameError
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.evidence import Likelihood
from dpsynth.pgm.model import GraphicalModel
from tests.pgm.brute_force import (
    CLIQUE_SETS,
    DOMAIN,
    condition,
    models,
    probabilities,
    random_potentials,
    table_marginal,
)

EVIDENCE: dict[str, dict[str, list[int]]] = {
    "none": {},
    "one code": {"b": [1]},
    "several codes": {"d": [0, 3]},
    "every code": {"f": [0, 1, 2]},
    "several attributes": {"a": [1], "c": [0], "f": [0, 2]},
    "all attributes": {"a": [0], "b": [2], "c": [1], "d": [3], "e": [0], "f": [1]},
}


def fitted(cliques: list[Clique], *, seed: int = 3, scale: float = 1.0) -> GraphicalModel:
    maximal = maximal_cliques(DOMAIN, cliques)
    potentials = random_potentials(DOMAIN, maximal, rng=np.random.default_rng(seed), scale=scale)
    return GraphicalModel(domain=DOMAIN, total=500.0, cliques=maximal, potentials=potentials)


def compare(model: GraphicalModel, evidence: dict[str, list[int]]) -> None:
    domain = model.domain
    table = probabilities(domain, model.cliques, model.potentials)
    assert table is not None
    left = condition(domain, table, evidence)
    if not left.any():
        with pytest.raises(ContradictionError, match="evidence on"):
            model.given(evidence)
        return
    given_that = model.given(evidence)
    assert given_that.total == pytest.approx(model.total * left.sum(), rel=1e-9)
    left = left / left.sum()
    for width in range(1, min(3, len(domain.attributes)) + 1):
        for wanted in itertools.permutations(domain.attributes, width):
            found = given_that.marginal(wanted) / given_that.total
            expected = table_marginal(domain, left, wanted)
            np.testing.assert_allclose(found, expected, atol=1e-12, rtol=1e-9)
    for pair, found in given_that.pairs(itertools.permutations(domain.attributes, 2)).items():
        expected = table_marginal(domain, left, pair)
        np.testing.assert_allclose(found / given_that.total, expected, atol=1e-12, rtol=1e-9)
    rows = given_that.sample(200, rng=np.random.default_rng(4))
    for attribute, codes in evidence.items():
        assert np.isin(rows[:, domain.axes((attribute,))[0]], codes).all()


@pytest.mark.parametrize("evidence", EVIDENCE.values(), ids=EVIDENCE)
@pytest.mark.parametrize("cliques", CLIQUE_SETS.values(), ids=CLIQUE_SETS)
def test_equals_the_full_table(cliques: list[Clique], evidence: dict[str, list[int]]) -> None:
    compare(fitted(cliques), evidence)


@given(models(zeros=True), st.data())
@settings(max_examples=60, deadline=None)
def test_equals_the_full_table_for_any_model(model, data) -> None:
    domain, cliques, potentials = model
    table = probabilities(domain, cliques, potentials)
    if table is None:
        return
    observed = data.draw(st.sets(st.sampled_from(domain.attributes), min_size=1))
    evidence = {
        a: data.draw(st.lists(st.integers(0, domain.sizes[a] - 1), min_size=1))
        for a in sorted(observed)
    }
    if 0.0 < condition(domain, table, evidence).sum() < 1e-200:
        return  # the plain table underflows there
    compare(
        GraphicalModel(domain=domain, total=3.0, cliques=cliques, potentials=potentials), evidence
    )


def test_every_way_of_naming_codes() -> None:
    model = fitted(CLIQUE_SETS["chain"])
    expected = model.given({"d": [2]}).marginal(("a", "d"))
    for codes in (2, np.int64(2), (2,), {2}, np.array([2]), np.array([2], dtype=np.uint8), [2, 2]):
        np.testing.assert_array_equal(model.given({"d": codes}).marginal(("a", "d")), expected)


def test_evidence_adds_up() -> None:
    model = fitted(CLIQUE_SETS["cycle"])
    both = model.given({"a": 1, "d": [0, 2]})
    after = model.given({"d": [0, 2]}).given({"a": 1})
    np.testing.assert_allclose(both.marginal(("b", "f")), after.marginal(("b", "f")), rtol=1e-9)
    parts = sum(model.given({"d": code}).total for code in range(4))
    assert parts == pytest.approx(model.total)


@given(models(zeros=True), st.data())
@settings(max_examples=60, deadline=None)
def test_soft_evidence_equals_the_full_table(model, data) -> None:
    domain, cliques, potentials = model
    table = probabilities(domain, cliques, potentials)
    if table is None:
        return
    chance = st.sampled_from([0.0, 0.001, 0.4, 1.0])
    evidence: dict[str, Likelihood] = {}
    left = table
    for axis, (attribute, size) in enumerate(domain.sizes.items()):
        if data.draw(st.booleans()):
            values = np.array(data.draw(st.lists(chance, min_size=size, max_size=size)))
            evidence[attribute] = Likelihood(values=values)
            left = left * values.reshape([-1 if i == axis else 1 for i in range(left.ndim)])
    if 0.0 < left.sum() < 1e-200:
        return
    whole = GraphicalModel(domain=domain, total=3.0, cliques=cliques, potentials=potentials)
    if not left.any():
        with pytest.raises(ContradictionError, match="evidence on"):
            whole.given(evidence)
        return
    found = whole.given(evidence)
    assert found.total == pytest.approx(3.0 * left.sum(), rel=1e-9)
    for width in (1, 2):
        for wanted in itertools.combinations(domain.attributes, width):
            expected = table_marginal(domain, left / left.sum(), wanted)
            np.testing.assert_allclose(found.marginal(wanted) / found.total, expected, atol=1e-12)


def test_soft_evidence_that_is_hard_is_the_same() -> None:
    model = fitted(CLIQUE_SETS["cycle"])
    soft = model.given({"d": Likelihood(values=np.array([1.0, 0.0, 0.0, 1.0])), "a": 1})
    hard = model.given({"d": [0, 3], "a": 1})
    np.testing.assert_array_equal(soft.marginal(("b", "d")), hard.marginal(("b", "d")))


@pytest.mark.parametrize("values", [[0.5, 1.5, 0], [-0.1, 0, 1], [[0.1, 0.2, 0.3]], [np.nan, 0, 1]])
def test_a_likelihood_is_probabilities(values: list) -> None:
    with pytest.raises(InvalidValueError, match="likelihood"):
        Likelihood(values=np.array(values))


def test_a_conditional_model_is_saved_like_any_other() -> None:
    model = fitted(CLIQUE_SETS["chain"]).given({"b": [0, 2], "f": 1})
    again = GraphicalModel.from_arrays(DOMAIN, model.arrays())
    first, second = (m.sample(40, rng=np.random.default_rng(1)) for m in (model, again))
    np.testing.assert_array_equal(first, second)


def test_evidence_whose_share_underflows_is_possible() -> None:
    cliques = maximal_cliques(DOMAIN, [("a", "b")])
    potentials = (np.array([[0.0, 0.0, 0.0], [-2e3, -2e3, -1e4]]),)
    model = GraphicalModel(domain=DOMAIN, total=10.0, cliques=cliques, potentials=potentials)
    rare = model.given({"a": 1})
    assert 0.0 < rare.total < 1e-300
    rows = rare.sample(10, rng=np.random.default_rng(0))
    assert np.bincount(rows[:, 1], minlength=3).tolist() == [5, 5, 0]


@pytest.mark.parametrize(
    ("evidence", "error", "rule"),
    [
        ({"z": 0}, UnknownNameError, "'z'"),
        ({"a": 2}, InvalidValueError, "evidence on 'a' is 2, .*below 2"),
        ({"a": [0, -1]}, InvalidValueError, "at least 0"),
        ({"a": [1.0]}, InvalidValueError, "whole"),
        ({"a": [True]}, InvalidValueError, "whole"),
        ({"a": np.array([True, False])}, InvalidValueError, "whole"),
        ({"a": "1"}, InvalidValueError, "whole"),
        ({"b": Likelihood(values=np.ones(2))}, InvalidValueError, "of shape \\(3,\\)"),
        ({"b": Likelihood(values=np.zeros(3))}, ContradictionError, "it allows no code"),
        ({"a": []}, ContradictionError, "evidence on 'a': it allows no code"),
    ],
)
def test_bad_evidence_is_refused(evidence: dict, error: type[Exception], rule: str) -> None:
    with pytest.raises(error, match=rule):
        fitted(CLIQUE_SETS["chain"]).given(evidence)


def test_evidence_against_a_structural_zero_is_refused() -> None:
    potentials = (np.where(np.eye(2, 3, dtype=bool), 0.0, -np.inf),)
    model = GraphicalModel(domain=DOMAIN, total=1.0, cliques=(("a", "b"),), potentials=potentials)
    with pytest.raises(ContradictionError, match="evidence on 'a', 'b': no record"):
        model.given({"a": 0, "b": 1})


# 400 samples of 50 rows given evidence at both ends of a chain, of a pair that no clique holds;
# alpha = 1e-5 two-sided over 8 cells (|z| < 4.9), seeds 3 and 13. The control expects the law
# without the evidence.
@pytest.mark.statistical
@pytest.mark.parametrize("wrong", [False, True])
def test_rows_follow_the_conditional_law(wrong: bool) -> None:
    model = fitted([("a", "b"), ("b", "c"), ("c", "d"), ("d", "f")])
    given_that = model.given({"f": [0, 2], "b": 1})
    rng = np.random.default_rng(13)
    samples = []
    for _ in range(400):
        rows = given_that.sample(50, rng=rng).astype(np.int64)
        samples.append(np.bincount(rows[:, 0] * 4 + rows[:, 3], minlength=8))
    law = model if wrong else given_that
    expected = 50 * law.marginal(("a", "d")).ravel() / law.total
    z = (np.mean(samples, axis=0) - expected) / (np.std(samples, axis=0, ddof=1) / np.sqrt(400))
    assert bool(np.abs(z).max() < 4.9) is not wrong
