"""MST measures a spanning tree, and the one that the dependences suggest."""

import pytest

from dpsynth.curator.queries import MarginalQuery
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.marginal.mst import Mst
from tests.generators.planted import PLANTED, SIZES, fit, pair_error, planted_table

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
