"""Audits of claims: silent on what is correct, loud on what spends more than it says."""

import numpy as np
import pytest

from dpsynth.audit.claim import audit_claim
from dpsynth.generators.base import Generator
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.marginal.mst import Mst
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.registry import GENERATORS

MARGINAL = ["uniform", "independent", "mwem", "privbayes", "mst", "pairs_first"]
BUDGET = Budget(epsilon=4.0, delta=1e-9)


def audit(generator: Generator, budget: Budget = BUDGET, *, seed: int = 0, runs: int = 4000):
    rng = np.random.default_rng(seed)
    return audit_claim(generator, budget, runs=runs, alpha=0.05, rng=rng)


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("name", MARGINAL)
def test_correct_mechanisms_are_bounded_below_their_claim(
    name: str, relation: Neighbouring
) -> None:
    found = audit(GENERATORS.get(name)(), Budget(epsilon=4.0, delta=1e-9, relation=relation))
    assert not found.violated
    assert found.epsilon_lower <= found.epsilon_claimed <= found.epsilon_largest_measurable


@pytest.mark.slow
@pytest.mark.statistical
def test_false_violations_stay_within_alpha(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 audits at alpha .05, seeds 0 to 99: more than 12 have probability below .002.

    The mechanism is one whose whole claim its transcript can show: 500 runs reach .9 of its mu.
    """
    from dpsynth.audit import verdict

    def violations(audits: int) -> int:
        return sum(audit(Independent(), seed=seed, runs=500).violated for seed in range(audits))

    assert violations(100) <= 12
    # Negative control: observed rates taken for bounds; three in four are false then.
    monkeypatch.setattr(
        verdict, "binomial_upper", lambda hits, runs, *, alpha: np.maximum(hits, 0.5) / runs
    )
    assert violations(40) > 12


@pytest.mark.statistical
def test_too_little_noise_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the accountant is made to sell a quarter of the noise's cost."""
    from dpsynth.privacy.filters import ZcdpFilter

    honest = ZcdpFilter.cost
    monkeypatch.setattr(ZcdpFilter, "cost", lambda self, event: honest(self, event) / 4)
    honest_sigma = ZcdpFilter.gaussian_sigma
    monkeypatch.setattr(
        ZcdpFilter,
        "gaussian_sigma",
        lambda self, amount, **k: honest_sigma(self, amount, **k) / 2,
    )
    rng = np.random.default_rng(0)
    found = audit_claim(Mst(), BUDGET, runs=10000, alpha=0.05, rng=rng, accountant="zcdp")
    assert found.violated


def test_mst_keeps_its_claim_under_a_reserved_plan() -> None:
    found = audit(Mst(), runs=2000)
    assert found.accountant == "bounded_range"
    assert not found.violated
    assert found.control_flow == "same"
    assert 0.0 < found.epsilon_lower <= found.epsilon_claimed
