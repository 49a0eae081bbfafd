"""Groups: whom a table serves worse is named, and what a group lost is not left out."""

import numpy as np
import pytest

from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.subgroups import compare_subgroups
from tests.evaluation.laws import ILL, SCHEMA, corrupt, draw


def spoilt_south(n: int, *, rng: np.random.Generator) -> Table:
    """Return records of the law, of which those of one region have lost their meaning."""
    table = draw(n, rng=rng)
    frame, noise = table.frame, corrupt(table, 1.0, rng=rng).frame
    south = (frame["region"] == "south").to_numpy()
    for name in SCHEMA.names[1:]:
        frame[name] = frame[name].where(~south, noise[name])
    return Table.from_frame(SCHEMA, frame)


def test_the_group_that_is_served_worse_is_seen() -> None:
    pytest.importorskip("fairlearn", reason="the extra 'fairness'")
    rng = np.random.default_rng(0)
    train, holdout = draw(1500, rng=rng), draw(1500, rng=rng)
    poor = spoilt_south(1500, rng=rng)
    found = compare_subgroups(train, holdout, poor, sensitive="region", target=ILL, rng=rng)
    by = {g.group: g for g in found.groups}
    assert list(by) == ["north", "south", "west"]
    assert by["south"].tvd == max(g.tvd for g in found.groups)
    assert by["south"].lower > 1.3 * by["south"].holdout
    assert by["north"].tvd == pytest.approx(by["north"].holdout, abs=0.03)
    assert by["south"].auc < by["south"].auc_real - 0.1
    assert found.tvd_ratio > 1.3
    assert found.auc_gap > 0.1
    assert found.disparity is not None
    assert 0 < found.disparity.equalized_odds_real < found.disparity.equalized_odds <= 1


def test_a_lost_group_is_at_distance_one() -> None:
    rng = np.random.default_rng(1)
    train, holdout = draw(300, rng=rng), draw(300, rng=rng)
    kept = np.flatnonzero((train.frame["region"] != "west").to_numpy())
    found = compare_subgroups(train, holdout, train.take(kept), sensitive="region", rng=rng)
    assert [g.tvd for g in found.groups] == [0.0, 0.0, 1.0]
    assert found.groups[2].synthetic == 0
    assert found.tvd_gap == 1.0
    assert found.tvd_ratio == float("inf")
    assert found.disparity is None


@pytest.mark.parametrize("column", ["income", "ill"])
def test_a_column_that_has_no_groups_is_refused(column: str) -> None:
    table = draw(30, rng=np.random.default_rng(2))
    with pytest.raises(InvalidValueError, match="sensitive"):
        compare_subgroups(
            table, table, table, sensitive=column, target=ILL, rng=np.random.default_rng(0)
        )
