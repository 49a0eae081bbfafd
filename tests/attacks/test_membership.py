"""Membership inference: finds copies, stays silent where nothing leaks, states its cost."""

import numpy as np
import pytest
from scipy.stats import binom

from dpsynth.attacks.attack import AttackTarget
from dpsynth.attacks.membership import ShadowMembership
from dpsynth.attacks.shadows import isolation
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from tests.attacks.releases import copier, target_of
from tests.evaluation.laws import draw, replace

QUICK = ShadowMembership(targets=8, shadows=8, releases=6, rows=80, queries=16)


def with_outlier(table: Table, row: int) -> Table:
    """Return the table with everyone in the north, healthy and poor, but for one."""
    frame = replace(table, region="north", ill="no", income=0.1).frame
    frame.loc[row, ["region", "ill", "income"]] = ["west", "yes", 1.0]
    return Table.from_frame(table.schema, frame)


def test_a_copy_is_found() -> None:
    rng = np.random.default_rng(0)
    found = QUICK.run(target_of(copier, 200, rng=rng), rng=rng)
    assert found.alarm
    assert found.risk.lower > 0.2
    assert found.measures["auc_lower"] > 0.7
    assert found.measures["tpr_at_low_fpr"] > found.measures["low_fpr"]


@pytest.mark.slow
@pytest.mark.statistical
def test_false_alarms_on_a_release_that_leaks_nothing_stay_below_alpha() -> None:
    # 40 runs at alpha = .05: more than 7 alarms have probability below 1e-3.
    rng = np.random.default_rng(1)
    strangers = [draw(80, rng=rng) for _ in range(100)]

    def stranger(train: Table, *, rng: np.random.Generator) -> Table:
        return strangers[rng.integers(len(strangers))]

    target = target_of(stranger, 200, rng=rng)
    alarms = sum(QUICK.run(target, rng=rng).alarm for _ in range(40))
    assert alarms <= binom.isf(1e-3, 40, 0.05) == 7

    # Negative control: a release that drops half of the records still gives the others away.
    def half(train: Table, *, rng: np.random.Generator) -> Table:
        return train.take(rng.permutation(len(train))[: len(train) // 2])

    leaky = AttackTarget(
        train=target.train, control=target.control, synthetic=target.synthetic, refit=half
    )
    assert sum(QUICK.run(leaky, rng=rng).alarm for _ in range(10)) > 5


def test_the_mechanism_runs_as_often_as_stated_on_tables_of_the_stated_size() -> None:
    rng = np.random.default_rng(2)
    sizes: list[int] = []

    def counting(train: Table, *, rng: np.random.Generator) -> Table:
        sizes.append(len(train))
        return train

    QUICK.run(target_of(counting, 200, rng=rng), rng=rng)
    # One more for the release itself, made by the helper.
    assert len(sizes[1:]) == QUICK.fits == 14
    assert all(72 <= size <= 80 for size in sizes[1:])


def test_isolation_finds_the_outlier() -> None:
    rng = np.random.default_rng(3)
    assert int(isolation(with_outlier(draw(50, rng=rng), 17), rng=rng).argmax()) == 17


def test_the_isolated_record_is_the_one_attacked() -> None:
    rng = np.random.default_rng(5)
    odd = with_outlier(draw(60, rng=rng), 17)
    seen: list[bool] = []

    def watching(train: Table, *, rng: np.random.Generator) -> Table:
        seen.append(bool((train.frame["region"] == "west").any()))
        return train

    attack = ShadowMembership(targets=1, shadows=8, releases=8, rows=60, queries=4)
    attack.run(AttackTarget(train=odd, control=odd, synthetic=odd, refit=watching), rng=rng)
    assert 0 < sum(seen) < len(seen) == attack.fits


def test_what_the_attack_needs_is_asked_for() -> None:
    rng = np.random.default_rng(4)
    whole = target_of(copier, 20, rng=rng)
    without = AttackTarget(train=whole.train, control=whole.control, synthetic=whole.synthetic)
    with pytest.raises(InvalidValueError, match="refit"):
        QUICK.run(without, rng=rng)
    alone = whole.train.take(np.array([0]))
    with pytest.raises(InvalidValueError, match="two or more"):
        QUICK.run(AttackTarget(train=alone, control=alone, synthetic=alone, refit=copier), rng=rng)
    with pytest.raises(InvalidValueError, match="shadows"):
        ShadowMembership(shadows=1)
