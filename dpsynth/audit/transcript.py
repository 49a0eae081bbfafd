"""One fit, recorded: what was asked, what was charged, and with what noise it was answered.

A generator is post-processing of the answers it gets, so an audit needs the answers alone. The
recorder stands between the curator and its noise source and notes the noise that was drawn, not
the noise that the ledger was told of: where these differ, the audit must see the former.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.observation import Observation
from dpsynth.curator.queries import Query
from dpsynth.curator.sgd import SgdPlan
from dpsynth.curator.teachers import VotePlan
from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.events import (
    ComposedEvent,
    DpSgdEvent,
    Event,
    ExponentialEvent,
    GaussianEvent,
    LaplaceEvent,
    NoiseLaw,
)
from dpsynth.privacy.noise import NoiseSource, Size

# Continuous noise is recorded on this grid, so that answer - count is exact in a double.
_GRID = 2.0**-24


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class AdditiveStep:
    """Counts plus noise.

    Args:
        label: the ledger's.
        event: what was charged.
        query: what was asked.
        family: of the noise drawn.
        spread: sigma or scale of the noise drawn, in records.
        law: of the noise drawn.
        noise: the noise drawn.
    """

    label: str
    event: Event
    query: Query
    family: Literal["gaussian", "laplace"]
    spread: float
    law: NoiseLaw
    noise: NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SelectionStep:
    """One candidate by the exponential mechanism, with the arguments it was drawn with."""

    label: str
    event: Event
    query: Query
    epsilon: float
    sensitivity: float
    monotone: bool
    chosen: int


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class SgdStep:
    """A run of DP-SGD, with the largest sampling rate and the least noise that were drawn."""

    label: str
    event: Event
    plan: SgdPlan
    sample_rate: float
    sigma: float
    steps: int


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class VoteStep:
    """Rounds of votes, with the least noise that was drawn."""

    label: str
    event: Event
    plan: VotePlan
    sigma: float
    rounds: int


Step: TypeAlias = AdditiveStep | SelectionStep | SgdStep | VoteStep


def asked(step: Step) -> Query | SgdPlan | VotePlan:
    """Return what the observer was told that the step asks."""
    return step.plan if isinstance(step, SgdStep | VoteStep) else step.query


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Transcript:
    """What one fit asked for, in order, and what is wrong with it on its face.

    Args:
        steps: every noisy answer.
        findings: sentences on what needs no statistics: noise without a charge, an answer without
            noise, noise that repeats.
    """

    steps: tuple[Step, ...]
    findings: tuple[str, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """What was charged, in order."""
        return tuple(step.event for step in self.steps)


@dataclass(kw_only=True)
class _SgdNoise:
    plan: SgdPlan
    sample_rates: list[float] = field(default_factory=list)
    sigmas: list[float] = field(default_factory=list)


@dataclass(kw_only=True)
class _VoteNoise:
    plan: VotePlan
    sigmas: list[float] = field(default_factory=list)


@final
class Recorder(NoiseSource):
    """A noise source that notes what another one draws; its `observe` is the curator's observer.

    Args:
        noise: what draws.
    """

    mode: ClassVar[Literal["research", "release"]] = "research"

    def __init__(self, noise: NoiseSource) -> None:
        self._noise = noise
        self.mode = noise.mode  # pyright: ignore[reportAttributeAccessIssue] - it mimics another
        self._pending: Observation | None = None
        self._steps: list[Step | tuple[Observation, _SgdNoise | _VoteNoise]] = []
        self._findings: list[str] = []

    def observe(self, observation: Observation) -> None:
        """Note an access that has been charged; its noise must follow before the next one."""
        self._expect_nothing()
        if isinstance(observation.query, SgdPlan):
            self._steps.append((observation, _SgdNoise(plan=observation.query)))
        elif isinstance(observation.query, VotePlan):
            self._steps.append((observation, _VoteNoise(plan=observation.query)))
        else:
            self._pending = observation

    def transcript(self) -> Transcript:
        """Return what was recorded."""
        self._expect_nothing()
        steps = tuple(s if not isinstance(s, tuple) else _session(*s) for s in self._steps)
        findings = (*self._findings, *_repeated(steps), *_undercharged(steps))
        return Transcript(steps=steps, findings=findings)

    def _expect_nothing(self) -> None:
        if self._pending is not None:
            self._findings.append(f"{self._pending.label!r} was answered without noise")
        self._pending = None

    def _take(self) -> Observation | None:
        taken, self._pending = self._pending, None
        if taken is None:
            self._findings.append("noise was drawn for an access that was not charged")
        return taken

    def gaussian(self, sigma: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        latest = self._steps[-1] if self._steps and self._pending is None else None
        if isinstance(latest, tuple) and isinstance(latest[1], _VoteNoise):
            latest[1].sigmas.append(sigma)
            return self._noise.gaussian(sigma, size, law=law)
        return self._additive("gaussian", sigma, self._noise.gaussian(sigma, size, law=law), law)

    def laplace(self, scale: float, size: Size, *, law: NoiseLaw) -> NDArray[np.float64]:
        return self._additive("laplace", scale, self._noise.laplace(scale, size, law=law), law)

    def _additive(
        self,
        family: Literal["gaussian", "laplace"],
        spread: float,
        drawn: NDArray[np.float64],
        law: NoiseLaw,
    ) -> NDArray[np.float64]:
        noise = np.rint(drawn / _GRID) * _GRID
        taken = self._take()
        if taken is not None and isinstance(taken.query, Query):
            step = AdditiveStep(
                label=taken.label,
                event=taken.event,
                query=taken.query,
                family=family,
                spread=spread,
                law=law,
                noise=noise,
            )
            self._steps.append(step)
        return noise

    def words(self, size: int) -> NDArray[np.uint64]:
        return self._noise.words(size)

    def exponential_draws(
        self,
        scores: NDArray[np.float64],
        size: int,
        *,
        epsilon: float,
        sensitivity: float,
        monotone: bool = False,
    ) -> NDArray[np.intp]:
        chosen = self._noise.exponential_draws(
            scores, size, epsilon=epsilon, sensitivity=sensitivity, monotone=monotone
        )
        taken = self._take()
        if taken is not None and isinstance(taken.query, Query):
            step = SelectionStep(
                label=taken.label,
                event=taken.event,
                query=taken.query,
                epsilon=epsilon,
                sensitivity=sensitivity,
                monotone=monotone,
                chosen=int(chosen[0]),
            )
            self._steps.append(step)
        return chosen

    def report_noisy_max(self, scores: NDArray[np.float64], **terms: Any) -> int:
        del scores, terms
        rule = "its replay is not defined; select with the exponential mechanism"
        raise UnsupportedEventError("audit", "report-noisy-max", rule)

    def normal(self, sigma: float, size: Size) -> NDArray[np.float64]:
        if (sgd := self._sgd()) is not None:
            sgd.sigmas.append(sigma)
        return self._noise.normal(sigma, size)

    def bernoulli(self, probability: float, size: int) -> NDArray[np.bool_]:
        if (sgd := self._sgd()) is not None:
            sgd.sample_rates.append(probability)
        return self._noise.bernoulli(probability, size)

    def _sgd(self) -> _SgdNoise | None:
        for step in reversed(self._steps):
            if isinstance(step, tuple) and isinstance(step[1], _SgdNoise):
                return step[1]
        self._findings.append("a gradient was taken outside of a charged plan")
        return None


def _session(observation: Observation, drawn: _SgdNoise | _VoteNoise) -> SgdStep | VoteStep:
    if isinstance(drawn, _VoteNoise):
        return VoteStep(
            label=observation.label,
            event=observation.event,
            plan=drawn.plan,
            sigma=min(drawn.sigmas, default=_vote_sigma(observation.event)),
            rounds=max(len(drawn.sigmas), drawn.plan.rounds),
        )
    plan = drawn.plan
    return SgdStep(
        label=observation.label,
        event=observation.event,
        plan=plan,
        sample_rate=max(drawn.sample_rates, default=plan.sample_rate),
        sigma=min(drawn.sigmas, default=plan.noise_multiplier * plan.clipping_norm),
        steps=max(len(drawn.sample_rates), plan.steps),
    )


def _vote_sigma(event: Event) -> float:
    """Return the noise that the event of a vote states for each count."""
    first = event.events[0] if isinstance(event, ComposedEvent) else event
    assert isinstance(first, GaussianEvent)  # votes have no other
    return first.sigma


def _undercharged(steps: tuple[Step, ...]) -> list[str]:
    """Return a finding for each step that drew less noise than its event states."""
    findings: list[str] = []
    for step in steps:
        match step:
            case AdditiveStep(event=GaussianEvent(sigma=stated) | LaplaceEvent(scale=stated)):
                short = step.spread < stated
            case SelectionStep(event=ExponentialEvent(epsilon=stated)):
                short = step.epsilon > stated or step.monotone
            case SgdStep(event=DpSgdEvent() as stated, plan=plan):
                short = (
                    step.sigma < stated.noise_multiplier * plan.clipping_norm
                    or step.sample_rate > stated.sample_rate
                    or step.steps > stated.steps
                )
            case VoteStep(event=ComposedEvent(events=rounds)):
                short = step.sigma < _vote_sigma(step.event) or step.rounds > len(rounds)
            case _:
                short = True
        if short:
            findings.append(f"{step.label!r} drew less noise than its charge states")
    return findings


def _repeated(steps: tuple[Step, ...]) -> list[str]:
    """Return a finding for each continuous draw that starts as an earlier one did."""
    seen: dict[tuple[float, ...], str] = {}
    findings: list[str] = []
    for step in steps:
        if isinstance(step, AdditiveStep) and step.law is NoiseLaw.CONTINUOUS:
            start = np.round(step.noise.ravel()[:2] / step.spread, 4)
            if start.size == 2 and step.spread > 1e3 * _GRID:
                key = (float(start[0]), float(start[1]))
                if key in seen:
                    findings.append(f"{step.label!r} has the same noise as {seen[key]!r}")
                seen.setdefault(key, step.label)
    return findings
