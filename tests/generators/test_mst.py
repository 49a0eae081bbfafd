"""MST measures a spanning tree, and the one that the dependences suggest."""

import numpy as np
import pytest

from dpsynth.curator.queries import MarginalQuery
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.marginal.mst import Mst
from dpsynth.privacy.events import ComposedEvent, GaussianEvent
from dpsynth.synthesis import synthesize
from tests.generators.planted import PLANTED, SIZES, fit, pair_error, planted_table
from tests.tables import coded_table

TABLE = planted_table()


def test_the_pairs_are_a_spanning_tree_with_the_planted_edges() -> None:
    _, _, seen = fit(Mst(), TABLE)
    asked = [o.query.clique for o in seen if isinstance(o.query, MarginalQuery)]
    pairs = [clique for clique in asked if len(clique) == 2]
    assert len(pairs) == len(SIZES) - 1
    joined: dict[str, set[str]] = {f"c{i}": {f"c{i}"} for i in range(len(SIZES))}
    for first, second in pairs:
        assert second not in joined[first], "a cycle"
        both = joined[first] | joined[second]
        joined.update(dict.fromkeys(both, both))
    assert set(PLANTED) <= set(pairs)


def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE)
    model, _, _ = fit(Mst(), TABLE)
    assert pair_error(TABLE, model) < 0.3 * pair_error(TABLE, floor)


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"one_way_share \+ selection_share is 1.1"):
        Mst(one_way_share=0.6, selection_share=0.5)
    with pytest.raises(InvalidValueError, match="one_way_share"):
        Mst(one_way_share=0.0)


@pytest.mark.parametrize("columns", [1, 2, 6])
@pytest.mark.parametrize("accountant", ["bounded_range", "pld"])
def test_its_schedule_is_fixed_so_plans_carry_it(columns: int, accountant: str) -> None:
    codes = np.zeros((50, columns), dtype=int)
    model = synthesize(
        coded_table(codes, SIZES[:columns]),
        generator="mst",
        epsilon=1.0,
        seed=0,
        accountant=accountant,
    )
    receipt = model.receipt
    assert 0.999 <= receipt.epsilon_spent <= 1.0
    picks = columns - 1 if columns > 2 else 0
    labels = ["1-way marginals", *["select edge"] * picks, "2-way marginals"]
    assert [e.label for e in receipt.entries] == labels[: 1 + picks + (columns > 1)]


@pytest.mark.parametrize("accountant", ["zcdp", "bounded_range"])
@pytest.mark.parametrize("relation", ["add_remove", "replace"])
@pytest.mark.parametrize("largest_tree", [21, 50, 80, 2**20])
def test_a_small_tree_is_planned_before_anything_is_spent(
    accountant: str, relation: str, largest_tree: int
) -> None:
    # 21 cells are the single attributes' own; each pair has 6 to 20 more.
    fit = synthesize(
        TABLE,
        generator=Mst(largest_tree=largest_tree),
        epsilon=1.0,
        seed=0,
        accountant=accountant,
        relation=relation,
    )
    assert 0.999 <= fit.receipt.epsilon_spent <= 1.0
    assert fit.model.model.tree.cells <= largest_tree  # pyright: ignore[reportAttributeAccessIssue]


def test_release_mode_under_its_own_accountant() -> None:
    assert Mst().accountant == "bounded_range"
    fit = synthesize(TABLE, generator="mst", epsilon=1.0, relation="replace")
    assert (fit.receipt.mode, fit.receipt.accountant) == ("release", "bounded_range")
    assert 0.999 <= fit.receipt.epsilon_spent <= 1.0


def test_bounded_range_leaves_less_noise_than_zcdp() -> None:
    table = coded_table(np.zeros((50, 6), dtype=int), SIZES)
    sigmas: list[float] = []
    for accountant in ("zcdp", "bounded_range"):
        receipt = synthesize(
            table, generator="mst", epsilon=1.0, seed=0, accountant=accountant
        ).receipt
        event = receipt.entries[0].event
        assert isinstance(event, ComposedEvent)
        assert isinstance(event.events[0], GaussianEvent)
        sigmas.append(event.events[0].sigma)
    assert sigmas[1] < 0.96 * sigmas[0]
