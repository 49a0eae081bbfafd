"""What attacks report: rates, intervals, excess risk, the p-value of an alarm."""

import numpy as np
import pytest

from dpsynth.attacks.attack import AttackResult, AttackTarget, fisher_p_value
from dpsynth.data.schema import IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from tests.evaluation.laws import draw


def result(hits: int, trials: int, control: int, control_trials: int) -> AttackResult:
    return AttackResult(
        attack="test",
        identity="test()",
        successes=hits,
        trials=trials,
        baseline_successes=0,
        baseline_trials=trials,
        control_successes=control,
        control_trials=control_trials,
        p_value=fisher_p_value(hits, trials, control, control_trials),
    )


def test_risk_is_the_excess_over_the_control() -> None:
    found = result(60, 100, 20, 100)
    assert found.risk.value == pytest.approx((0.6 - 0.2) / (1 - 0.2))
    assert 0 < found.risk.lower < found.risk.value < found.risk.upper < 1
    assert found.alarm
    assert result(0, 100, 100, 100).risk.value == -1.0
    assert result(100, 100, 100, 100).risk.value == 0.0


def test_nothing_tried_says_nothing() -> None:
    found = result(0, 0, 0, 0)
    assert (found.rate.value, found.rate.lower, found.rate.upper) == (0.0, 0.0, 1.0)
    assert found.p_value == 1.0
    assert (found.risk.lower, found.risk.upper) == (-1.0, 1.0)
    assert not found.alarm


def test_fisher_p_value_against_the_hypergeometric_law() -> None:
    # 3 of 3 against 0 of 3: one deal of the three hits among C(6, 3) = 20.
    assert fisher_p_value(3, 3, 0, 3) == pytest.approx(1 / 20)
    assert fisher_p_value(0, 3, 3, 3) == pytest.approx(1.0)


def test_impossible_results_and_unlike_tables_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="successes is 3"):
        AttackResult(
            attack="test",
            identity="test()",
            successes=3,
            trials=2,
            baseline_successes=0,
            baseline_trials=0,
            control_successes=0,
            control_trials=0,
            p_value=1.0,
        )
    rng = np.random.default_rng(1)
    train = draw(5, rng=rng)
    schema = Schema(columns=(IntegerColumn(name="age", lower=0, upper=9),))
    other = Table.from_frame(schema, train.frame[["visits"]].set_axis(["age"], axis=1).fillna(0))
    with pytest.raises(InvalidValueError, match="control"):
        AttackTarget(train=train, control=other, synthetic=train)
