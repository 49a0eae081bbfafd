"""Does the claimed privacy hold? A verdict with its power, on the transcript of a real fit."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dpsynth.audit.class_bound import epsilon_of_class
from dpsynth.audit.failures import FailedRuns
from dpsynth.audit.neighbours import NeighbouringTables, narrow_neighbours, worst_cases
from dpsynth.audit.recording import BRANCHES, Recording, recorded
from dpsynth.audit.registration import Registration, looks_up_to
from dpsynth.audit.replay import FAMILIES, Replay, Worlds
from dpsynth.audit.sequential import Look, look_at
from dpsynth.audit.tradeoff import TradeOff, claimed_trade_off, gaussian_of
from dpsynth.audit.transcript import Transcript
from dpsynth.audit.verdict import (
    ScoreTest,
    largest_measurable_epsilon,
    smallest_detectable_inflation,
)
from dpsynth.errors import InvalidValueError, UnsupportedEventError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import NoiseSource, ResearchNoise

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator


@final
@dataclass(frozen=True, kw_only=True)
class ClaimAudit:
    """What an audit found, and what it could have found.

    A lower bound says that the loss is at least so much; it is no estimate. The absence of a
    violation is worth what `smallest_detectable_inflation` says.

    Args:
        mechanism: what was audited.
        relation: between which neighbours.
        accountant: whose claim it is.
        delta: at which the epsilons are stated.
        epsilon_claimed: the budget's.
        epsilon_lower: the largest lower bound found; it holds with confidence 1 - alpha.
        epsilon_lower_of_class: a larger bound that holds if the noise is of the kind that was
            charged and only its size is in doubt (`class_bound`); None for a mixture of kinds.
        epsilon_largest_measurable: what an attack that never errs would have given.
        mu_claimed: Gaussian-DP parameter of the charged events, None where one has none.
        mu_budget: of Gaussian noise that would cost the whole budget under this accountant, None
            where none does; Gaussian DP prices a selection above what it can give away, so that
            `mu_claimed` may be larger.
        mu_lower: the lower bound on it; to be read as a statement on epsilon only for mechanisms
            that are Gaussian.
        violated: whether the claim is contradicted, by statistics or by a finding.
        findings: what was found without statistics, as sentences.
        failures: runs that gave no records, by pair: no fault where worlds have equally many.
        control_flow: "same" if a fit on the neighbour, forced to the same answers, gave the same
            queries and model; "differs" if it did not (a finding); "unchecked" where answers cannot
            be forced (DP-SGD, or a fit that does not repeat).
        runs: test runs in each world, of the last look.
        alpha: probability of a violation reported by chance, over everything looked at.
        smallest_detectable_inflation: the factor on the claimed loss (the largest mu that keeps the
            claim; epsilon where the claim is pure) that this audit would have found with
            probability 0.9.
        registration: what was fixed before anything was drawn.
        looks: what was counted at each look, on each pair.
    """

    mechanism: str
    relation: str
    accountant: str
    delta: float
    epsilon_claimed: float
    epsilon_lower: float
    epsilon_lower_of_class: float | None
    epsilon_largest_measurable: float
    mu_claimed: float | None
    mu_budget: float | None
    mu_lower: float
    violated: bool
    findings: tuple[str, ...]
    failures: tuple[FailedRuns, ...]
    control_flow: str
    runs: int
    alpha: float
    smallest_detectable_inflation: float
    registration: Registration
    looks: tuple[Look, ...]

    @property
    def tests(self) -> tuple[ScoreTest, ...]:
        """Every score at every threshold that was counted, over all looks and pairs."""
        return tuple(test for look in self.looks for test in look.tests)

    def to_json(self) -> str:
        """Return the audit as JSON, with infinities as strings."""
        return json.dumps(_finite(asdict(self)), indent=2)


def audit_claim(
    generator: "Generator",
    budget: Budget,
    *,
    runs: int = 10_000,
    alpha: float = 0.05,
    rng: np.random.Generator,
    accountant: str | None = None,
    neighbours: NeighbouringTables | Mapping[str, NeighbouringTables] | None = None,
    noise: NoiseSource | None = None,
    branches: int = BRANCHES,
    announce: Callable[[Registration], None] | None = None,
) -> ClaimAudit:
    """Return the verdict on `generator`'s claim, from recorded fits and their replays.

    A fit is recorded on the first table of each pair; a second fit on its neighbour, forced to the
    same answers, must follow the same path; then answers alone are replayed.

    Args:
        generator: what is audited.
        budget: the claim.
        runs: test runs in each world at the last look; half as many more learn scores, and as many
            choose the thresholds.
        alpha: probability of reporting a violation where there is none.
        rng: source of all randomness.
        accountant: the generator's own by default.
        neighbours: pairs of tables by name, as of `narrow_pairs`; the corner alone by default.
        noise: what draws in fits and replays; seeded research noise by default. Pass
            `ReleaseNoise()` to audit the samplers of release mode.
        branches: fits recorded on each pair, of which the most telling one is replayed.
        announce: is given the registration before anything is drawn.

    Raises:
        InvalidValueError: fewer than 50 runs, or alpha outside (0, 1).
        PrivacyError: the generator cannot be fitted under this budget.

    Reference: Jagielski, Ullman & Oprea 2020 (lower bounds); Nasr et al. 2023 (trade-off form).
    """
    name = accountant or generator.accountant
    if neighbours is None:
        neighbours = {"corner": narrow_neighbours(budget.relation)}
    elif isinstance(neighbours, NeighbouringTables):
        neighbours = {"the given pair": neighbours}
    if branches < 1:
        raise InvalidValueError("branches", branches, "at least 1")
    pairs = {f"{pair} {tables.digest[:12]}": tables for pair, tables in neighbours.items()}
    registration = _registered(
        generator.name, budget, accountant=name, pairs=tuple(pairs), runs=runs, alpha=alpha
    )
    if announce is not None:
        announce(registration)
    source = noise or ResearchNoise(rng=rng)
    recordings = {
        pair: recorded(
            generator,
            budget,
            accountant=name,
            tables=tables,
            noise=source,
            branches=branches,
            rng=rng,
        )
        for pair, tables in pairs.items()
    }
    return _judged(recordings, registration, budget, accountant=name, noise=source)


def narrow_pairs(generator: "Generator", relation: Neighbouring) -> dict[str, NeighbouringTables]:
    """Return the pairs that a generator is tried on: all worst cases, or the corner for one that
    trains, since the replay of training takes its own worst case whatever the records are."""
    if generator.trains:
        return {"corner": narrow_neighbours(relation)}
    return worst_cases(relation)


def audit_transcript(
    transcript: Transcript,
    budget: Budget,
    *,
    accountant: str,
    worlds: Worlds,
    runs: int,
    alpha: float,
    noise: NoiseSource,
    mechanism: str = "transcript",
    control_flow: str = "unchecked",
) -> ClaimAudit:
    """Return the verdict on the claim of a transcript; arguments as of `audit_claim`.

    Raises:
        InvalidValueError: fewer than 50 runs, or alpha outside (0, 1).
    """
    recording = Recording(transcript=transcript, worlds=worlds, control_flow=control_flow)
    pair = "the given pair"
    registration = _registered(
        mechanism, budget, accountant=accountant, pairs=(pair,), runs=runs, alpha=alpha
    )
    return _judged({pair: recording}, registration, budget, accountant=accountant, noise=noise)


def _registered(
    mechanism: str,
    budget: Budget,
    *,
    accountant: str,
    pairs: tuple[str, ...],
    runs: int,
    alpha: float,
) -> Registration:
    return Registration(
        mechanism=mechanism,
        claim=f"({budget.epsilon:g}, {budget.delta:g}), {budget.relation}, by {accountant}",
        pairs=pairs,
        families=FAMILIES,
        looks=looks_up_to(runs),
        alpha=alpha,
    )


def _judged(
    recordings: Mapping[str, Recording],
    registration: Registration,
    budget: Budget,
    *,
    accountant: str,
    noise: NoiseSource,
) -> ClaimAudit:
    """Return the verdict on recorded fits, by the names of their pairs."""
    sources = [Replay(r.transcript, r.worlds, noise) for r in recordings.values()]
    claims = [
        claimed_trade_off(r.transcript.events, budget, accountant) for r in recordings.values()
    ]
    looks = look_at(sources, claims, registration, delta=budget.delta)
    return summarised(
        looks,
        registration,
        budget,
        accountant=accountant,
        epsilon_lower_of_class=_by_class(recordings, looks, budget),
        claims=dict(zip(recordings, claims, strict=True)),
        findings=_findings(recordings),
        mu_budget=gaussian_of(budget, accountant),
        control_flow=_together([r.control_flow for r in recordings.values()]),
    )


def summarised(
    looks: tuple[Look, ...],
    registration: Registration,
    budget: Budget,
    *,
    accountant: str,
    claims: Mapping[str, TradeOff],
    findings: tuple[str, ...] = (),
    failures: tuple[FailedRuns, ...] = (),
    control_flow: str = "unchecked",
    mu_budget: float | None = None,
    epsilon_lower_of_class: float | None = None,
) -> ClaimAudit:
    """Return the verdict that looks amount to.

    Args:
        looks: at least one.
        registration: what they were planned by.
        budget: the claim.
        accountant: the name of whose claim it is.
        claims: trade-off functions by pair.
        findings: what was found without statistics.
        failures, control_flow, mu_budget, epsilon_lower_of_class: as of `ClaimAudit`.
    """
    last = looks[-1]
    best = max(looks, key=lambda look: max(test.mu_lower for test in look.tests))
    claim = claims[best.pair]
    return ClaimAudit(
        mechanism=registration.mechanism,
        relation=str(budget.relation),
        accountant=accountant,
        delta=budget.delta,
        epsilon_claimed=budget.epsilon,
        epsilon_lower=max(test.epsilon_lower for look in looks for test in look.tests),
        epsilon_lower_of_class=epsilon_lower_of_class,
        epsilon_largest_measurable=largest_measurable_epsilon(last.runs, last.level, budget.delta),
        mu_claimed=claim.mu,
        mu_budget=mu_budget,
        mu_lower=max(test.mu_lower for test in best.tests),
        violated=bool(findings) or any(look.violated for look in looks),
        findings=findings,
        failures=failures,
        control_flow=control_flow,
        runs=last.runs,
        alpha=registration.alpha,
        smallest_detectable_inflation=smallest_detectable_inflation(
            claim, budget.epsilon, runs=last.runs, level=last.level
        ),
        registration=registration,
        looks=looks,
    )


def _by_class(
    recordings: Mapping[str, Recording], looks: tuple[Look, ...], budget: Budget
) -> float | None:
    """Return the largest bound by class over the pairs on which only one kind of noise was met."""
    found: list[float] = []
    for pair, recording in recordings.items():
        tests = [test for look in looks if look.pair == pair for test in look.tests]
        with suppress(UnsupportedEventError):
            found.append(epsilon_of_class(recording.transcript.events, budget, tests))
    return max(found, default=None)


def _findings(recordings: Mapping[str, Recording]) -> tuple[str, ...]:
    found = [f for recording in recordings.values() for f in recording.transcript.findings]
    if any(recording.control_flow == "differs" for recording in recordings.values()):
        found.append("a fit on the neighbour went another way, although it got the same answers")
    return tuple(dict.fromkeys(found))


def _together(flows: Sequence[str]) -> str:
    return next((flow for flow in ("differs", "unchecked") if flow in flows), "same")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
