"""Negative controls: each planted bug must be found, and the same audit is silent without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, final

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.audit.claim import ClaimAudit, audit_claim, audit_transcript
from dpsynth.audit.neighbours import narrow_neighbours
from dpsynth.audit.replay import Worlds
from dpsynth.audit.transcript import SgdStep, Transcript
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.sgd import SgdPlan
from dpsynth.data.schema import Schema
from dpsynth.generators.base import Generator, SyntheticModel
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.marginal.mst import Mst
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.noise import NoiseSource, ReleaseNoise, ResearchNoise, Size

BUDGET = Budget(epsilon=1.0, delta=1e-2)


class FaultyNoise(NoiseSource):
    """Research noise with one bug."""

    mode: ClassVar[Literal["research", "release"]] = "research"

    def __init__(self, bug: str = "none") -> None:
        self.bug = bug
        self.inner = ResearchNoise(rng=np.random.default_rng(1))

    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        inner = ResearchNoise(rng=np.random.default_rng(7)) if self.bug == "reseeds" else self.inner
        drawn = inner.gaussian(sigma, size, law=law)
        if self.bug == "half":
            drawn = drawn / 2
        if self.bug == "skips" and drawn.ndim == 2:
            drawn[np.random.default_rng(drawn.size).random(len(drawn)) < 0.01] = 0.0
        return drawn

    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        drawn = self.inner.laplace(scale, size, law=law)
        return drawn / 2 if self.bug == "half" else drawn

    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        return self.inner.normal(sigma / 2 if self.bug == "half" else sigma, size)

    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        return self.inner.bernoulli(probability, size)

    def words(self, size: int) -> NDArray[np.uint64]:
        return self.inner.words(size)

    def exponential_draws(
        self, scores: NDArray[np.float64], size: int, **terms: Any
    ) -> NDArray[np.intp]:
        if self.bug == "no factor 1/2":
            terms["epsilon"] = 2 * terms["epsilon"]
        if self.bug == "selects the best":
            terms["epsilon"] = 1e6
        return self.inner.exponential_draws(scores, size, **terms)

    def report_noisy_max(self, scores: NDArray[np.float64], **terms: Any) -> int:
        return self.inner.report_noisy_max(scores, **terms)


def audited(
    generator: Generator, bug: str = "none", *, accountant: str | None = None, runs: int = 10_000
) -> ClaimAudit:
    budget = Budget(epsilon=1.0, delta=0.0) if accountant == "pure" else BUDGET
    return audit_claim(
        generator,
        budget,
        runs=runs,
        rng=np.random.default_rng(5),
        accountant=accountant,
        noise=FaultyNoise(bug),
    )


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("generator", "accountant", "bug"),
    [
        (Independent(), "gdp", "half"),
        (Independent(), "zcdp", "half"),
        (Independent(), "pure", "half"),
        (Mst(), "zcdp", "half"),
        (Independent(), "gdp", "skips"),
        (Mst(selection_share=0.6), "zcdp", "selects the best"),
    ],
)
def test_too_little_noise_is_found(generator: Generator, accountant: str, bug: str) -> None:
    # 10,000 test runs a world, alpha .05, seed fixed
    assert audited(generator, bug, accountant=accountant).violated
    honest = audited(generator, accountant=accountant)
    assert not honest.violated
    assert honest.control_flow == "same"


def test_a_reseeded_generator_is_found_on_the_recording_itself() -> None:
    found = audited(Independent(), "reseeds", runs=50)
    assert any("same noise" in finding for finding in found.findings)
    assert found.violated


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Counts(SyntheticModel):
    schema: Schema
    total: float
    values: NDArray[np.float64]

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return rng.integers(0, 2, (n, len(self.schema.names)))

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {"values": self.values, "total": np.array(self.total)}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(schema=schema, total=float(arrays["total"]), values=arrays["values"])


@final
@dataclass(frozen=True, kw_only=True)
class Cheat(Generator):
    """Reaches past the one door for something that looks harmless."""

    name: ClassVar[str] = "cheat"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "none"
    model: ClassVar[type[SyntheticModel]] = Counts
    bug: str

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> Counts:
        counter = private._answering.counter
        total, column = 10.0, "x0"
        if self.bug == "exact number of rows":
            total = float(counter.rows)
        if self.bug == "branch on the records" and counter.counts(("x1",))[1] > 0:
            column = "x1"
        sigma = private.sigma_for(private.remaining)
        if self.bug == "noise scaled by the number of rows":
            sigma *= 1 + counter.rows / 100
        values = private.marginal((column,), sigma=sigma).values
        if self.bug == "domain from the records":
            values = values[counter.counts((column,)) > 0]
        return Counts(schema=private.schema, total=total, values=values)


@pytest.mark.parametrize(
    "bug",
    [
        "exact number of rows",
        "branch on the records",
        "noise scaled by the number of rows",
        "domain from the records",
    ],
)
def test_what_bypasses_the_answers_is_found_with_certainty(bug: str) -> None:
    found = audited(Cheat(bug=bug), runs=50)
    assert found.control_flow == "differs"
    assert found.violated
    honest = audited(Cheat(bug="none"), runs=50)
    assert honest.control_flow == "same"
    assert not honest.violated


def sgd_audit(relation: Neighbouring, bug: str, *, sample_rate: float) -> ClaimAudit:
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
        noise=FaultyNoise(bug),
    )


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("sample_rate", [0.3, 1.0])
def test_dpsgd_with_half_its_noise_is_found(relation: Neighbouring, sample_rate: float) -> None:
    # white-box canary, 5,000 test runs a world, alpha .05, seed fixed
    honest = sgd_audit(relation, "none", sample_rate=sample_rate)
    assert not honest.violated
    assert 0 < honest.epsilon_lower < 10.0
    assert sgd_audit(relation, "half", sample_rate=sample_rate).violated


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
