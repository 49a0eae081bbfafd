"""Attacks on mechanisms of which some runs fail: they go on, say so, and use what failures tell."""

from collections.abc import Callable

import numpy as np
import pytest

from dpsynth.attacks.attack import Attack, Refit
from dpsynth.attacks.exposure import CanaryExposure
from dpsynth.attacks.lira import Lira
from dpsynth.attacks.membership import ShadowMembership
from dpsynth.attacks.reruns import failing_with
from dpsynth.attacks.rmia import Rmia
from dpsynth.data.table import Table
from dpsynth.errors import FailedRunError, TooFewRunsError
from tests.attacks.releases import stranger, target_of

SIZES = {"targets": 8, "shadows": 8, "releases": 6, "rows": 80}
ATTACKS = [
    Lira(**SIZES),
    Rmia(**SIZES),
    ShadowMembership(**SIZES, queries=16),
    CanaryExposure(canaries=60, releases=6, rows=80),
]


def failing(when: Callable[[int, Table], bool], mechanism: Refit = stranger) -> Refit:
    """Return a mechanism that fails in the runs, numbered from 1, that `when` names; not in 0."""
    runs = iter(range(1000))

    def refit(train: Table, *, rng: np.random.Generator) -> Table:
        number = next(runs)
        if number and when(number, train):
            raise FailedRunError("RuntimeError", f"run {number} has no licence.")
        return mechanism(train, rng=rng)

    return refit


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_an_attack_goes_on_without_some_runs(attack: Attack) -> None:
    rng = np.random.default_rng(0)
    found = attack.run(target_of(failing(lambda n, _: n in {2, 5, 10}), 200, rng=rng), rng=rng)
    (note,) = found.notes
    assert "'RuntimeError: run 2 has no licence'" in note
    assert not found.alarm
    if attack.name == "canary_exposure":
        assert note.startswith("2 of 7 runs")
        assert found.trials + found.control_trials == 4 * 60
    else:
        assert note.startswith("3 of 14 runs")
        assert found.trials + found.control_trials == 6 * 8


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_with_too_few_runs_left_it_says_how_many_it_needs(attack: Attack) -> None:
    rng = np.random.default_rng(1)
    target = target_of(failing(lambda n, _: n % 2 == 1 or n > 4), 200, rng=rng)
    needed = {"canary_exposure": "the 3 needed"}.get(attack.name, "the 4 needed")
    with pytest.raises(TooFewRunsError, match=f"{needed} can give records.*run 1 has no licence"):
        attack.run(target, rng=rng)


def test_canaries_are_told_by_a_run_without_them_where_the_first_such_fails() -> None:
    attack = CanaryExposure(canaries=20, releases=2, rows=80)
    rng = np.random.default_rng(2)
    found = attack.run(target_of(failing(lambda n, _: n == 3), 200, rng=rng), rng=rng)
    assert found.notes[0].startswith("1 of 4 runs")
    with pytest.raises(TooFewRunsError, match="runs without canaries of the attack"):
        attack.run(target_of(failing(lambda n, _: n >= 3), 200, rng=rng), rng=rng)


@pytest.mark.statistical
def test_what_fails_with_a_record_tells_of_it() -> None:
    """Strangers are released, and 7 of 10 runs with one person fail: alpha 1e-3, 160 runs, seed 3.
    Negative control: as many runs fail, with or without that person."""
    attack = Lira(targets=1, shadows=40, releases=160, rows=60)

    def found(leaks: bool) -> float:
        rng = np.random.default_rng(3)
        coins = np.random.default_rng(4)

        def when(number: int, train: Table) -> bool:
            odd = len(train) == 60 if leaks else bool(coins.random() < 0.5)
            return odd and bool(coins.random() < 0.7)

        return attack.run(target_of(failing(when), 200, rng=rng), rng=rng).p_value

    assert found(leaks=True) < 1e-3
    assert found(leaks=False) > 0.05


def test_failures_are_held_against_membership_by_hand() -> None:
    member = np.array([[True, True, False], [True, False, False], [False, True, False]])
    failed = np.array([True, True, False])
    # 2 of 2 with the first and 0 of 1 without; 1 of 2 and 1 of 1; nobody was fitted to the third.
    assert failing_with(failed, member).tolist() == [True, False, False]
