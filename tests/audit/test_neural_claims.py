"""Whole fits of neural generators under audit: silent on them as they are, loud on faults."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.audit.claim import ClaimAudit, audit_claim, audit_transcript
from dpsynth.audit.neighbours import narrow_neighbours
from dpsynth.audit.planted.noises import Faulty
from dpsynth.audit.replay import Worlds
from dpsynth.audit.transcript import Recorder
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.encoding import Codec
from dpsynth.data.open_columns import OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.table import Table
from dpsynth.generators.base import Generator
from dpsynth.generators.neural.anchored import Anchored
from dpsynth.generators.neural.autoregressive import DpAutoregressive
from dpsynth.generators.neural.diffusion import DpDiffusion
from dpsynth.generators.neural.dpctgan import DpCtgan
from dpsynth.generators.neural.dpgan import DpGan
from dpsynth.generators.neural.margnet import MargNet
from dpsynth.generators.neural.merf import DpMerf
from dpsynth.generators.neural.pate_gan import PateGan
from dpsynth.generators.neural.vae import DpVae
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ResearchNoise
from dpsynth.registry import GENERATORS

DPAR = DpAutoregressive(steps=5, hidden=4)
PATE = PateGan(rounds=3, rows=50, inner_steps=2)
FORCED = (DpMerf(steps=3), MargNet(steps=2, last_steps=3))
FAMILIES = (
    *FORCED,
    DPAR,
    PATE,
    DpGan(steps=5, hidden=4, latent=2, batch=16, replays=3),
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


def audited_after_columns(
    generator: Generator, factor: float, *, relation: Neighbouring, runs: int
) -> ClaimAudit:
    """The audit of a fit on columns whose categories were bought within its plan."""
    budget, tables = (
        Budget(epsilon=1.0, delta=1e-2, relation=relation),
        narrow_neighbours(relation, rows=400),
    )
    schema = OpenSchema(columns=tuple(OpenText(name=c) for c in tables.first.schema.names))
    by, rng = Preparation(), np.random.default_rng(5)
    columns = PrivateColumns(
        tables.first.frame,
        schema,
        budget,
        noise=ResearchNoise(rng=np.random.default_rng(6)),
        accountant=generator.accountant,
        set_aside=by.set_aside(schema.open_columns, budget.delta),
    )
    by.reserve(columns, lambda door: generator.fit(door, rng=rng))
    closed = by.closed(columns)
    first, second = (Table.from_frame(closed, t.frame) for t in (tables.first, tables.second))
    faulty = Faulty(rng=np.random.default_rng(1), spread=factor, gradients=factor)
    recorder = Recorder(faulty)
    ledger = columns.ledger
    private = PrivateData(first, budget, noise=recorder, ledger=ledger, observer=recorder.observe)
    generator.fit(private, rng=rng)
    # columns, one-way marginals and training; dpgan chooses for each column, too
    charges = 3 + (len(tables.first.schema.names) if isinstance(generator, DpGan) else 0)
    assert len(ledger.entries) == len(ledger.plan) == charges
    assert 0.9 < ledger.epsilon_spent() <= 1.0
    codec = Codec(schema=closed)
    worlds = Worlds(
        codes=(codec.encode(first), codec.encode(second)), domain=closed.domain, relation=relation
    )
    return audit_transcript(
        recorder.transcript(),
        budget,
        accountant=generator.accountant,
        worlds=worlds,
        runs=runs,
        alpha=0.05,
        noise=Faulty(rng=np.random.default_rng(2), spread=factor, gradients=factor),
        mechanism=generator.name,
        control_flow="unchecked",
    )


PLANNED = (
    DPAR,
    DpVae(steps=5, hidden=4, latent=2),
    DpGan(steps=5, hidden=4, latent=2, batch=16, replays=3),
    DpCtgan(steps=5, hidden=4, latent=2, batch=16, replays=3),
    DpDiffusion(steps=5, hidden=4, diffusion_steps=3),
    Anchored(steps=5, features=8),
)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize(
    ("generator", "relation"),
    [
        *((generator, Neighbouring.ADD_REMOVE) for generator in PLANNED),
        (DPAR, Neighbouring.REPLACE),
    ],
    ids=lambda given: getattr(given, "name", given),
)
def test_a_fit_after_bought_columns_keeps_its_claim(
    generator: Generator, relation: Neighbouring
) -> None:
    # 2,000 test runs a world, alpha .05, seed fixed; half the noise is the control
    honest = audited_after_columns(generator, 1.0, relation=relation, runs=2000)
    assert not honest.violated
    assert not honest.findings
    assert audited_after_columns(generator, 0.5, relation=relation, runs=2000).violated


def test_every_generator_with_a_plan_is_audited_after_bought_columns() -> None:
    planned = {name for name in GENERATORS if GENERATORS.get(name)().needs_plan}
    assert {generator.name for generator in PLANNED} == planned


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
