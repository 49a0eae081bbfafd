"""Negative controls: each planted bug must be found, and the same audit is silent without it."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.audit.claim import ClaimAudit, audit_claim, audit_transcript
from dpsynth.audit.neighbours import dependence_neighbours, narrow_neighbours
from dpsynth.audit.planted import CATCHERS, PLANTED, PlantedBug
from dpsynth.audit.planted.noises import Faulty
from dpsynth.audit.planted.sketch import Fit, Sketch
from dpsynth.audit.replay import Worlds
from dpsynth.audit.transcript import SgdStep, Transcript
from dpsynth.curator.sgd import SgdPlan
from dpsynth.generators.base import Generator
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.marginal.mst import Mst
from dpsynth.generators.marginal.privbayes import PrivBayes
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.noise import ReleaseNoise, Size
from tests.cli.running import runner

BUDGET = Budget(epsilon=1.0, delta=1e-2)
BUGS = list(PLANTED.values())


def test_there_are_enough_of_them() -> None:
    assert len(PLANTED) >= 16
    assert {bug.catcher for bug in BUGS} == set(CATCHERS)
    assert all(bug.name and bug.defect.endswith(".") and bug.seen.endswith(".") for bug in BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
@pytest.mark.parametrize("seed", [1, 2])
def test_it_is_caught_and_its_twin_passes(bug: PlantedBug, seed: int) -> None:
    """Statistical catchers: alpha .05 or less a twin, sizes with the subject, seeds fixed."""
    assert bug.faulty.findings(rng=np.random.default_rng(seed))
    assert bug.twin.findings(rng=np.random.default_rng(seed)) == ()
    assert type(bug.faulty) is type(bug.twin)


@pytest.mark.parametrize(
    "bug", [b for b in BUGS if isinstance(b.faulty, Fit)], ids=lambda bug: bug.name
)
def test_no_cheaper_look_at_the_same_fits_finds_it(bug: PlantedBug) -> None:
    assert isinstance(bug.faulty, Fit)
    for cheaper in CATCHERS[: CATCHERS.index(bug.catcher)]:
        assert replace(bug.faulty, found_by=cheaper).findings(rng=np.random.default_rng(1)) == ()


def test_the_verb_prints_the_table(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    run = runner(capsys)
    assert run("audit-planted", "half the noise", "monotone discount")[0] == 0
    code, said = run("audit-planted", "half the nois")
    assert code == 2
    assert "half the noise" in said
    bug = PLANTED["half the noise"]
    missed = replace(bug, faulty=bug.twin)
    monkeypatch.setattr("dpsynth.audit.planted.PLANTED", {bug.name: missed})
    assert run("audit-planted")[0] == 1


def audited(
    generator: Generator, noise: Faulty, *, accountant: str | None = None, runs: int = 10_000
) -> ClaimAudit:
    budget = Budget(epsilon=1.0, delta=0.0) if accountant == "pure" else BUDGET
    return audit_claim(
        generator,
        budget,
        runs=runs,
        rng=np.random.default_rng(5),
        accountant=accountant,
        noise=noise,
    )


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("generator", "accountant", "fault"),
    [
        (Independent(), "gdp", {"spread": 0.5}),
        (Independent(), "zcdp", {"spread": 0.5}),
        (Independent(), "pure", {"spread": 0.5}),
        (Mst(), "zcdp", {"spread": 0.5}),
        (Independent(), "gdp", {"skipped": 0.01}),
    ],
)
def test_too_little_noise_is_found(generator: Generator, accountant: str, fault: dict) -> None:
    # 10,000 test runs a world, alpha .05, seed fixed
    assert audited(
        generator, Faulty(rng=np.random.default_rng(1), **fault), accountant=accountant
    ).violated
    honest = audited(generator, Faulty(rng=np.random.default_rng(1)), accountant=accountant)
    assert not honest.violated
    assert honest.control_flow == "same"


@pytest.mark.statistical
@pytest.mark.parametrize("generator", [Mst(selection_share=0.6), PrivBayes(structure_share=0.6)])
def test_selections_of_too_little_noise_are_found_where_columns_depend(
    generator: Generator,
) -> None:
    # 10,000 test runs a world, alpha .05, seed fixed
    def violated(selections: float) -> bool:
        return audit_claim(
            generator,
            BUDGET,
            runs=10_000,
            rng=np.random.default_rng(5),
            accountant="zcdp",
            neighbours=dependence_neighbours(BUDGET.relation),
            noise=Faulty(rng=np.random.default_rng(1), selections=selections),
        ).violated

    assert violated(4.0)
    assert not violated(1.0)


def test_a_reseeded_generator_is_found_on_the_recording_itself(monkeypatch) -> None:
    def stuck(self: Faulty, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        return np.random.default_rng(7).normal(0.0, sigma, size)

    monkeypatch.setattr(Faulty, "gaussian", stuck)
    found = audited(Independent(), Faulty(rng=np.random.default_rng(1)), runs=50)
    assert any("same noise" in finding for finding in found.findings)
    assert found.violated


@pytest.mark.parametrize(
    "name", ["exact number of records", "branch on the records", "domain from the records"]
)
def test_a_verdict_holds_what_bypasses_the_answers_against_a_claim(name: str) -> None:
    bug = PLANTED[name]
    assert isinstance(bug.faulty, Fit)
    assert isinstance(bug.twin, Fit)
    found = audited(Sketch(rule=bug.faulty.rule), Faulty(rng=np.random.default_rng(1)), runs=50)
    assert found.control_flow == "differs"
    assert found.violated
    honest = audited(Sketch(rule=bug.twin.rule), Faulty(rng=np.random.default_rng(1)), runs=50)
    assert honest.control_flow == "same"
    assert not honest.violated


def sgd_audit(relation: Neighbouring, factor: float, *, sample_rate: float) -> ClaimAudit:
    plan = SgdPlan(sample_rate=sample_rate, steps=20, clipping_norm=2.0, noise_multiplier=3.0)
    step = SgdStep(
        label="dpsgd", event=plan.event, plan=plan, sample_rate=sample_rate, sigma=6.0, steps=20
    )
    tables = narrow_neighbours(relation)
    return audit_transcript(
        Transcript(steps=(step,)),
        Budget(epsilon=10.0, delta=1e-5, relation=relation),
        accountant="pld",
        worlds=Worlds(codes=tables.codes(), domain=tables.domain, relation=relation),
        runs=5_000,
        alpha=0.05,
        noise=Faulty(rng=np.random.default_rng(1), gradients=factor),
    )


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("sample_rate", [0.3, 1.0])
def test_dpsgd_with_half_its_noise_is_found(relation: Neighbouring, sample_rate: float) -> None:
    # white-box canary, 5,000 test runs a world, alpha .05, seed fixed
    honest = sgd_audit(relation, 1.0, sample_rate=sample_rate)
    assert not honest.violated
    assert 0 < honest.epsilon_lower < 10.0
    assert sgd_audit(relation, 0.5, sample_rate=sample_rate).violated


@pytest.mark.parametrize("accountant", ["zcdp", "gdp", "pure"])
def test_release_samplers_can_be_audited(accountant: str) -> None:
    budget = Budget(epsilon=1.0, delta=0.0) if accountant == "pure" else BUDGET
    found = audit_claim(
        Independent(),
        budget,
        runs=300,
        alpha=1e-6,  # system randomness
        rng=np.random.default_rng(0),
        accountant=accountant,
        noise=ReleaseNoise(),
    )
    assert not found.violated
    assert found.control_flow == "same"
    assert '"violated": false' in found.to_json()
