"""AIM picks what is dependent, anneals, keeps its tree small, and spends everything."""

from itertools import pairwise
from typing import Any

import pytest

from dpsynth.curator.queries import MarginalQuery, WorstFitQuery
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.aim import Aim
from dpsynth.generators.marginal.candidates import weighted_candidates
from dpsynth.generators.marginal.workload import all_k_ways, downward_closure, overlap_weights
from tests.generators.planted import PLANTED, fit, pair_error, planted_table

TABLE = planted_table()
ATTRIBUTES = TABLE.schema.domain.attributes


def measured(seen) -> list[tuple[str, ...]]:
    """Return the cliques measured in rounds, after the one-way marginals."""
    asked = [o.query.clique for o in seen if isinstance(o.query, MarginalQuery)]
    return asked[len(ATTRIBUTES) :]


def test_the_planted_pairs_come_first() -> None:
    _, _, seen = fit(Aim(degree=2), TABLE)
    assert sorted(measured(seen)[:2]) == sorted(PLANTED)
    _, _, seen = fit(Aim(), TABLE)
    first = measured(seen)[:2]
    assert all(any(set(pair) <= set(clique) for clique in first) for pair in PLANTED)


def test_weights_count_the_overlap_with_the_workload() -> None:
    workload = [("a", "b"), ("b", "c")]
    closure = downward_closure(workload)
    assert closure == [("a",), ("b",), ("c",), ("a", "b"), ("b", "c")]
    assert overlap_weights(closure, workload) == {
        ("a",): 1,
        ("b",): 2,
        ("c",): 1,
        ("a", "b"): 3,
        ("b", "c"): 3,
    }
    _, _, seen = fit(Aim(degree=2), TABLE)
    queries = [o.query for o in seen if isinstance(o.query, WorstFitQuery)]
    assert all(
        q.weights == tuple(len(c) / 2 for c in q.candidates) for q in queries
    )  # of all pairs, every attribute is in as many
    assert {len(c) for q in queries for c in q.candidates} == {1, 2}


def test_rounds_are_select_and_measure_and_only_become_dearer() -> None:
    _, private, seen = fit(Aim(), TABLE, epsilon=1.0)
    kinds = [type(o.query) for o in seen][len(ATTRIBUTES) :]
    assert kinds == [WorstFitQuery, MarginalQuery] * (len(kinds) // 2)
    costs = [entry.cost for entry in private.ledger.entries][1:]
    picks, answers = costs[::2], costs[1::2]
    rounds = [a + b for a, b in zip(picks, answers, strict=True)]
    assert all(p == pytest.approx(0.1 * r) for p, r in zip(picks, rounds, strict=True))
    steps = {round(b / a, 6) for a, b in pairwise(rounds[:-1])}
    assert steps <= {1.0, 4.0}
    assert 4.0 in steps  # two dependent pairs are soon learnt
    assert rounds[0] == pytest.approx(private.ledger.capacity / (16 * len(ATTRIBUTES)))
    assert private.remaining < 1e-9 * private.ledger.capacity


def test_the_tree_stays_below_its_limit_and_the_limit_grows() -> None:
    limit = 60
    model, _, seen = fit(Aim(largest_tree=limit), TABLE)
    assert isinstance(model, GraphicalSyntheticModel)
    assert model.model.tree.cells <= limit
    offered = [len(o.query.candidates) for o in seen if isinstance(o.query, WorstFitQuery)]
    free, _, open_ = fit(Aim(), TABLE)
    assert isinstance(free, GraphicalSyntheticModel)
    assert free.model.tree.cells > limit
    assert max(offered) < max(
        len(o.query.candidates) for o in open_ if isinstance(o.query, WorstFitQuery)
    )


def test_wide_tables_take_pairs() -> None:
    def offered(most_sets: int) -> dict[tuple[str, ...], float]:
        domain = TABLE.schema.domain
        return weighted_candidates(
            domain, ATTRIBUTES, degree=3, most_sets=most_sets, largest_tree=10**6
        )

    assert {len(c) for c in offered(19)} == {1, 2}
    triples = offered(20)
    assert set(triples) == set(downward_closure(all_k_ways(ATTRIBUTES, 3)))
    assert max(triples.values()) == 1.0


def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE)
    model, _, _ = fit(Aim(), TABLE)
    assert pair_error(TABLE, model) < 0.3 * pair_error(TABLE, floor)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("degree", 0),
        ("rounds", 0),
        ("selection_share", 0.0),
        ("selection_share", 1.0),
        ("largest_tree", 0),
        ("most_sets", 0),
    ],
)
def test_a_hyperparameter_out_of_its_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        Aim(**{field: value})
