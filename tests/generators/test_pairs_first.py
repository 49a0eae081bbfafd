"""Pairs that are named are bought whatever the records say, and the tree joins the rest."""

from itertools import combinations

import numpy as np
import pytest

from dpsynth.curator.private_data import PrivateData
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.generators.marginal.pairs_first import PairsFirst
from dpsynth.generators.marginal.tree_plan import TreePlan
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.generators.planted import PLANTED, fit, pair_error, planted_table
from tests.tables import coded_table

CHANCE = ("c4", "c5")


def pairs_of(model) -> set[tuple[str, ...]]:  # type: ignore[no-untyped-def]
    return {m.clique for m in model.measurements if len(m.clique) == 2}


def test_named_pairs_are_measured_before_any_pick() -> None:
    model, private, _ = fit(PairsFirst(pairs=(CHANCE,)), planted_table())
    assert CHANCE in pairs_of(model)
    assert set(PLANTED) <= pairs_of(model)  # which the tree finds
    labels = [entry.label for entry in private.ledger.entries]
    assert labels.index("interactions c4,c5") < labels.index("select edge")
    assert private.ledger.remaining <= 1e-6 * private.ledger.capacity


def test_the_tree_leaves_apart_what_is_given() -> None:
    model, _, _ = fit(PairsFirst(given=("c0", "c1")), planted_table())
    assert ("c0", "c1") not in pairs_of(model)
    assert ("c2", "c3") in pairs_of(model)


def test_it_learns_what_is_planted_and_independence_does_not() -> None:
    table = planted_table()
    model, _, _ = fit(PairsFirst(pairs=PLANTED), table, epsilon=5.0)
    plain, _, _ = fit(PairsFirst(given=tuple(f"c{i}" for i in range(6))), table, epsilon=5.0)
    assert pair_error(table, model) < 0.5 * pair_error(table, plain)


def test_little_budget_buys_coarse_pairs() -> None:
    model, _, _ = fit(PairsFirst(pairs=(("c0", "c4"),)), planted_table(), epsilon=0.05)
    (named,) = [m for m in model.measurements if m.clique == ("c0", "c4")]  # type: ignore[attr-defined]
    assert named.grouped
    assert named.values.size < 20


def test_what_no_pair_is_bought_with_goes_to_single_columns() -> None:
    generator = PairsFirst(given=tuple(f"c{i}" for i in range(6)))
    model, private, _ = fit(generator, planted_table())
    assert pairs_of(model) == set()
    assert private.ledger.remaining <= 1e-6 * private.ledger.capacity


@pytest.mark.parametrize(
    "parameters",
    [
        {"pairs": (("a", "a"),)},
        {"one_way_share": 0.5, "pair_share": 0.4},
        {"least_ratio": 0.0},
        {"largest_tree": 0},
        {"pair_share": 1.0},
    ],
)
def test_parameters_outside_their_range_are_refused(parameters: dict) -> None:
    with pytest.raises(InvalidValueError):
        PairsFirst(**parameters)


@pytest.mark.parametrize("parameters", [{"pairs": (("c0", "nix"),)}, {"given": ("nix",)}])
def test_an_unknown_attribute_costs_nothing(parameters: dict) -> None:
    with pytest.raises(UnknownNameError):
        fit(PairsFirst(**parameters), planted_table(100))


def test_pairs_that_no_model_can_hold_cost_nothing() -> None:
    """All pairs of four columns of 100 codes: a tree of 10^8 cells."""
    names = [f"c{i}" for i in range(4)]
    table = coded_table(np.arange(400).reshape(-1, 4) % 100, (100,) * 4)
    budget, rng = Budget(epsilon=1.0, delta=1e-9), np.random.default_rng(0)
    private = PrivateData(table, budget, noise=ResearchNoise(rng=rng), accountant="gdp")
    with pytest.raises(InvalidValueError, match="cells of the junction tree is 100000000"):
        PairsFirst(pairs=tuple(combinations(names, 2))).fit(private, rng=rng)
    assert private.ledger.entries == ()


def test_a_plan_without_pairs_of_two_apart() -> None:
    domain = planted_table(10).schema.domain
    plan = TreePlan.of(domain, cliques=(), room=10_000, apart=("c0", "c1", "c2"))
    assert all(sum(a in ("c0", "c1", "c2") for a in pair) < 2 for pair in plan.candidates)
    assert plan.edges == 5
