"""Record a fit, replay it on every kind of neighbour: what changed, and was not charged?

A fit is recorded on one table: every event, query, branch and released quantity. Then it is run
again on neighbours, with noise that makes every answer what it was (`ForcedNoise`), gradients and
votes included (`CoupledNoise`). All that a generator may know about its records is then equal, so
all that it asks, is charged and releases must be equal too, to the last bit. And every answer must
move between the neighbours by no more than its event states. A domain, a number of records, a
branch, a bound, a sensitivity taken from the records, or for the wrong relation, shows at once, on
one pair of tables, without statistics.

What it cannot see: noise whose law is not the one that was asked for (`verdict`), and leaks that
need another pair of tables.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.coupled import CoupledNoise
from dpsynth.audit.forced import ForcedNoise, equal, model_differences
from dpsynth.audit.neighbourhood import Neighbour, neighbourhood
from dpsynth.audit.recording import RecordedFit, record_fit
from dpsynth.audit.transcript import (
    SelectionStep,
    SgdStep,
    Transcript,
    VoteStep,
    asked,
)
from dpsynth.curator.observation import Observation
from dpsynth.data.domain import Domain
from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.accountant import Filter, make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import Event, GaussianEvent, LaplaceEvent
from dpsynth.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator

Codes: TypeAlias = NDArray[np.integer[Any]]
Kind: TypeAlias = Literal["charge", "replay", "sensitivity"]
# Of sums of doubles, relative to the sensitivity.
ROUNDING = 1e-9


@final
@dataclass(frozen=True, kw_only=True)
class Finding:
    """What contradicts a claim with certainty.

    Args:
        kind: "charge": noise and ledger disagree; "replay": something but the answers told the
            neighbours apart; "sensitivity": an answer moves further than its event states.
        sentence: what was found, and on which neighbour.
    """

    kind: Kind
    sentence: str


@final
@dataclass(frozen=True, kw_only=True)
class GreyBox:
    """What recording and replaying one fit found.

    Args:
        mechanism: what was audited.
        relation: between which neighbours.
        neighbours: how the tables differed on which it was replayed.
        steps: noisy answers, runs of DP-SGD and votes of the recorded fit.
        findings: what is wrong; none on a correct mechanism.
    """

    mechanism: str
    relation: str
    neighbours: tuple[str, ...]
    steps: int
    findings: tuple[Finding, ...]


def grey_box(
    generator: "Generator",
    table: Table,
    budget: Budget,
    *,
    rng: np.random.Generator,
    accountant: str | None = None,
) -> GreyBox:
    """Return what a recorded fit on `table` and its replays on neighbours show.

    Args:
        generator: what is audited.
        table: records to fit; a few suffice. The last is a unit of its own.
        budget: the claim: relation and unit say which tables are neighbours.
        rng: source of all randomness.
        accountant: the generator's own by default.

    Raises:
        InvalidValueError: fewer than two records.
        PrivacyError: the generator cannot be fitted under this budget.
    """
    if len(table) < 2:
        raise InvalidValueError("records of an audit", len(table), "at least 2")
    fits = _Fits(
        generator=generator,
        table=table,
        budget=budget,
        accountant=accountant or generator.accountant,
        noise=rng.spawn(1)[0],
        rng=rng.spawn(1)[0],
    )
    recorded = fits.recorded()
    findings = [Finding(kind="charge", sentence=s) for s in recorded.transcript.findings]
    findings += _overspent(recorded.transcript, make_accountant(fits.accountant, budget))
    same = Neighbour(how="the same records", table=table)
    unstable = list(fits.compared(recorded, same))
    if unstable:  # whatever differs on neighbours says nothing
        return fits.box(recorded, [], [*findings, *unstable])
    around = list(neighbourhood(table, budget, rng=rng))
    for neighbour in around:
        findings += fits.compared(recorded, neighbour)
        findings += _moved(recorded.transcript, fits.codes, neighbour, recorded.domain)
    return fits.box(recorded, around, findings)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Fits:
    """Fits of one generator on one table and on its neighbours, with coupled noise."""

    generator: "Generator"
    table: Table
    budget: Budget
    accountant: str
    noise: np.random.Generator
    rng: np.random.Generator

    @property
    def codes(self) -> Codes:
        return Codec(schema=self.table.schema).encode(self.table)

    def coupled(self) -> CoupledNoise:
        # The last record, which goes or is replaced, joins no batch on its own table either.
        return CoupledNoise(rng=deepcopy(self.noise), shared=len(self.table) - 1)

    def recorded(self) -> RecordedFit:
        noise = self.coupled()
        return self._run(self.table, noise, [noise.observe])

    def compared(self, recorded: RecordedFit, neighbour: Neighbour) -> Iterator[Finding]:
        """Yield how a fit on `neighbour` that got the recorded answers differs."""
        noise = self.coupled()
        forced = ForcedNoise(
            recorded.transcript,
            recorded=self.codes,
            codes=Codec(schema=neighbour.table.schema).encode(neighbour.table),
            domain=recorded.domain,
            noise=noise,
        )
        try:
            again = self._run(neighbour.table, forced, [noise.observe, forced.observe])
        except Exception as error:
            if neighbour.table is self.table:
                raise
            # that a fit fails on a neighbour tells them apart, whatever the reason
            found: Iterable[str] = [f"the fit fails: {error}"]
        else:
            found = list(differences(recorded, again))
            if forced.departed and not found:
                found = ["other noise was drawn"]
        for sentence in found:
            yield Finding(kind="replay", sentence=f"{neighbour.how}: {sentence}")

    def _run(
        self, table: Table, noise: NoiseSource, told: list[Callable[[Observation], None]]
    ) -> RecordedFit:
        return record_fit(
            self.generator,
            table,
            self.budget,
            accountant=self.accountant,
            noise=noise,
            rng=self.rng,
            observers=told,
        )

    def box(
        self, recorded: RecordedFit, around: list[Neighbour], findings: Iterable[Finding]
    ) -> GreyBox:
        return GreyBox(
            mechanism=self.generator.name,
            relation=str(self.budget.relation),
            neighbours=tuple(neighbour.how for neighbour in around),
            steps=len(recorded.transcript.steps),
            findings=tuple(findings),
        )


def differences(first: RecordedFit, second: RecordedFit) -> Iterator[str]:
    """Yield a sentence for each kind of thing in which two fits differ."""
    if first.domain != second.domain:
        yield "the domain differs"
    steps = (first.transcript.steps, second.transcript.steps)
    for before, now in zip(*steps, strict=False):
        if before.label != now.label or not equal(asked(before), asked(now)):
            yield f"where {before.label!r} was asked, {now.label!r} was, or in other words"
            break
        if before.event != now.event:
            yield f"{before.label!r} was charged as another event"
            break
    else:
        if len(steps[0]) != len(steps[1]):
            yield f"{len(steps[1])} answers instead of {len(steps[0])}"
    yield from model_differences(first.model, second.model)


def _overspent(transcript: Transcript, accountant: object) -> Iterator[Finding]:
    """Yield a finding where what was observed costs more than the budget.

    Accountants of plans refuse what was not reserved, and take long to price anew.
    """
    if isinstance(accountant, Filter):
        cost = sum(accountant.cost(event) for event in transcript.events)
        if cost > accountant.capacity * (1 + ROUNDING):
            sentence = f"answers cost {cost:.4g} of {accountant.capacity:.4g}"
            yield Finding(kind="charge", sentence=sentence)


def _moved(
    transcript: Transcript, codes: Codes, neighbour: Neighbour, domain: Domain
) -> Iterator[Finding]:
    """Yield a finding for each answer that moves further than its event states."""
    others = Codec(schema=neighbour.table.schema).encode(neighbour.table)
    for step in transcript.steps:
        if isinstance(step, SgdStep | VoteStep):
            continue
        before, now = (np.asarray(step.query.exact(c, domain)) for c in (codes, others))
        if before.shape != now.shape:
            yield Finding(
                kind="sensitivity", sentence=f"{neighbour.how}: {step.label!r} has another shape"
            )
            continue
        change = now.astype(np.float64) - before
        if isinstance(step, SelectionStep):
            found, stated = float(np.abs(change).max(initial=0.0)), step.sensitivity
        else:
            found, stated = distance(step.event, change)
        if found > stated * (1 + ROUNDING):
            moved = f"{step.label!r} moves by {found:.4g}, its event states {stated:.4g}"
            yield Finding(kind="sensitivity", sentence=f"{neighbour.how}: {moved}")


def distance(event: Event, change: NDArray[np.float64]) -> tuple[float, float]:
    """Return how far numbers moved, in the norm of their noise, and how far the event states."""
    size = np.abs(change).ravel()
    match event:
        case LaplaceEvent(sensitivity=stated):
            return float(size.sum()), stated
        case GaussianEvent(sensitivity=stated):
            return float(np.sqrt(np.square(size).sum())), stated
        case _:
            return float(size.sum()), 0.0
