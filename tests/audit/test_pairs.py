"""Pairs of tables: neighbours indeed, and the worst that they are said to be."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from dpsynth.audit.claim import audit_claim
from dpsynth.audit.neighbours import (
    NeighbouringTables,
    dependence_neighbours,
    narrow_neighbours,
    worst_cases,
)
from dpsynth.audit.recording import recorded
from dpsynth.audit.replay import expected_evidence
from dpsynth.audit.vulnerable import schema_pair, vulnerable_pairs, vulnerable_records
from dpsynth.curator.queries import DependenceQuery, WorstFitQuery
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.generators.marginal.aim import Aim
from dpsynth.generators.marginal.mst import Mst
from dpsynth.generators.marginal.privbayes import PrivBayes
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ResearchNoise

RELATIONS = list(Neighbouring)
SCHEMA = Schema.from_toml(
    """
[[column]]
name = "job"
kind = "categorical"
categories = ["baker", "judge", "smith"]

[[column]]
name = "age"
kind = "integer"
lower = 0
upper = 99
bins = 5
"""
)


def table(outlier: int = 17, rows: int = 200) -> Table:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"job": rng.choice(["baker", "smith"], rows), "age": rng.integers(20, 60, rows)}
    )
    frame.loc[outlier] = ["judge", 99]
    return Table.from_frame(SCHEMA, frame)


def changes(pair: NeighbouringTables) -> tuple[int, int]:
    """Return how many records only the second and only the first table has."""
    first, second = (pd.Series(list(map(tuple, codes.tolist()))) for codes in pair.codes())
    counts = second.value_counts().sub(first.value_counts(), fill_value=0)
    return int(counts.clip(lower=0).sum()), int(-counts.clip(upper=0).sum())


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_pair_differs_in_one_record(relation: Neighbouring) -> None:
    pairs = {
        **worst_cases(relation),
        **vulnerable_pairs(table(), relation, count=3),
        "schema": schema_pair(SCHEMA, relation, rng=np.random.default_rng(0)),
    }
    for name, pair in pairs.items():
        allowed = [(1, 1)] if relation is Neighbouring.REPLACE else [(1, 0), (0, 1)]
        assert changes(pair) in allowed, name
    assert len({pair.digest for pair in pairs.values()}) == len(pairs)


def test_the_outlier_is_the_most_vulnerable() -> None:
    assert vulnerable_records(table(17), 1).tolist() == [17]
    assert vulnerable_records(table(42), 1).tolist() == [42]
    for count in (0, 200):
        with pytest.raises(InvalidValueError):
            vulnerable_records(table(), count)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("score", ["misfit", "dependence"])
def test_selections_have_equal_scores_that_move_far_and_both_ways(
    score: str, relation: Neighbouring
) -> None:
    pair = dependence_neighbours(relation)
    first, second = pair.codes()
    pairs = tuple(combinations(pair.domain.attributes, 2))
    ones = first.sum(axis=0)
    sides = [np.array([len(first) - n, n]) for n in ones]
    query = (
        WorstFitQuery(
            candidates=pairs,
            predictions=tuple(np.outer(a, b) / len(first) for a, b in combinations(sides, 2)),
            penalties=(0.0,) * 6,
        )
        if score == "misfit"
        else DependenceQuery(candidates=tuple((a, (b,)) for a, b in pairs), penalties=(0.0,) * 6)
    )
    before, after = (query.exact(codes, pair.domain) for codes in (first, second))
    assert before == pytest.approx(before.mean())
    moved = after - before
    most = query.sensitivity(Budget(epsilon=1.0, delta=1e-5, relation=relation))
    assert np.abs(moved).max() <= most
    together = [pairs.index(both) for both in (("x0", "x1"), ("x2", "x3"))]
    # Of 3 under REPLACE one is for a value that all but a few records have.
    far = most * (0.6 if relation is Neighbouring.REPLACE and score == "dependence" else 0.9)
    assert np.flatnonzero(moved > far).tolist() == together
    assert (moved < -far).sum() >= 2


@pytest.mark.statistical
@pytest.mark.parametrize("generator", [Mst(), Aim(), PrivBayes()], ids=lambda g: g.name)
def test_bounds_on_marginal_mechanisms_come_within_5_percent_of_the_budget(generator) -> None:
    # epsilon 10, delta 1e-2, 50,000 test runs a world, alpha .05, seed 0
    found = audit_claim(
        generator,
        Budget(epsilon=10.0, delta=1e-2),
        runs=50_000,
        rng=np.random.default_rng(0),
        neighbours=worst_cases(Neighbouring.ADD_REMOVE),
    )
    assert not found.violated
    assert found.control_flow == "same"
    assert found.mu_budget is not None
    assert 0.95 < found.mu_lower / found.mu_budget < 1.0


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_claim_is_tried_on_the_records_of_a_table(relation: Neighbouring) -> None:
    found = audit_claim(
        Mst(),
        Budget(epsilon=4.0, delta=1e-5, relation=relation),
        runs=2000,
        rng=np.random.default_rng(0),
        neighbours=vulnerable_pairs(table(), relation, count=2),
    )
    assert not found.violated
    assert [look.pair.rpartition(" ")[0] for look in found.looks[-2:]] == [
        "vulnerable record 1",
        "vulnerable record 2",
    ]
    assert found.epsilon_lower > 0.3


def test_the_most_telling_of_several_branches_is_kept() -> None:
    budget = Budget(epsilon=1.0, delta=1e-2)
    tables = narrow_neighbours(budget.relation)
    rng = np.random.default_rng(0)

    def evidence(branches: int) -> float:
        found = recorded(
            Aim(),
            budget,
            accountant="zcdp",
            tables=tables,
            noise=ResearchNoise(rng=rng),
            branches=branches,
            rng=rng,
        )
        return expected_evidence(found.transcript, found.worlds)

    assert evidence(8) > np.median([evidence(1) for _ in range(9)])
