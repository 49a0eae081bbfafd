"""Recorded fits of one generator on two neighbours, and whether the second follows the first."""

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.forced import ForcedNoise, model_differences
from dpsynth.audit.neighbours import NeighbouringTables
from dpsynth.audit.replay import Worlds, expected_evidence
from dpsynth.audit.transcript import Recorder, SelectionStep, SgdStep, Transcript, VoteStep
from dpsynth.curator.private_data import PrivateData
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator, SyntheticModel


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """One recorded fit.

    Args:
        transcript: what it asked and got.
        worlds: the neighbours.
        control_flow: "same", "differs" or "unchecked", as of `ClaimAudit`.
    """

    transcript: Transcript
    worlds: Worlds
    control_flow: str


def recorded(
    generator: "Generator",
    budget: Budget,
    *,
    accountant: str,
    tables: NeighbouringTables,
    noise: NoiseSource,
    branches: int,
    rng: np.random.Generator,
) -> Recording:
    """Return a fit on the first table, checked on the second.

    Where a fit selects, its queries depend on answers. Every branch that it may take is part of the
    claim, so of `branches` fits the one is kept whose replay would show most.

    Args:
        generator: what is audited.
        budget: the claim.
        accountant: its name.
        tables: the neighbours.
        noise: what draws.
        branches: how many fits are recorded, at least 1.
        rng: of post-processing.
    """
    worlds = Worlds(codes=tables.codes(), domain=tables.domain, relation=budget.relation)
    fit = _Fit(
        generator=generator, budget=budget, accountant=accountant, tables=tables, noise=noise
    )
    start = rng.spawn(1)[0]
    transcript, model = fit.record(start)
    selects = any(isinstance(step, SelectionStep) for step in transcript.steps)
    others = [fit.record(start) for _ in range(branches - 1)] if selects else []
    findings = dict.fromkeys(f for t, _ in [(transcript, model), *others] for f in t.findings)
    transcript, model = max(
        [(transcript, model), *others], key=lambda found: expected_evidence(found[0], worlds)
    )
    return Recording(
        transcript=Transcript(steps=transcript.steps, findings=tuple(findings)),
        worlds=worlds,
        control_flow=fit.control_flow(transcript, model, start),
    )


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    """Fits of one generator on two neighbours."""

    generator: "Generator"
    budget: Budget
    accountant: str
    tables: NeighbouringTables
    noise: NoiseSource

    def record(self, rng: np.random.Generator) -> tuple[Transcript, "SyntheticModel"]:
        """Return the transcript and the model of a fit on the first table."""
        recorder = Recorder(self.noise)
        private = PrivateData(
            self.tables.first,
            self.budget,
            noise=recorder,
            accountant=self.accountant,
            observer=recorder.observe,
        )
        model = self.generator.fit(private, rng=deepcopy(rng))
        return recorder.transcript(), model

    def control_flow(
        self, transcript: Transcript, model: "SyntheticModel", rng: np.random.Generator
    ) -> str:
        """Return whether a fit with the same answers goes the same way on the neighbour."""
        if any(isinstance(step, SgdStep | VoteStep) for step in transcript.steps):
            return "unchecked"
        first, second = self.tables.codes()
        if not self._same(transcript, model, self.tables.first, first, rng):
            return "unchecked"  # the fit does not repeat even on its own records
        same = self._same(transcript, model, self.tables.second, second, rng)
        return "same" if same else "differs"

    def _same(
        self,
        transcript: Transcript,
        model: "SyntheticModel",
        table: Any,
        codes: NDArray[np.integer[Any]],
        rng: np.random.Generator,
    ) -> bool:
        forced = ForcedNoise(
            transcript,
            recorded=self.tables.codes()[0],
            codes=codes,
            domain=self.tables.domain,
            noise=self.noise,
        )
        private = PrivateData(
            table,
            self.budget,
            noise=forced,
            accountant=self.accountant,
            observer=forced.observe,
        )
        again = self.generator.fit(private, rng=deepcopy(rng))
        return not forced.departed and not any(model_differences(again, model))
