"""MWEM picks what is dependent, keeps its tree small, and spends its rounds as it says."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth import Limits, synthesize
from dpsynth.curator.queries import MarginalQuery, WorstFitQuery
from dpsynth.data.constraints import Forbidden
from dpsynth.data.schema import IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.mwem import Mwem
from dpsynth.generators.marginal.workload import SkippedCliquesWarning
from tests.generators.planted import PLANTED, fit, pair_error, planted_table
from tests.tables import coded_table

TABLE = planted_table()


def pairs_of(seen) -> list[tuple[str, ...]]:
    asked = [o.query.clique for o in seen if isinstance(o.query, MarginalQuery)]
    return [clique for clique in asked if len(clique) == 2]


def test_the_planted_pairs_come_first() -> None:
    _, _, seen = fit(Mwem(rounds=2), TABLE)
    assert sorted(pairs_of(seen)) == sorted(PLANTED)


def test_rounds_are_select_and_measure_in_turn() -> None:
    _, private, seen = fit(Mwem(rounds=3), TABLE)
    rounds = [type(o.query) for o in seen][-6:]
    assert rounds == [WorstFitQuery, MarginalQuery] * 3
    costs = [entry.cost for entry in private.ledger.entries]
    picks, measured = costs[-6::2], costs[-5::2]
    assert picks == pytest.approx([picks[0]] * 3)
    assert measured == pytest.approx([measured[0]] * 3)
    assert picks[0] == pytest.approx(0.1 * (picks[0] + measured[0]))
    one_ways = sum(costs[:-6])
    assert one_ways == pytest.approx(0.2 * private.ledger.capacity)


def test_the_tree_stays_below_its_limit() -> None:
    limit = 60
    model, _, seen = fit(Mwem(rounds=12, largest_tree=limit), TABLE)
    assert isinstance(model, GraphicalSyntheticModel)
    assert model.model.tree.cells <= limit
    assert len(pairs_of(seen)) == 12  # rounds without room measure a pair again
    free, _, _ = fit(Mwem(rounds=12), TABLE)
    assert isinstance(free, GraphicalSyntheticModel)
    assert free.model.tree.cells > limit


def test_there_are_no_more_rounds_than_there_is_room_for() -> None:
    # The single attributes take 21 cells; pairs have 6, 6, 8, 8, 9, 10 and more.
    for largest_tree, rounds in ((21 + 6, 1), (21 + 28, 4), (21 + 36, 4), (21 + 37, 5)):
        _, _, seen = fit(Mwem(largest_tree=largest_tree), TABLE)
        assert len(pairs_of(seen)) == rounds
    _, _, seen = fit(Mwem(), TABLE)
    assert len(pairs_of(seen)) == len(TABLE.schema.domain.attributes)


@pytest.mark.parametrize("accountant", ["bounded_range", "pld"])
@pytest.mark.parametrize("relation", ["add_remove", "replace"])
@pytest.mark.parametrize(
    # In 27 cells there is room for one pair of two, and then for no choice.
    "mwem",
    [Mwem(), Mwem(rounds=12), Mwem(rounds=3, largest_tree=27), Mwem(largest_tree=21)],
)
def test_a_plan_holds_also_where_rounds_run_out_of_room(
    mwem: Mwem, relation: str, accountant: str
) -> None:
    receipt = synthesize(
        TABLE, generator=mwem, epsilon=1.0, seed=0, relation=relation, accountant=accountant
    ).receipt
    assert 0.999 <= receipt.epsilon_spent <= 1.0
    later = [e.label for e in receipt.entries][1:]
    rounds = 0 if mwem.largest_tree == 21 else mwem.rounds or 6
    assert later == ["select pair", "marginal of the pair"] * rounds


def test_a_plan_is_followed_in_a_hurry_and_in_release_mode() -> None:
    fit = synthesize(
        TABLE,
        generator="mwem",
        epsilon=1.0,
        accountant="bounded_range",
        limits=Limits(seconds=1e-9),
    )
    assert fit.receipt.mode == "release"
    assert 0.999 <= fit.receipt.epsilon_spent <= 1.0


@pytest.mark.parametrize("accountant", ["zcdp", "bounded_range"])
def test_a_single_pair_is_not_picked(accountant: str) -> None:
    codes = np.zeros((50, 2), dtype=int)
    receipt = synthesize(
        coded_table(codes, (3, 4)), generator="mwem", epsilon=1.0, seed=0, accountant=accountant
    ).receipt
    assert [e.label for e in receipt.entries] == ["1-way marginals", "marginal of the pair"]
    assert 0.999 <= receipt.epsilon_spent <= 1.0


def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE)
    model, _, _ = fit(Mwem(), TABLE)
    assert pair_error(TABLE, model) < 0.3 * pair_error(TABLE, floor)


def test_noise_counts_against_wide_pairs() -> None:
    # At a tiny budget the noise of 20 cells outweighs everything: the narrowest pairs win.
    seen_sizes = []
    for weight in (0.0, 50.0):
        _, _, seen = fit(Mwem(rounds=4, noise_weight=weight), TABLE, epsilon=0.5)
        seen_sizes.append(sum(_cells(p) for p in pairs_of(seen)))
    assert seen_sizes[1] < seen_sizes[0]


def _cells(pair: tuple[str, ...]) -> int:
    sizes = TABLE.schema.domain.sizes
    return sizes[pair[0]] * sizes[pair[1]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 0.0),
        ("one_way_share", 1.0),
        ("selection_share", 1.5),
        ("noise_weight", -1.0),
        ("rounds", 0),
        ("largest_tree", 0),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        Mwem(**{field: value})


def test_a_pair_that_constraints_leave_no_room_for_is_no_candidate() -> None:
    """Alone it is small, but between two constraints it would join all three columns."""
    columns = tuple(
        IntegerColumn(name=name, lower=0, upper=size - 1)
        for name, size in zip("abc", (5, 60, 5), strict=True)
    )
    rules = (Forbidden(when={"a": 0, "b": 0}), Forbidden(when={"b": 1, "c": 0}))
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(1, n, 500) for n in (5, 60, 5)], axis=1)
    schema = Schema(columns=columns, constraints=rules)
    table = Table.from_frame(schema, pd.DataFrame(codes, columns=list("abc")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkippedCliquesWarning)
        model, _, _ = fit(Mwem(largest_tree=700), table)
    assert isinstance(model, GraphicalSyntheticModel)
    assert model.model.tree.cells == 600
