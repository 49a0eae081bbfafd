"""A record whose gradient is known is added to real training steps: ledger and noise must agree.

Two sessions of the same plan, charged to a ledger, run on neighbouring tables; the canary's
gradient lies along one parameter and is ten times as long as the clipping norm. The noise source
in between notes what the session asked of it and adds none, so each session shows its exact
clipped sum and the sigma it would have drawn. Transcripts are the noisy sums of these, 10,000 a
world, and are scored by the likelihood ratio against the claim of what was charged.
"""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

import torch
from torch import nn

from dpsynth.audit.tradeoff import claimed_trade_off
from dpsynth.audit.verdict import decide
from dpsynth.curator import gradients
from dpsynth.curator.checked_network import CheckedNetwork
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import NoiseSource, ResearchNoise

TRANSCRIPTS, ALPHA, SEED = 10_000, 0.05, 20
NORM, SIGMA = 0.5, 2.0
SCHEMA = Schema.from_toml(
    """
[[column]]
name = "canary"
kind = "categorical"
categories = ["no", "yes", "opposite"]
"""
)


class Listening(NoiseSource):
    """Draws every record and no noise, and notes the sigma that was asked for."""

    mode = "research"

    def __init__(self) -> None:
        self.sigma = 0.0

    def bernoulli(self, probability: float, size: int) -> Any:
        return np.ones(size, bool)

    def normal(self, sigma: float, size: Any) -> Any:
        self.sigma = sigma
        return np.zeros(size)

    def _never(self, *args: Any, **named: Any) -> Any:
        raise AssertionError("not part of DP-SGD")

    gaussian = laplace = words = exponential_draws = report_noisy_max = _never


def canary_loss(module: Any, codes: Any, generator: Any) -> Any:
    """Gradient 10 C along the first weight for "yes", -10 C for "opposite", small else."""
    scale = 10.0 * NORM * torch.tensor([0.0, 1.0, -1.0])[codes[:, 0]]
    return module(torch.stack([scale, torch.full_like(scale, 0.1)], dim=1))[:, 0]


def clipped_sum(values: list[str], plan: SgdPlan, budget: Budget) -> tuple[Any, float, Any]:
    """Return a session's sum without noise, the sigma it asked for, and what was charged."""
    import pandas as pd

    noise = Listening()
    table = Table.from_frame(SCHEMA, pd.DataFrame({"canary": values}))
    private = PrivateData(table, budget, noise=noise, accountant="pld")
    private.reserve([("dpsgd", plan.event)])
    network, rng = nn.Linear(2, 1, bias=False), np.random.default_rng(SEED)
    checked = CheckedNetwork(
        network, canary_loss, clipping_norm=plan.clipping_norm, domain=private.domain, rng=rng
    )
    session = private.dpsgd(plan, checked, rows=4.0)
    session.step()
    assert network.weight.grad is not None
    total = network.weight.grad[0].double().numpy() * plan.sample_rate * 4.0
    return total, noise.sigma, [entry.event for entry in private.ledger.entries]


def violated(relation: Neighbouring, sample_rate: float, *, drawn: float = 1.0) -> bool:
    """Return whether 10,000 transcripts a world contradict what was charged.

    Args:
        relation: "yes" is added to three records, or takes the place of "opposite".
        sample_rate: of the plan.
        drawn: the noise source's own fault, a factor on what it was asked for.
    """
    budget = Budget(epsilon=10.0, delta=1e-5, relation=relation)
    plan = SgdPlan(
        sample_rate=sample_rate, steps=1, clipping_norm=NORM, noise_multiplier=SIGMA / NORM / 4
    )
    without = ["no"] * 3 + ["opposite"] * (relation is Neighbouring.REPLACE)
    rest, _, _ = clipped_sum(["no"] * 3, plan, budget)
    first, sigma, charged = clipped_sum(without, plan, budget)
    second, _, _ = clipped_sum([*without[:3], "yes"], plan, budget)
    shifts = first - rest, second - rest
    noise = ResearchNoise(rng=np.random.default_rng(SEED))
    halves = []
    for size in (TRANSCRIPTS // 2, TRANSCRIPTS):
        worlds = []
        for shift in shifts:
            joins = noise.bernoulli(sample_rate, size)[:, None] * shift
            sums = joins + drawn * noise.normal(sigma, (size, len(rest)))
            worlds.append((sums @ (shifts[1] - shifts[0]))[None])  # monotone in the ratio
        halves.append(tuple(worlds))
    claim = claimed_trade_off(charged, budget, "pld")
    tests = decide(("canary",), halves[0], halves[1], claim=claim, delta=budget.delta, alpha=ALPHA)
    return any(test.violated for test in tests)


CASES = [(relation, rate) for relation in Neighbouring for rate in (1.0, 0.5)]


@pytest.mark.statistical
@pytest.mark.parametrize(("relation", "rate"), CASES)
def test_honest_training_keeps_its_claim(relation: Neighbouring, rate: float) -> None:
    # alpha .05 over everything looked at, 10,000 transcripts a world, seed 20
    assert not violated(relation, rate)


@pytest.mark.statistical
@pytest.mark.parametrize(("relation", "rate"), CASES)
def test_halved_noise_is_rejected(relation: Neighbouring, rate: float) -> None:
    assert violated(relation, rate, drawn=0.5)


@pytest.mark.statistical
@pytest.mark.parametrize(("relation", "rate"), CASES)
def test_skipped_clipping_is_rejected(
    relation: Neighbouring, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        gradients, "clipping_factors", lambda squared, norm: torch.ones_like(squared)
    )
    monkeypatch.setattr("dpsynth.curator.probe.Probe.refuse_wrong_sum", lambda *_: None)
    assert violated(relation, rate)


@pytest.mark.statistical
@pytest.mark.parametrize(("relation", "rate"), CASES)
def test_a_session_that_asks_for_half_its_noise_is_rejected(
    relation: Neighbouring, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Listening.normal
    monkeypatch.setattr(Listening, "normal", lambda self, sigma, size: whole(self, sigma / 2, size))
    assert violated(relation, rate)
