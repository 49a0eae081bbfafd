"""One-shot tree: what is dependent is held and measured, at shares in closed form, in one go."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.queries import FitErrorsQuery, MarginalQuery
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.grown_tree import best_tree
from dpsynth.generators.marginal.hosts import Hosting
from dpsynth.generators.marginal.tree import Tree
from dpsynth.pgm.measurement import MEAN_SIZE
from tests.generators.planted import PLANTED, fit, pair_error, planted_table
from tests.tables import coded_table

TABLE = planted_table()
DOMAIN = TABLE.schema.domain
COLUMNS = len(DOMAIN.attributes)
SMALL = Domain(sizes={"a": 4, "b": 4, "c": 4})


def measured(seen) -> list[tuple[str, ...]]:
    """Return what was measured after the one-way marginals."""
    asked = [o.query.clique for o in seen if isinstance(o.query, MarginalQuery)]
    return asked[COLUMNS:]


def test_everything_is_asked_in_three_rounds() -> None:
    for epsilon in (0.001, 1.0, 100.0):
        _, private, seen = fit(Tree(), TABLE, epsilon=epsilon)
        first, errors, last = (entry.cost for entry in private.ledger.entries)
        capacity = private.ledger.capacity
        assert first == pytest.approx(0.15 * capacity)
        assert errors == pytest.approx(0.1 * capacity)
        assert last == pytest.approx(0.75 * capacity, rel=1e-5)
        (query,) = [o.query for o in seen if isinstance(o.query, FitErrorsQuery)]
        assert query.candidates == tuple(combinations(DOMAIN.attributes, 2))


def test_the_planted_pairs_are_measured() -> None:
    _, _, seen = fit(Tree(), TABLE, epsilon=1.0)
    bought = measured(seen)
    assert all(any(set(pair) <= set(clique) for clique in bought) for pair in PLANTED)
    assert len(bought) <= 5  # noise may make a few of the other 13 look worth it


def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE)
    model, _, _ = fit(Tree(), TABLE)
    assert pair_error(TABLE, model) < 0.3 * pair_error(TABLE, floor)


def test_what_nothing_in_the_tree_is_worth_goes_to_the_one_way_marginals() -> None:
    # Every combination once: exactly independent, and noise costs what it is, whatever the counts.
    codes = np.indices((16,) * 3).reshape(3, -1).T
    table = coded_table(codes, (16,) * 3)
    _, private, seen = fit(Tree(kappa=np.inf), table, epsilon=0.1)
    asked = [o.query.clique for o in seen if isinstance(o.query, MarginalQuery)]
    assert asked == [("c0",), ("c1",), ("c2",)] * 2
    assert private.remaining < 1e-5 * private.ledger.capacity


def test_the_tree_stays_below_both_limits() -> None:
    gains = dict.fromkeys(combinations(DOMAIN.attributes, 2), 1000.0)
    free = best_tree(DOMAIN, gains, largest_tree=10**6, largest_clique=10**6)
    assert free.cells == 4 * 4 * 3 * 3 * 5 * 2
    small = best_tree(DOMAIN, gains, largest_tree=150, largest_clique=10**6)
    narrow = best_tree(DOMAIN, gains, largest_tree=10**6, largest_clique=48)
    assert small.cells <= 150
    assert max(DOMAIN.project(clique).cells for clique in narrow.cliques) <= 48
    model, _, _ = fit(Tree(largest_tree=60), TABLE)
    assert isinstance(model, GraphicalSyntheticModel)
    assert model.model.tree.cells <= 60


def test_a_price_a_cell_makes_room_for_many_cheap_pairs() -> None:
    # The wide pair has most error, but as large a tree holds the four narrow ones, which have more.
    sizes = {"wide": 40, "broad": 40, "e": 5, "f": 5, "g": 5, "h": 5}
    domain = Domain(sizes=sizes)
    gains = {("wide", "broad"): 2000.0}
    gains |= dict.fromkeys(combinations(("e", "f", "g", "h"), 2), 900.0)
    found = best_tree(domain, gains, largest_tree=1625, largest_clique=1600)
    assert ("e", "f", "g", "h") in found.cliques
    # Negative control: with room for both, both are held.
    both = best_tree(domain, gains, largest_tree=2300, largest_clique=1600)
    assert {("wide", "broad"), ("e", "f", "g", "h")} <= set(both.cliques)


def hosting(
    gains: dict[tuple[str, ...], float],
    cliques: list[tuple[str, ...]],
    *,
    sigma: float,
    domain: Domain = SMALL,
    expected: float = 1e6,
    kappa: float = np.inf,
) -> Hosting:
    return Hosting(
        domain=domain,
        gains=gains,
        expected={p: np.full([domain.sizes[a] for a in p], expected) for p in gains},
        cliques=cliques,
        sigma_of=lambda share: sigma / share**0.5,
        kappa=kappa,
    )


def test_shares_follow_the_number_of_cells() -> None:
    domain = Domain(sizes={"a": 2, "b": 2, "c": 16, "d": 4})
    gains = {("a", "b"): 1e4, ("c", "d"): 1e4}
    found = hosting(gains, list(gains), sigma=1.0, domain=domain).shortlist()
    assert found is not None
    shares = dict(zip(found.cliques, found.shares, strict=True))
    assert shares["c", "d"] / shares["a", "b"] == pytest.approx(16 ** (2 / 3), rel=0.02)


def test_a_triple_hosts_its_pairs_where_that_costs_less() -> None:
    for size, best in ((2, [("a", "b", "c")]), (8, [("a", "b"), ("a", "c"), ("b", "c")])):
        domain = Domain(sizes=dict.fromkeys("abc", size))
        pairs = list(combinations("abc", 2))
        cliques = [*pairs, ("a", "b", "c")]
        gains = dict.fromkeys(pairs, 1e5)
        found = hosting(gains, cliques, sigma=1.0, domain=domain).shortlist()
        assert found is not None
        assert sorted(found.cliques) == best


def test_nothing_is_measured_that_noise_would_drown() -> None:
    gains = {("a", "b"): 100.0, ("a", "c"): 1.0}
    found = hosting(gains, list(gains), sigma=1.0).shortlist()
    assert found is not None
    assert found.cliques == (("a", "b"),)
    assert hosting(gains, list(gains), sigma=100.0).shortlist() is None
    # Cells of few records cost no more than a multiple of their counts, whatever the noise.
    few = hosting(gains, list(gains), sigma=100.0, expected=0.5, kappa=2.0).shortlist()
    assert few is not None
    assert few.cliques == (("a", "b"),)


def cost_of(chosen: tuple[tuple[str, ...], ...], gains: dict[tuple[str, ...], float]) -> float:
    """Return the least cost of measuring `chosen` at sigma 1, each pair hosted by the cheapest
    split among all assignments of hosts; by brute force."""
    best = np.inf
    options = [[c for c in chosen if set(p) <= set(c)] or [None] for p in gains]
    for index in np.ndindex(*(len(o) for o in options)):
        hosts = [o[i] for o, i in zip(options, index, strict=True)]
        weights: dict[tuple[str, ...], float] = {}
        total = 0.0
        for (pair, gain), host in zip(gains.items(), hosts, strict=True):
            if host is None:
                total += gain
            else:
                cells = SMALL.project(pair).cells * SMALL.project(host).cells
                weights[host] = weights.get(host, 0.0) + cells**0.5
        total += MEAN_SIZE * sum(w ** (2 / 3) for w in weights.values()) ** 1.5
        best = min(best, total)
    return best


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.tuples(*[st.floats(-20, 200)] * 3))
def test_the_greedy_list_is_close_to_the_best(values: tuple[float, float, float]) -> None:
    pairs = list(combinations("abc", 2))
    gains = dict(zip(pairs, values, strict=True))
    cliques = [*pairs, ("a", "b", "c")]
    found = hosting(gains, cliques, sigma=1.0).shortlist()
    subsets = [s for n in range(5) for s in combinations(cliques, n)]
    best = min(cost_of(s, gains) for s in subsets)
    chosen = () if found is None else found.cliques
    nothing = sum(values)
    assert cost_of(chosen, gains) - best <= 0.25 * max(nothing - best, 1.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 0.0),
        ("error_share", 1.0),
        ("one_way_share", 0.95),
        ("kappa", 0.0),
        ("kappa", float("nan")),
        ("largest_tree", 0),
        ("largest_clique", 0),
    ],
)
def test_a_hyperparameter_out_of_its_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        Tree(**{field: value})
