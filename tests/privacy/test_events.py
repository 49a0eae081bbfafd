"""An event that would spend nothing or everything cannot be built."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import (
    ComposedEvent,
    DpSgdEvent,
    Event,
    ExponentialEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
    PureEvent,
    ZcdpEvent,
)

FIELDS: list[tuple[Callable[..., Event], str, dict[str, Any]]] = [
    (GaussianEvent, "sigma", {}),
    (GaussianEvent, "sensitivity", {"sigma": 1.0}),
    (LaplaceEvent, "scale", {}),
    (LaplaceEvent, "sensitivity", {"scale": 1.0}),
    (ExponentialEvent, "epsilon", {}),
    (PureEvent, "epsilon", {}),
    (ZcdpEvent, "rho", {}),
    (GdpEvent, "mu", {}),
    (DpSgdEvent, "noise_multiplier", {"sample_rate": 0.1, "steps": 1}),
]


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(("event", "field", "rest"), FIELDS)
def test_degenerate_parameters_are_refused(
    event: Callable[..., Event], field: str, rest: dict[str, Any], value: float
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        event(**{field: value}, **rest)
    assert caught.value.field == field


def test_a_ratio_that_underflows_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        GaussianEvent(sigma=1e-300, sensitivity=1e300)
    with pytest.raises(InvalidValueError):
        LaplaceEvent(scale=1e300, sensitivity=1e-300)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, math.nan])
def test_sample_rates_outside_the_unit_interval_are_refused(rate: float) -> None:
    with pytest.raises(InvalidValueError, match="sample_rate"):
        DpSgdEvent(noise_multiplier=1.0, sample_rate=rate, steps=1)


@pytest.mark.parametrize("distance", [-1e-9, 1.0, math.nan])
def test_every_event_checks_its_sampling_distance(distance: float) -> None:
    with pytest.raises(InvalidValueError, match="sampling_distance"):
        PureEvent(epsilon=1.0, sampling_distance=distance)


def test_composition_needs_something_to_compose() -> None:
    with pytest.raises(InvalidValueError, match="events"):
        ComposedEvent(events=())


@pytest.mark.parametrize("epsilon", [0, -1, math.nan, math.inf])
def test_a_budget_needs_a_positive_finite_epsilon(epsilon: float) -> None:
    with pytest.raises(InvalidValueError, match="epsilon"):
        Budget(epsilon=epsilon, delta=1e-9)


@pytest.mark.parametrize("delta", [-1e-9, 1, 2, math.nan])
def test_a_budget_needs_a_delta_below_one(delta: float) -> None:
    with pytest.raises(InvalidValueError, match="delta"):
        Budget(epsilon=1, delta=delta)


@pytest.mark.parametrize(
    ("relation", "rows", "l1", "l2"),
    [
        (Neighbouring.ADD_REMOVE, 1, 1, 1),
        (Neighbouring.REPLACE, 1, 2, 2**0.5),
        (Neighbouring.ADD_REMOVE, 3, 3, 3),
        (Neighbouring.REPLACE, 3, 6, 3 * 2**0.5),
    ],
)
def test_histogram_sensitivities(relation: Neighbouring, rows: int, l1: float, l2: float) -> None:
    unit = "record" if rows == 1 else "patient"
    budget = Budget(epsilon=1, delta=0, relation=relation, unit=unit, max_rows_per_unit=rows)
    assert budget.l1_sensitivity == l1
    assert budget.l2_sensitivity == pytest.approx(l2)


def test_a_record_is_one_row() -> None:
    with pytest.raises(InvalidValueError, match="max_rows_per_unit"):
        Budget(epsilon=1, delta=0, max_rows_per_unit=2)
