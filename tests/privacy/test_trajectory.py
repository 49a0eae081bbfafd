"""Epsilon by step: never too low, rising to the whole, and part of what a receipt vouches for."""

import json

import numpy as np
import pytest

from dpsynth.errors import LedgerError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import DpSgdEvent, GaussianEvent
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.receipt import Receipt

BUDGET = Budget(epsilon=3.0, delta=1e-6)
RUN = DpSgdEvent(noise_multiplier=4.0, sample_rate=0.1, steps=20)


def charged(accountant: str, run: DpSgdEvent = RUN) -> Ledger:
    ledger = Ledger(make_accountant(accountant, BUDGET))
    plan = [("count", GaussianEvent(sigma=8.0)), ("dpsgd", run)]
    ledger.reserve(plan)
    for label, event in plan:
        ledger.charge(label, event)
    return ledger


@pytest.mark.parametrize("accountant", ["pld", "rdp"])
def test_it_bounds_the_epsilon_of_every_step_and_ends_at_the_whole(accountant: str) -> None:
    ledger = charged(accountant)
    (run,) = ledger.trajectories()
    assert run.entry == 1
    assert run.steps == (3, 5, 8, 10, 13, 15, 18, 20)
    assert run.epsilon[-1] == pytest.approx(ledger.epsilon_spent(), rel=1e-12)
    assert list(run.epsilon) == sorted(run.epsilon)
    assert run.epsilon[0] < 0.8 * run.epsilon[-1]
    for step in (1, 4, 10, 19):
        part = DpSgdEvent(noise_multiplier=4.0, sample_rate=0.1, steps=step)
        exact = ledger.accountant.epsilon([GaussianEvent(sigma=8.0), part])
        assert exact <= run.after(step) * (1 + 1e-12)


def test_a_run_of_few_steps_has_as_many_points() -> None:
    run = DpSgdEvent(noise_multiplier=4.0, sample_rate=0.1, steps=3)
    assert charged("rdp", run).trajectories()[0].steps == (1, 2, 3)


def test_a_ledger_without_training_has_none() -> None:
    ledger = Ledger(make_accountant("zcdp", BUDGET))
    ledger.charge("count", GaussianEvent(sigma=8.0))
    assert ledger.trajectories() == ()
    assert "epsilon_by_step" not in json.loads(ledger.receipt(mode="release").to_json())


def test_a_receipt_tells_it_survives_a_round_trip_and_refuses_another_number() -> None:
    receipt = charged("pld").receipt(mode="release")
    text = receipt.to_json()
    assert Receipt.from_json(text) == receipt
    assert f"20: {receipt.epsilon_spent:.4g}" in receipt.summary()
    record = json.loads(text)
    for index in range(8):
        altered = json.loads(text)
        altered["epsilon_by_step"][0]["epsilon"][index] *= 0.99
        with pytest.raises(LedgerError, match="by step"):
            Receipt.from_json(json.dumps(altered))
    record["epsilon_by_step"] = []
    with pytest.raises(LedgerError, match="by step"):
        Receipt.from_json(json.dumps(record))
    del record["epsilon_by_step"]  # as earlier versions wrote it
    assert Receipt.from_json(json.dumps(record)).trajectories == ()
    assert np.isfinite(receipt.trajectories[0].epsilon).all()
