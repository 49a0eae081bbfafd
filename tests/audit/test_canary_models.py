"""DP-SGD from final models, and bounds by class: near the claim, and loud on faults."""

import numpy as np
import pytest

from dpsynth.audit.class_bound import epsilon_of_class, epsilon_of_gaussian
from dpsynth.audit.neighbours import narrow_neighbours
from dpsynth.audit.replay import Replay, Worlds
from dpsynth.audit.tradeoff import claimed_trade_off
from dpsynth.audit.transcript import SgdStep, Transcript
from dpsynth.audit.verdict import ScoreTest, decide
from dpsynth.curator.sgd import SgdPlan
from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import GaussianEvent, LaplaceEvent
from dpsynth.privacy.noise import ResearchNoise


@pytest.mark.statistical
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_final_models_show_most_of_a_claim_and_half_the_noise_breaks_it(
    relation: Neighbouring, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 100 test runs a world, alpha .05, seed 0
    pytest.importorskip("torch", reason="the extra 'neural' is not installed")
    from dpsynth.audit.canary_models import audit_final_models

    budget = Budget(epsilon=10.0, delta=1e-5, relation=relation)

    def audited():
        return audit_final_models(budget, steps=2, runs=100, rng=np.random.default_rng(0))

    honest = audited()
    assert not honest.violated
    assert honest.epsilon_lower_of_class is not None
    assert 3.0 < honest.epsilon_lower_of_class < 10.0
    whole = ResearchNoise.normal
    monkeypatch.setattr(
        ResearchNoise, "normal", lambda self, sigma, size: whole(self, sigma / 2, size)
    )
    assert audited().violated


def canary_tests(event_factor: float) -> tuple[SgdPlan, Budget, tuple[ScoreTest, ...]]:
    """Tests of 20,000 canary transcripts a world whose noise is a factor of what is planned."""
    plan = SgdPlan(sample_rate=0.2, steps=20, clipping_norm=1.0, noise_multiplier=1.2)
    epsilon = make_accountant("pld", Budget(epsilon=10.0, delta=1e-5)).epsilon([plan.event])
    budget = Budget(epsilon=epsilon, delta=1e-5)
    step = SgdStep(
        label="dpsgd",
        event=plan.event,
        plan=plan,
        sample_rate=plan.sample_rate,
        sigma=plan.noise_multiplier * event_factor,
        steps=plan.steps,
    )
    tables = narrow_neighbours(budget.relation)
    worlds = Worlds(codes=tables.codes(), domain=tables.domain, relation=budget.relation)
    noise = ResearchNoise(rng=np.random.default_rng(0))
    replay = Replay(Transcript(steps=(step,)), worlds, noise)
    replay.learn(1000)
    halves = [(replay.scores(0, n), replay.scores(1, n)) for n in (10_000, 20_000)]
    claim = claimed_trade_off([plan.event], budget, "pld")
    tests = decide(
        replay.families, halves[0], halves[1], claim=claim, delta=budget.delta, alpha=0.05
    )
    return plan, budget, tests


@pytest.mark.statistical
def test_the_bound_by_class_lies_between_that_at_delta_and_the_claim() -> None:
    # 20,000 test runs a world, alpha .05, seed 0
    plan, budget, tests = canary_tests(1.0)
    found = epsilon_of_class([plan.event], budget, tests)
    assert max(test.epsilon_lower for test in tests) < found <= budget.epsilon
    assert found > 0.8 * budget.epsilon
    plan, budget, tests = canary_tests(0.7)  # negative control: too little noise
    assert epsilon_of_class([plan.event], budget, tests) > budget.epsilon


def test_gaussians_are_bounded_by_mu_and_mixtures_by_nothing() -> None:
    _, budget, tests = canary_tests(1.0)
    mu = max(test.mu_lower for test in tests)
    gaussian = GaussianEvent(sigma=3.0, sensitivity=1.0)
    assert epsilon_of_class([gaussian], budget, tests) == epsilon_of_gaussian(mu, budget.delta)
    with pytest.raises(UnsupportedEventError):
        epsilon_of_class([LaplaceEvent(scale=1.0, sensitivity=1.0)], budget, tests)
    assert epsilon_of_gaussian(0.0, 1e-5) == 0.0
