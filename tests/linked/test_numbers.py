"""Numbers of events: bought alone, priced as one row a unit, and kept to in every sample."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.linked_tables import LinkedTables
from dpsynth.linked.numbers import bought_numbers, renumbered
from dpsynth.linked.synthesis import synthesize_linked
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ResearchNoise
from tests.linked.panels import LINKED, LONG, panel

PEOPLE, VISITS = panel(400)
STARTS = LinkedTables(schema=LINKED, events=VISITS, units=PEOPLE).starts


def private(seed: int, **fields: object) -> PrivateData:
    budget = Budget(epsilon=1.0, delta=1e-9, unit="patient", max_rows_per_unit=1)
    noise = ResearchNoise(rng=np.random.default_rng(seed))
    return PrivateData(STARTS, replace(budget, **fields), noise=noise, accountant="gdp")  # type: ignore[arg-type]


def test_the_share_is_what_is_charged() -> None:
    door = private(0)
    whole = door.remaining
    shares = bought_numbers(door, LINKED.number, share=0.25)
    assert shares.shape == (7,)
    assert shares.sum() == pytest.approx(1.0)
    assert door.remaining == pytest.approx(0.75 * whole)
    (entry,) = door.ledger.entries
    assert (entry.label, entry.event.sensitivity) == ("number of events", 1.0)  # type: ignore[attr-defined]
    moved = private(0, relation=Neighbouring.REPLACE)
    bought_numbers(moved, LINKED.number, share=0.25)
    assert moved.ledger.entries[0].event.sensitivity == pytest.approx(2**0.5)  # type: ignore[attr-defined]


def test_samples_have_these_shares_and_keep_their_order() -> None:
    shares = np.array([0.1, 0.0, 0.3, 0.0, 0.4, 0.2, 0.0])
    drawn = renumbered(STARTS, LINKED.number, shares, rng=np.random.default_rng(1))
    numbers = drawn.frame[LINKED.number].to_numpy()
    assert np.bincount(numbers, minlength=7).tolist() == [40, 0, 120, 0, 160, 80, 0]
    before = STARTS.frame[LINKED.number].to_numpy()
    for less in range(6):
        assert numbers[before <= less].max() <= numbers[before > less].min(initial=9)
    kept = [c for c in STARTS.schema.names if c != LINKED.number]
    pd.testing.assert_frame_equal(drawn.frame[kept], STARTS.frame[kept])


def test_a_long_table_counts_from_one() -> None:
    made = synthesize_linked(
        VISITS, schema=LONG, epsilon=1.0, generator="independent", units_generator="uniform", seed=0
    )
    counts = made.sample(1000).events.groupby("patient").size()
    assert len(made.numbers) == 6
    assert counts.min() >= 1
    expected = 1000 * made.numbers
    assert np.abs(np.bincount(counts, minlength=7)[1:] - expected).max() <= 1
