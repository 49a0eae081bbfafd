"""Each query's sensitivity, searched for on random neighbours under both relations.

For each query the largest change found must not exceed what is declared, and on the worst case that
its proof names it must come close, so that the declaration is not vacuous.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.counting import CellCounter
from dpsynth.curator.queries import (
    AdditiveQuery,
    CountQuery,
    DependenceQuery,
    FitErrorsQuery,
    MarginalQuery,
    Query,
    WorstFitQuery,
)
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.privacy.budget import Budget, Neighbouring

SIZES = (2, 3, 4)
DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 4})
PAIRS = tuple(combinations(DOMAIN.attributes, 2))


def budget_for(relation: Neighbouring, k: int) -> Budget:
    unit = "record" if k == 1 else "person"
    return Budget(epsilon=1, delta=1e-9, relation=relation, unit=unit, max_rows_per_unit=k)


def rows(count: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    row = st.tuples(*(st.integers(0, s - 1) for s in SIZES))
    return count.flatmap(lambda n: st.lists(row, min_size=n, max_size=n)).map(
        lambda r: np.array(r, dtype=np.uint8).reshape(-1, len(SIZES))
    )


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Budget, np.ndarray, np.ndarray]:
    relation = draw(st.sampled_from(list(Neighbouring)))
    k = draw(st.integers(1, 3))
    others = draw(rows(st.integers(0, 25)))
    repeat = draw(st.sampled_from([1, 20]))
    others = np.repeat(others, repeat, axis=0)
    one = draw(rows(st.integers(1, k)))
    other = np.empty((0, len(SIZES)), dtype=np.uint8)
    if relation is Neighbouring.REPLACE:
        other = draw(rows(st.integers(1, k)))
    return budget_for(relation, k), np.vstack([others, one]), np.vstack([others, other])


def worst_fit(rng: np.random.Generator) -> WorstFitQuery:
    cliques = (*((a,) for a in DOMAIN.attributes), *PAIRS)
    shapes = [tuple(DOMAIN.sizes[a] for a in c) for c in cliques]
    return WorstFitQuery(
        candidates=cliques,
        predictions=tuple(rng.exponential(20, s) for s in shapes),
        penalties=tuple(rng.exponential(50, len(cliques))),
    )


def fit_errors(rng: np.random.Generator) -> FitErrorsQuery:
    fit = worst_fit(rng)
    return FitErrorsQuery(candidates=fit.candidates, predictions=fit.predictions)


DEPENDENCE = DependenceQuery(
    candidates=(("a", ("b",)), ("b", ("a",)), ("b", ("c",)), ("c", ("b",)), ("a", ("b", "c"))),
    penalties=(0.0, 0.1, 1e9, -3.7, 12.0),
)


def change(query: Query, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    first, second = query.exact(one, DOMAIN), query.exact(other, DOMAIN)
    return np.abs(np.asarray(first, dtype=np.float64) - second).ravel()


@given(pair=neighbours(), seed=st.integers(0, 10**6))
@settings(max_examples=300, deadline=None)
def test_no_neighbours_exceed_the_declared_sensitivity(
    pair: tuple[Budget, np.ndarray, np.ndarray], seed: int
) -> None:
    budget, one, other = pair
    additive: list[AdditiveQuery] = [
        CountQuery(),
        fit_errors(np.random.default_rng(seed)),
        *(MarginalQuery(clique=c) for c in PAIRS),
        MarginalQuery(clique=("c",)),
    ]
    for query in additive:
        moved = change(query, one, other)
        assert np.linalg.norm(moved) <= query.sensitivity(budget) * (1 + 1e-12)
        assert moved.sum() <= query.l1_sensitivity(budget)
    fit = worst_fit(np.random.default_rng(seed))
    shares = np.random.default_rng(seed).uniform(0.001, 1.0, len(fit.candidates))
    shares[seed % len(shares)] = 1.0
    for query in (fit, replace(fit, weights=tuple(shares)), DEPENDENCE):
        # No tolerance: rounding is inside the claim.
        assert change(query, one, other).max() <= query.sensitivity(budget)


def table_of(*counted: tuple[tuple[int, int, int], int]) -> np.ndarray:
    return np.array([row for row, count in counted for _ in range(count)], dtype=np.uint8)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_marginals_and_counts_reach_their_sensitivity(relation: Neighbouring, k: int) -> None:
    budget = budget_for(relation, k)
    others = table_of(((0, 0, 0), 5))
    one = np.vstack([others, table_of(((1, 2, 3), k))])
    other = others
    if relation is Neighbouring.REPLACE:
        other = np.vstack([others, table_of(((0, 1, 2), k))])
    query = MarginalQuery(clique=("a", "c"))
    moved = change(query, one, other)
    assert np.linalg.norm(moved) == pytest.approx(query.sensitivity(budget))
    assert moved.sum() == query.l1_sensitivity(budget)
    fit = WorstFitQuery(
        candidates=(("b",),), predictions=(np.array([0.0, 1e3, 0.0]),), penalties=(7.0,)
    )
    assert change(fit, one, other)[0] == fit.sensitivity(budget)
    if relation is Neighbouring.ADD_REMOVE:
        assert change(CountQuery(), one, other)[0] == CountQuery().sensitivity(budget)


@pytest.mark.parametrize("k", [1, 3])
def test_dependence_approaches_its_sensitivity_when_rows_are_added(k: int) -> None:
    budget = budget_for(Neighbouring.ADD_REMOVE, k)
    others = table_of(((0, 0, 0), 2000))
    moved = change(DEPENDENCE, np.vstack([others, table_of(((1, 1, 1), k))]), others)
    assert moved.max() >= 0.995 * DEPENDENCE.sensitivity(budget)


def test_dependence_approaches_its_sensitivity_when_a_row_is_replaced() -> None:
    # Rare values on both sides: 0 always meets 0, and 1 never meets 1.
    domain = Domain(sizes={"x": 3, "y": 3})
    count = np.array([[1000, 0, 0], [0, 0, 1000], [0, 1000, 97_000]])
    others = np.repeat(np.argwhere(count >= 0), count.ravel(), axis=0).astype(np.uint8)
    query = DependenceQuery(candidates=(("x", ("y",)),), penalties=(0.0,))
    answers = [
        query.exact(np.vstack([others, np.array([row], dtype=np.uint8)]), domain)[0]
        for row in ((0, 0), (1, 1))
    ]
    declared = query.sensitivity(budget_for(Neighbouring.REPLACE, 1))
    assert 0.97 * declared < abs(answers[0] - answers[1]) < declared < 3.00001


def test_dependence_is_the_distance_from_independence() -> None:
    codes = np.random.default_rng(0).integers(0, 2, (50, 3)).astype(np.uint8)
    joint = CellCounter(codes, DOMAIN).counts(("b", "c", "a")).reshape(12, 2) / 50
    expected = 0.5 * np.abs(joint - np.outer(joint.sum(1), joint.sum(0))).sum() * 50
    query = DependenceQuery(candidates=(("a", ("b", "c")), ("a", ())), penalties=(0.0, 0.0))
    assert query.exact(codes, DOMAIN) == pytest.approx([expected, 0.0])
    assert query.exact(codes[:0], DOMAIN).tolist() == [0.0, 0.0]


def test_worst_fit_scores_are_exact_on_the_grid() -> None:
    # 0.1 is on no binary grid: naive sums would differ in their last bits between neighbours.
    prediction = np.full((3, 4), 0.1)
    query = WorstFitQuery(candidates=(("b", "c"),), predictions=(prediction,), penalties=(0.3,))
    codes = table_of(((1, 1, 1), 1))
    score = query.exact(codes, DOMAIN)[0]
    assert (score * 2**20).is_integer()
    assert score == pytest.approx(0.9 + 11 * 0.1 - 0.3, abs=1e-4)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_errors_of_fit_are_sixteenths_and_reach_their_sensitivity(
    relation: Neighbouring, k: int
) -> None:
    budget = budget_for(relation, k)
    # All columns move from a cell that is predicted full to one that is predicted empty.
    predictions = tuple(np.eye(1, s, 0).ravel() * 1000.03 for s in SIZES)
    query = FitErrorsQuery(candidates=(("a",), ("b",), ("c",)), predictions=predictions)
    others = table_of(((0, 0, 0), 5))
    one = np.vstack([others, table_of(((1, 1, 1), k))])
    other = others
    if relation is Neighbouring.REPLACE:
        other = np.vstack([others, table_of(((0, 0, 0), k))])
    assert query.exact(others, DOMAIN).tolist() == [16 * 995] * 3
    moved = change(query, one, other)
    assert np.linalg.norm(moved) == pytest.approx(query.sensitivity(budget))
    assert moved.sum() == query.l1_sensitivity(budget)


@pytest.mark.parametrize("relation", list(Neighbouring))
def test_a_weight_scales_a_score_and_no_score_exceeds_the_sensitivity(
    relation: Neighbouring,
) -> None:
    budget = budget_for(relation, 2)
    plain = worst_fit(np.random.default_rng(3))
    shares = np.random.default_rng(4).uniform(0.01, 1.0, len(plain.candidates))
    shares[2] = 1.0
    weighted = replace(plain, weights=tuple(shares))
    others = table_of(((0, 0, 0), 5), ((1, 2, 3), 4))
    one = np.vstack([others, table_of(((1, 1, 1), 2))])
    other = (
        others
        if relation is Neighbouring.ADD_REMOVE
        else np.vstack([others, table_of(((0, 2, 2), 2))])
    )
    assert np.allclose(weighted.exact(one, DOMAIN), shares * plain.exact(one, DOMAIN), rtol=1e-12)
    moved = change(weighted, one, other)
    assert (moved <= shares * plain.sensitivity(budget) * (1 + 2.0**-20)).all()
    assert moved.max() <= weighted.sensitivity(budget)
    assert weighted.sensitivity(budget) > plain.sensitivity(budget)


def test_worst_fit_is_cut_into_chunks_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    query = worst_fit(np.random.default_rng(1))
    codes = np.random.default_rng(2).integers(0, 2, (30, 3)).astype(np.uint8)
    whole = query.exact(codes, DOMAIN)
    monkeypatch.setattr("dpsynth.curator.queries._CHUNK_CELLS", 7)
    assert np.array_equal(query.exact(codes, DOMAIN), whole)


@pytest.mark.parametrize(
    "query",
    [
        MarginalQuery(clique=()),
        MarginalQuery(clique=("a", "a")),
        DependenceQuery(candidates=(), penalties=()),
        DependenceQuery(candidates=(("a", ("a",)),), penalties=(0.0,)),
        DependenceQuery(candidates=(("a", ("b",)),), penalties=()),
        DependenceQuery(candidates=(("a", ("b",)),), penalties=(np.nan,)),
        WorstFitQuery(candidates=(), predictions=(), penalties=()),
        WorstFitQuery(candidates=(("a",),), predictions=(), penalties=(0.0,)),
        WorstFitQuery(candidates=(("a",),), predictions=(np.zeros(3),), penalties=(0.0,)),
        WorstFitQuery(candidates=(("a",),), predictions=(np.full(2, np.nan),), penalties=(0.0,)),
        WorstFitQuery(candidates=(("a",),), predictions=(np.full(2, 2.0**30),), penalties=(0.0,)),
        WorstFitQuery(candidates=(("a",),), predictions=(np.zeros(2),), penalties=(np.inf,)),
        *(
            WorstFitQuery(
                candidates=(("a",),), predictions=(np.zeros(2),), penalties=(0.0,), weights=weights
            )
            for weights in ((), (0.0,), (-1.0,), (1.5,), (np.nan,), (0.5, 0.5))
        ),
    ],
    ids=repr,
)
def test_what_cannot_be_answered_is_refused(query: Query) -> None:
    with pytest.raises(InvalidValueError):
        query.check(DOMAIN)


def test_unknown_attributes_are_named() -> None:
    with pytest.raises(UnknownNameError, match="'d'"):
        MarginalQuery(clique=("a", "d")).check(DOMAIN)


def test_a_marginal_with_too_many_cells_is_refused() -> None:
    wide = Domain(sizes={f"c{i}": 10 for i in range(9)})
    with pytest.raises(InvalidValueError, match="cells"):
        MarginalQuery(clique=wide.attributes).check(wide)
