"""What cliques hold beyond their margins: exact, of the stated sensitivity, and charged for."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.interactions import CELL_CEILING, InteractionQuery, relative_sensitivity
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import MarginalQuery
from dpsynth.data.domain import Domain
from dpsynth.errors import BudgetExceededError, InvalidValueError
from dpsynth.pgm.measurement import beyond_margins
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise
from tests.curator.test_curator_queries import DOMAIN, SIZES, budget_for, change, neighbours
from tests.tables import coded_table

SINGLE = tuple((a,) for a in DOMAIN.attributes)
CLIQUES = (*SINGLE, *combinations(DOMAIN.attributes, 2), DOMAIN.attributes, ("c", "a"))


def query(clique: tuple[str, ...]) -> InteractionQuery:
    return InteractionQuery(clique=clique, shape=tuple(DOMAIN.sizes[a] for a in clique))


@pytest.mark.parametrize("clique", CLIQUES)
def test_it_is_the_projection_of_the_counts_in_integers(clique: tuple[str, ...]) -> None:
    codes = np.random.default_rng(1).integers(0, SIZES, (60, 3)).astype(np.uint8)
    counts = MarginalQuery(clique=clique).exact(codes, DOMAIN)
    found = query(clique).exact(codes, DOMAIN)
    assert found.dtype == np.int64
    assert found / counts.size == pytest.approx(beyond_margins(counts.astype(float)))
    for axis in range(len(clique)):  # nothing is left of the margins
        others = tuple(i for i in range(len(clique)) if i != axis)
        assert (found.sum(axis=others or None) == 0).all()


def test_beyond_margins_is_an_orthogonal_projection() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 3, 4, 5))
    first, second = beyond_margins(one), beyond_margins(other)
    assert beyond_margins(first) == pytest.approx(first)
    assert (first * other).sum() == pytest.approx((one * second).sum())
    pair = rng.normal(size=(3, 1))  # no interaction with what has one code
    assert beyond_margins(pair) == pytest.approx(np.zeros((3, 1)))
    single = rng.normal(size=7)
    assert beyond_margins(single) == pytest.approx(single - single.mean())


@given(pair=neighbours())
@settings(max_examples=300, deadline=None)
def test_no_neighbours_exceed_the_declared_sensitivity(
    pair: tuple[Budget, np.ndarray, np.ndarray],
) -> None:
    budget, one, other = pair
    for clique in CLIQUES:
        moved = change(query(clique), one, other)
        assert np.linalg.norm(moved) <= query(clique).sensitivity(budget) * (1 + 1e-12)
        assert moved.sum() <= query(clique).l1_sensitivity(budget) * (1 + 1e-12)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("clique", CLIQUES)
def test_the_worst_neighbours_reach_it(
    clique: tuple[str, ...], relation: Neighbouring, k: int
) -> None:
    """All cells that one unit's rows can come to or go between, by brute force."""
    budget = budget_for(relation, k)
    others = np.zeros((5, 3), dtype=np.uint8)
    cells = [np.array([c] * k, dtype=np.uint8) for c in product(*map(range, SIZES))]
    found = 0.0
    for row in cells:
        gone = cells if relation is Neighbouring.REPLACE else [row[:0]]
        for before in gone:
            moved = change(query(clique), np.vstack([others, row]), np.vstack([others, before]))
            found = max(found, float(np.linalg.norm(moved)))
    assert found == pytest.approx(query(clique).sensitivity(budget))


def test_small_tables_have_least_to_hide() -> None:
    add, replace = (budget_for(relation, 1) for relation in Neighbouring)
    assert relative_sensitivity((2, 2), add) == pytest.approx(0.5)
    assert relative_sensitivity((2,), add) == pytest.approx(0.5**0.5)
    assert relative_sensitivity((2, 2, 2), add) == pytest.approx(0.5**0.5)
    assert relative_sensitivity((10, 10), add) == pytest.approx(0.9)
    assert relative_sensitivity((2, 2), replace) == pytest.approx(0.5**0.5)
    assert relative_sensitivity((2,), replace) == 1.0  # a row that moves leaves the total alone


@given(shape=st.lists(st.integers(2, 9), min_size=2, max_size=4))
def test_noise_is_never_more_than_a_marginals(shape: list[int]) -> None:
    for relation in Neighbouring:
        assert 0 < relative_sensitivity(tuple(shape), budget_for(relation, 1)) < 1


@pytest.mark.parametrize(
    ("clique", "shape", "rule"),
    [
        (("a", "b"), (2, 4), "the domain's"),
        (("one",), (1,), "at least two attributes"),
        (("a", "one"), (2, 1), "at least two attributes"),
        (("wide", "wider"), (2048, 1024), f"at most {CELL_CEILING} cells"),
    ],
)
def test_what_cannot_be_answered_is_named(
    clique: tuple[str, ...], shape: tuple[int, ...], rule: str
) -> None:
    domain = Domain(sizes={"a": 2, "b": 3, "one": 1, "wide": 2048, "wider": 1024})
    asked = InteractionQuery(clique=clique, shape=shape)
    if clique == ("wide", "wider"):
        domain = Domain(sizes={"wide": 2048, "wider": 1025})
        asked = InteractionQuery(clique=clique, shape=(2048, 1025))
    with pytest.raises(InvalidValueError, match=rule):
        asked.check(domain)


def door(accountant: str = "gdp", *, release: bool = False) -> PrivateData:
    codes = np.random.default_rng(3).integers(0, (4, 3, 2), (400, 3))
    noise = ReleaseNoise() if release else ResearchNoise(rng=np.random.default_rng(0))
    return PrivateData(
        coded_table(codes, (4, 3, 2)),
        Budget(epsilon=1.0, delta=1e-9),
        noise=noise,
        accountant=accountant,
    )


@pytest.mark.parametrize("clique", [("c0",), ("c0", "c1")])
@pytest.mark.parametrize("accountant", ["gdp", "zcdp", "pure"])
def test_interactions_cost_what_a_marginal_of_the_ratio_s_noise_costs(
    accountant: str, clique: tuple[str, ...]
) -> None:
    private = door(accountant)
    half = private.remaining / 2
    ratio = private.interaction_noise((4, 3)[: len(clique)])
    assert (ratio < 1) == (accountant != "pure")
    sigma = private.sigma_for(half) * ratio
    (found,) = private.interactions([clique], sigmas=[sigma])
    assert private.remaining == pytest.approx(half)
    assert (found.clique, found.sigma, found.centred) == (clique, sigma, True)


def test_all_are_charged_together_or_not_at_all() -> None:
    private = door()
    cliques, before = [("c0", "c1"), ("c1", "c2")], private.remaining
    with pytest.raises(InvalidValueError, match="sigmas"):
        private.interactions(cliques, sigmas=[1.0])
    assert private.remaining == before
    private.interactions(cliques, sigmas=[20.0, 30.0])
    private.interactions(cliques[:1], sigmas=[40.0])
    labels = [entry.label for entry in private.receipt().entries]
    assert labels == ["2 interactions", "interactions c0,c1"]


@pytest.mark.parametrize("clique", [("c0",), ("c0", "c1")])
def test_nothing_is_drawn_when_the_budget_is_gone(clique: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    codes = np.random.default_rng(3).integers(0, (4, 3, 2), (400, 3))
    private = PrivateData(
        coded_table(codes, (4, 3, 2)),
        Budget(epsilon=1.0, delta=1e-9),
        noise=ResearchNoise(rng=rng),
        accountant="gdp",
    )
    sigma = private.sigma_for(private.remaining) * private.interaction_noise((4, 3))
    private.interactions([("c0", "c1")], sigmas=[sigma])
    entries, state = private.receipt().entries, rng.bit_generator.state
    with pytest.raises(BudgetExceededError):
        private.interactions([clique], sigmas=[10 * sigma])
    assert private.receipt().entries == entries
    assert rng.bit_generator.state == state


@pytest.mark.statistical
@pytest.mark.parametrize("release", [False, True])
def test_the_noise_is_that_of_its_sigma_and_centred_on_the_truth(release: bool) -> None:
    """2,400 cells of 200 answers: their mean square over sigma^2 is within .15 of 1, five standard
    deviations of it (alpha below 1e-6); the research half has seed 0."""
    private = door(release=release)
    exact = query_of(private)
    sigma = private.sigma_for(private.remaining / 200) * private.interaction_noise((4, 3))
    errors = [
        private.interactions([("c0", "c1")], sigmas=[sigma])[0].values - exact for _ in range(200)
    ]
    assert np.mean(np.square(errors)) / sigma**2 == pytest.approx(1.0, abs=0.15)
    assert abs(np.mean(errors)) < 5 * sigma / 2400**0.5


def query_of(private: PrivateData) -> np.ndarray:
    codes = np.random.default_rng(3).integers(0, (4, 3, 2), (400, 3)).astype(np.uint8)
    asked = InteractionQuery(clique=("c0", "c1"), shape=(4, 3))
    return asked.exact(codes, private.domain) / 12
