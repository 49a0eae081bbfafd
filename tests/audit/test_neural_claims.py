"""Whole fits of neural generators under audit: silent on them as they are, loud on faults."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.audit.claim import ClaimAudit, audit_claim
from dpsynth.audit.planted.noises import Faulty
from dpsynth.audit.transcript import Recorder
from dpsynth.generators.base import Generator
from dpsynth.generators.neural.anchored import Anchored
from dpsynth.generators.neural.autoregressive import DpAutoregressive
from dpsynth.generators.neural.dpgan import DpGan
from dpsynth.generators.neural.margnet import MargNet
from dpsynth.generators.neural.merf import DpMerf
from dpsynth.generators.neural.pate_gan import PateGan
from dpsynth.privacy.budget import Budget, Neighbouring

DPAR = DpAutoregressive(steps=5, hidden=4)
PATE = PateGan(rounds=3, rows=50, inner_steps=2)
FORCED = (DpMerf(steps=3), MargNet(steps=2, last_steps=3))
FAMILIES = (
    *FORCED,
    DPAR,
    PATE,
    DpGan(steps=5, hidden=4, latent=2, batch=16),
    Anchored(steps=5, features=8),
)


def audited(
    generator: Generator, factor: float = 1.0, *, relation: str = "add_remove", runs: int = 10_000
) -> ClaimAudit:
    budget = Budget(epsilon=1.0, delta=1e-2, relation=Neighbouring(relation))
    rng = np.random.default_rng(5)
    noise = Faulty(rng=np.random.default_rng(1), spread=factor, gradients=factor)
    return audit_claim(generator, budget, runs=runs, rng=rng, noise=noise)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("generator", FAMILIES, ids=lambda generator: generator.name)
def test_a_whole_fit_keeps_its_claim_and_half_its_noise_does_not(generator: Generator) -> None:
    # 10,000 test runs a world, alpha .05, seed fixed
    honest = audited(generator)
    assert not honest.violated
    assert honest.control_flow == ("same" if generator in FORCED else "unchecked")
    assert audited(generator, 0.5).violated


@pytest.mark.slow
@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize(
    ("generator", "method", "fault"),
    [
        (DPAR, "normal", lambda sigma: sigma / 2),
        (DPAR, "bernoulli", lambda rate: min(1.0, 2 * rate)),
        (PATE, "gaussian", lambda sigma: sigma / 2),
    ],
    ids=["gradient noise", "sample rate", "noise of votes"],
)
def test_a_curator_that_asks_for_less_than_it_charged_is_found(
    generator: Generator,
    method: str,
    fault: Any,
    relation: Neighbouring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not audited(generator, relation=relation, runs=50).findings
    whole = getattr(Recorder, method)

    def less(self: Recorder, amount: float, *given: Any, **named: Any) -> Any:
        return whole(self, fault(amount), *given, **named)

    monkeypatch.setattr(Recorder, method, less)
    found = audited(generator, relation=relation, runs=50)
    label = "teachers" if generator is PATE else "dpsgd"
    assert f"'{label}' drew less noise than its charge states" in found.findings
    assert found.violated
