"""What every registered attack must do: a new one is tested by its line in the registry."""

from dataclasses import asdict
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from dpsynth.attacks.attack import Attack, AttackTarget, Question
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.registry import ATTACKS
from tests.attacks.releases import copier, half_copier, stranger, target_of


@pytest.fixture(params=list(ATTACKS))
def attack(request: pytest.FixtureRequest) -> Attack:
    return ATTACKS.get(request.param)()


def small(columns: tuple, frame: dict[str, object], rows: int) -> AttackTarget:
    """Return a target of `rows` records whose release is a copy."""
    table = Table.from_frame(Schema(columns=columns), pd.DataFrame(frame, index=range(rows)))
    return AttackTarget(train=table, control=table, synthetic=table, refit=copier)


def test_it_says_who_it_is(attack: Attack) -> None:
    assert ATTACKS.get(attack.name) is type(attack)
    assert "Scenario:" in (type(attack).__doc__ or "")
    assert all(len(text.split()) >= 3 for text in asdict(attack.threat).values())
    assert attack.identity.startswith(attack.name + "(")
    assert len(attack.reference) > 20
    assert attack.question in get_args(Question)


def test_it_finds_a_copy(attack: Attack) -> None:
    rng = np.random.default_rng(0)
    found = attack.run(target_of(copier, 600, rng=rng), rng=rng)
    assert found.alarm
    assert found.risk.lower > 0
    assert found.attack == attack.name


def test_it_is_silent_where_nothing_leaks(attack: Attack) -> None:
    # One run at p > .001: a correct attack fails this for one seed in a thousand.
    rng = np.random.default_rng(1)
    found = attack.run(target_of(stranger, 600, control=200, rng=rng), rng=rng)
    assert found.p_value > 0.001
    assert found.risk.lower <= 0


def test_equal_seeds_give_equal_results(attack: Attack) -> None:
    # Half a copy, and fewer controls: what an attack draws matters, if it draws anything.
    target = target_of(half_copier, 100, control=60, rng=np.random.default_rng(2))
    first, second, third = (
        attack.run(target, rng=np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert first == second
    assert first != third


def test_used_and_unused_records_are_equally_many(attack: Attack) -> None:
    rng = np.random.default_rng(5)
    found = attack.run(target_of(stranger, 300, control=90, rng=rng), rng=rng)
    if not attack.needs_refit:
        assert found.trials == found.control_trials
    else:
        assert abs(found.trials - found.control_trials) < 0.5 * found.trials


def test_it_does_not_read_the_order_of_the_release(attack: Attack) -> None:
    rng = np.random.default_rng(6)
    target = target_of(copier, 300, rng=rng)
    shuffled = AttackTarget(
        train=target.train,
        control=target.control,
        synthetic=target.synthetic.take(rng.permutation(300)),
        refit=lambda train, *, rng: train.take(rng.permutation(len(train))),
    )
    assert attack.run(shuffled, rng=rng).alarm


def test_one_synthetic_row_gives_a_result(attack: Attack) -> None:
    rng = np.random.default_rng(8)
    whole = target_of(stranger, 100, rng=rng)
    row = whole.control.take(np.array([3]))

    def one(train: Table, *, rng: np.random.Generator) -> Table:
        return row

    target = AttackTarget(train=whole.train, control=whole.control, synthetic=row, refit=one)
    found = attack.run(target, rng=rng)
    assert 0 <= found.rate.lower <= found.rate.value <= found.rate.upper <= 1
    assert found.risk.lower <= 0


def test_tiny_and_constant_tables_give_a_result(attack: Attack) -> None:
    constant = (
        CategoricalColumn(name="a", categories=("x",)),
        IntegerColumn(name="b", lower=3, upper=3),
    )
    two = (
        CategoricalColumn(name="a", categories=("x", "y"), missing=True),
        FloatColumn(name="b", lower=0.0, upper=1.0, missing=True),
    )
    rng = np.random.default_rng(7)
    nothing_to_tell = small(constant, {"a": "x", "b": 3}, 20)
    targets = [
        nothing_to_tell,
        small(two, {"a": ["x", None] * 10, "b": [0.5, None, 0.1, 1.0] * 5}, 20),
        small(two, {"a": [None, None], "b": [None, None]}, 2),
    ]
    if not attack.needs_refit:
        targets.append(small(two, {"a": "x", "b": 0.3}, 1))
    for target in targets:
        found = attack.run(target, rng=rng)
        assert 0 <= found.rate.lower <= found.rate.value <= found.rate.upper <= 1
    assert not attack.run(nothing_to_tell, rng=rng).alarm
