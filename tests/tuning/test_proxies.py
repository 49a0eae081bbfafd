"""Tuning on public records: what is proposed, what it is held to, and what a mistake is told."""

from typing import Any

import numpy as np
import pytest

from dpsynth.errors import InvalidValueError, NoModelError, UnknownNameError
from dpsynth.generators.marginal.mwem import Mwem
from dpsynth.tuning.proxies import TunedParameters, tune_on_public
from tests.generators.planted import planted_table
from tests.tuning.toy import NAME

pytest.importorskip("optuna", reason="the extra 'tuning' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:a run was fitted")

# nine rows in ten are one and the same, which is far from uniform
TABLE = planted_table(400).take(np.r_[np.zeros(360, dtype=np.intp), np.arange(40)])


def tuned(grid: dict[str, Any], **changes: Any) -> TunedParameters:
    arguments: dict[str, Any] = {"generator": NAME, "epsilon": 4.0, "trials": 3}
    return tune_on_public(TABLE, grid=grid, **{**arguments, **changes})


def test_a_range_of_whole_numbers_proposes_them() -> None:
    found = tuned({"rounds": {"low": 1, "high": 2}}, generator="mwem")
    assert found.parameters["rounds"] in (1, 2)
    assert isinstance(found.parameters["rounds"], int)


@pytest.mark.parametrize("utility", ["tvd_1way", "coverage"])
def test_the_best_trial_wins_whichever_way_is_better(utility: str) -> None:
    """Columns that were measured, against uniform ones that forget every answer."""
    found = tuned({"smoothing": [0.0, 1.0]}, utility=utility, trials=6)
    assert found.parameters == {"smoothing": 0.0}
    assert found.value == pytest.approx({"tvd_1way": 0.0, "coverage": 1.0}[utility], abs=0.1)


def test_a_trial_that_diverges_is_left_out_and_what_is_fixed_is_told() -> None:
    found = tuned({"diverges": [True, False]}, fixed={"smoothing": 0.5}, trials=6)
    assert found.parameters == {"smoothing": 0.5, "diverges": False}
    assert found.trials == 6


def test_the_defaults_are_tried_first_where_they_may_be() -> None:
    """Of one trial nothing else is known; where they are not in the grid another value is tried."""
    assert tuned({"smoothing": [0.9, 0.0]}, trials=1).parameters == {"smoothing": 0.0}
    weight = {"noise_weight": {"low": 0.01, "high": 0.99}}
    found = tuned(weight, generator="mwem", fixed={"rounds": 1}, trials=1)
    assert found.parameters["noise_weight"] == Mwem().noise_weight
    assert tuned({"smoothing": [0.9]}, trials=1).parameters == {"smoothing": 0.9}


def test_each_trial_is_told_of_with_the_best_so_far() -> None:
    told: list[tuple[int, float | None, float | None]] = []
    grid = {"diverges": [False, True], "smoothing": [1.0, 0.0]}
    tuned(grid, trials=6, told=lambda *each: told.append(each))
    assert [ended for ended, _, _ in told] == [1, 2, 3, 4, 5, 6]
    values = [value for _, value, _ in told]
    assert None in values, "one diverged"
    best = [min(v for v in values[: i + 1] if v is not None) for i in range(6)]
    assert [so_far for _, _, so_far in told] == best


def test_a_misspelt_name_is_told_and_not_tried() -> None:
    with pytest.raises(UnknownNameError, match="smoothing"):
        tuned({"smothing": [0.1]})


def test_what_is_fixed_is_not_tried() -> None:
    with pytest.raises(InvalidValueError, match="grid is 'smoothing', but it must be of"):
        tuned({"smoothing": [0.1]}, fixed={"smoothing": 0.5})


def test_where_every_trial_fails_a_reason_is_told() -> None:
    with pytest.raises(NoModelError, match="smoothing is 'much'"):
        tuned({"smoothing": ["much"]})
