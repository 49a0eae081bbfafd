"""Frequent values: what a single unit holds alone is released as rarely as stated."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from dpsynth.curator.frequent import FrequentValues
from dpsynth.curator.pricing import Pricing
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.queries import ROW_CEILING
from dpsynth.data.domain import Domain
from dpsynth.data.open_columns import OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.errors import BudgetExceededError, InvalidValueError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.failure import allowed_failure
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise

NAME = Domain(sizes={"value": 1})


def budget(rows: int = 1, relation: Neighbouring = Neighbouring.ADD_REMOVE) -> Budget:
    unit = "record" if rows == 1 else "person"
    return Budget(epsilon=1.0, delta=1e-6, relation=relation, unit=unit, max_rows_per_unit=rows)


def pricing(accountant: str, of: Budget, *, release: bool = False) -> Pricing:
    noise = ReleaseNoise() if release else ResearchNoise(rng=np.random.default_rng(0))
    return Pricing(accountant=make_accountant(accountant, of), noise=noise, domain=NAME)


def discrete_gaussian_tail(sigma: float, least: int) -> float:
    support = np.arange(-int(60 * sigma) - 60, int(60 * sigma) + 60)
    weights = np.exp(-(support.astype(float) ** 2) / (2 * sigma**2))
    return float(weights[support >= least].sum() / weights.sum())


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("sigma", [0.8, 5.0, 40.0])
@pytest.mark.parametrize("distance", [1e-3, 1e-9])
def test_a_units_own_values_stay_within_the_distance(
    sigma: float, distance: float, rows: int
) -> None:
    asked = FrequentValues(sigma=sigma, failure=distance)
    least = asked.threshold(pricing("zcdp", budget(rows))) - rows
    continuous = rows * float(ndtr(-least / sigma))
    rounded = rows * float(ndtr(-(least - 0.5) / sigma))
    discrete = rows * discrete_gaussian_tail(sigma, least)
    assert max(continuous, rounded, discrete) <= distance
    # Two records fewer would be too many, unless noise is smaller than a record.
    assert sigma < 1 or rows * float(ndtr(-(least - 2 - rows) / sigma)) > distance
    scale = sigma / np.sqrt(2)
    least = asked.threshold(pricing("pure", budget(rows))) - rows
    ratio = np.exp(-1 / scale)
    assert rows * ratio**least / (1 + ratio) <= distance
    assert rows * np.exp(-least / scale) / 2 <= distance


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("accountant", ["zcdp", "gdp"])
def test_the_event_is_a_histograms_with_its_distance(
    accountant: str, relation: Neighbouring
) -> None:
    of = budget(3, relation)
    event = FrequentValues(sigma=7.0, failure=1e-12).event(pricing(accountant, of, release=True))
    assert event.failure == 1e-12
    assert event.sensitivity == of.l2_sensitivity


def test_a_distance_of_draws_is_charged_for_as_many_as_there_may_be_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        ResearchNoise, "sampling_distance", lambda self, law, spread, size: size * 2.0**-60
    )
    of = pricing("zcdp", budget(1, Neighbouring.ADD_REMOVE))
    event = FrequentValues(sigma=7.0, failure=2.0**-40).event(of)
    assert event.sampling_distance == ROW_CEILING * 2.0**-60


def columns(values: list[str], seed: int, **fields: float) -> PrivateColumns:
    schema = OpenSchema(columns=(OpenText(name="city"),))
    return PrivateColumns(
        pd.DataFrame({"city": values}),
        schema,
        Budget(epsilon=fields.get("epsilon", 1.0), delta=1e-9),
        noise=ResearchNoise(rng=np.random.default_rng(seed)),
    )


def test_common_values_are_found_and_rare_ones_are_not() -> None:
    values = ["Rome"] * 600 + ["Oslo"] * 500 + [f"only {i}" for i in range(300)]
    door = columns(values, seed=0)
    found, counts = door.frequent("city", sigma=20.0, parts=1)
    assert list(found) == ["Oslo", "Rome"]
    # Two counts with noise of deviation 20: five deviations.
    assert np.abs(counts - [500, 600]).max() < 100
    assert door.ledger.entries[0].label == "frequent values of city"
    assert door.ledger.entries[0].event.failure == allowed_failure(door.ledger.accountant, 1)


def test_single_records_are_released_at_the_stated_rate() -> None:
    """At a distance of 5%, 4,000 values of one record: binomial, alpha 1e-6 (seed 1); the control
    asks with a tenth of the threshold's distance and is released more often than that allows."""
    asked = FrequentValues(sigma=10.0, failure=0.05)
    price = pricing("zcdp", budget())
    ones = np.ones(4000, dtype=np.int64)
    noise = price.draw(asked.event(price), ones.shape)
    rate = len(asked.released(ones, noise, price)) / 4000
    spread = 4.9 * np.sqrt(0.05 * 0.95 / 4000)
    assert rate <= 0.05 + spread
    assert rate > 0.005 + 4.9 * np.sqrt(0.005 * 0.995 / 4000)


def test_it_is_charged_before_it_is_drawn() -> None:
    door = columns(["Rome"] * 600, seed=0)
    with pytest.raises(BudgetExceededError):
        door.frequent("city", sigma=1e-3, parts=1)
    assert door.ledger.entries == ()
    with pytest.raises(InvalidValueError):
        FrequentValues(sigma=1.0, failure=0.0)


def test_as_many_as_stated_fit_into_delta_and_no_more_than_twice() -> None:
    door = columns(["Rome"] * 600, seed=0)
    for _ in range(3):
        door.frequent("city", sigma=1e4, parts=3)
    for _ in range(2):
        door.frequent("city", sigma=1e4, parts=3)
    door.frequent("city", sigma=1e4, parts=4)
    with pytest.raises(BudgetExceededError, match="delta"):
        door.frequent("city", sigma=1e4, parts=3)
