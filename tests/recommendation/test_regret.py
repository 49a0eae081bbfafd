"""Regret, by hand: the distance from the best, whichever way is up; families count once."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.recommendation.regret import Regret, first_choice, losses

MEASURED = pd.DataFrame({"a": [0.1, 0.4], "b": [0.2, 0.5], "c": [0.4, 0.2]})


def test_losses_are_shares_of_the_best_score() -> None:
    errors = losses(MEASURED, "workload_error")
    assert errors.to_numpy() == pytest.approx(np.array([[0, 1, 3], [1, 1.5, 0]]))
    areas = losses(MEASURED, "tstr_auc")
    assert areas.to_numpy() == pytest.approx(np.array([[0.75, 0.5, 0], [0.2, 0, 0.6]]))


def test_the_first_choice_is_the_best_expectation() -> None:
    assert first_choice(MEASURED, "workload_error").tolist() == ["a", "c"]
    assert first_choice(MEASURED, "tstr_auc").tolist() == ["c", "b"]


def test_a_family_counts_once_however_many_budgets_it_has() -> None:
    regret = Regret.of(np.array([0.0, 0.0, 0.0, 0.3]), ["x", "x", "x", "y"])
    assert (regret.mean, regret.worst, regret.families) == (pytest.approx(0.15), 0.3, 2)
    # the interval of Student's t with one degree of freedom: .15 -+ 12.706 * .15
    assert regret.lower == 0.0
    assert regret.upper == pytest.approx(0.15 + 12.706 * 0.15, rel=1e-3)
