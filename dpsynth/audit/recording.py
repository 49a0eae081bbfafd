"""Recorded fits of one generator on two neighbours, and whether the second follows the first."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.forced import ForcedNoise, model_differences
from dpsynth.audit.neighbours import NeighbouringTables
from dpsynth.audit.replay import Worlds, expected_evidence
from dpsynth.audit.transcript import Recorder, SelectionStep, SgdStep, Transcript, VoteStep
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Domain
from dpsynth.data.table import Table
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator, SyntheticModel

BRANCHES = 8
"""Fits recorded by default: where a fit chooses its queries by chance, one alone may have chosen
what tells little of the record."""


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


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedFit:
    """One fit: what it asked, what it released, and over which domain."""

    transcript: Transcript
    model: "SyntheticModel"
    domain: Domain


def record_fit(
    generator: "Generator",
    table: Table,
    budget: Budget,
    *,
    accountant: str,
    noise: NoiseSource,
    rng: np.random.Generator,
    observers: Iterable[Callable[[Observation], None]] = (),
) -> RecordedFit:
    """Return a recorded fit of `generator` on `table`.

    Args:
        generator: what is fitted.
        table: its records.
        budget: the claim.
        accountant: its name.
        noise: what draws.
        rng: of post-processing; a copy is used, so that fits start alike.
        observers: told of each access after the recorder.
    """
    recorder = Recorder(noise)

    def observe(observation: Observation) -> None:
        for each in (recorder.observe, *observers):
            each(observation)

    private = PrivateData(table, budget, noise=recorder, accountant=accountant, observer=observe)
    model = generator.fit(private, rng=deepcopy(rng))
    return RecordedFit(transcript=recorder.transcript(), model=model, domain=private.domain)


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
    first = fit.on(tables.first, start)
    selects = any(isinstance(step, SelectionStep) for step in first.transcript.steps)
    others = [fit.on(tables.first, start) for _ in range(branches - 1)] if selects else []
    findings = dict.fromkeys(f for found in (first, *others) for f in found.transcript.findings)
    kept = max([first, *others], key=lambda found: expected_evidence(found.transcript, worlds))
    return Recording(
        transcript=Transcript(steps=kept.transcript.steps, findings=tuple(findings)),
        worlds=worlds,
        control_flow=fit.control_flow(kept, start),
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

    def on(
        self, table: Table, rng: np.random.Generator, forced: ForcedNoise | None = None
    ) -> RecordedFit:
        """Return a fit on a table, with answers that are drawn, or forced."""
        return record_fit(
            self.generator,
            table,
            self.budget,
            accountant=self.accountant,
            noise=forced or self.noise,
            rng=rng,
            observers=() if forced is None else (forced.observe,),
        )

    def control_flow(self, recorded: RecordedFit, rng: np.random.Generator) -> str:
        """Return whether a fit with the same answers goes the same way on the neighbour."""
        if any(isinstance(step, SgdStep | VoteStep) for step in recorded.transcript.steps):
            return "unchecked"
        first, second = self.tables.codes()
        if not self._same(recorded, self.tables.first, first, rng):
            return "unchecked"  # the fit does not repeat even on its own records
        same = self._same(recorded, self.tables.second, second, rng)
        return "same" if same else "differs"

    def _same(
        self,
        recorded: RecordedFit,
        table: Table,
        codes: NDArray[np.integer[Any]],
        rng: np.random.Generator,
    ) -> bool:
        forced = ForcedNoise(
            recorded.transcript,
            recorded=self.tables.codes()[0],
            codes=codes,
            domain=self.tables.domain,
            noise=self.noise,
        )
        again = self.on(table, rng, forced)
        return not forced.departed and not any(model_differences(again.model, recorded.model))
