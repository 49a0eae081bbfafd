"""Does the claimed privacy hold? A verdict with its power, on the transcript of a real fit."""

import json
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.forced import ForcedNoise, same_model
from dpsynth.audit.neighbours import NeighbouringTables, narrow_neighbours
from dpsynth.audit.replay import Replay, Worlds
from dpsynth.audit.tradeoff import claimed_trade_off
from dpsynth.audit.transcript import Recorder, SgdStep, Transcript, VoteStep
from dpsynth.audit.verdict import (
    ScoreTest,
    bound_level,
    decide,
    largest_measurable_epsilon,
    smallest_detectable_inflation,
)
from dpsynth.curator.private_data import PrivateData
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import NoiseSource, ResearchNoise

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator, SyntheticModel

_LEAST_RUNS = 50


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
        epsilon_largest_measurable: what an attack that never errs would have given.
        mu_claimed: Gaussian-DP parameter of the charged events, None where one has none.
        mu_lower: the lower bound on it; to be read as a statement on epsilon only for mechanisms
            that are Gaussian.
        violated: whether the claim is contradicted, by statistics or by a finding.
        findings: what was found without statistics, as sentences.
        control_flow: "same" if a fit on the neighbour, forced to the same answers, gave the same
            queries and model; "differs" if it did not (a finding); "unchecked" where answers cannot
            be forced (DP-SGD, or a fit that does not repeat).
        runs: test runs in each world.
        alpha: probability of a violation reported by chance, over everything looked at.
        smallest_detectable_inflation: the factor on the claimed loss (the largest mu that keeps the
            claim; epsilon where the claim is pure) that this audit would have found with
            probability 0.9.
        tests: every score at every threshold that was counted.
    """

    mechanism: str
    relation: str
    accountant: str
    delta: float
    epsilon_claimed: float
    epsilon_lower: float
    epsilon_largest_measurable: float
    mu_claimed: float | None
    mu_lower: float
    violated: bool
    findings: tuple[str, ...]
    control_flow: str
    runs: int
    alpha: float
    smallest_detectable_inflation: float
    tests: tuple[ScoreTest, ...]

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
    neighbours: NeighbouringTables | None = None,
    noise: NoiseSource | None = None,
) -> ClaimAudit:
    """Return the verdict on `generator`'s claim, from one recorded fit and its replays.

    The fit is recorded on the first table; a second fit on its neighbour, forced to the same
    answers, must follow the same path; then answers alone are replayed.

    Args:
        generator: what is audited.
        budget: the claim.
        runs: test runs in each world; half as many more choose the thresholds.
        alpha: probability of reporting a violation where there is none.
        rng: source of all randomness.
        accountant: the generator's own by default.
        neighbours: the two tables; a narrow worst case by default.
        noise: what draws in fits and replays; seeded research noise by default. Pass
            `ReleaseNoise()` to audit the samplers of release mode.

    Raises:
        InvalidValueError: fewer than 50 runs, or alpha outside (0, 1).
        PrivacyError: the generator cannot be fitted under this budget.

    Reference: Jagielski, Ullman & Oprea 2020 (lower bounds); Nasr et al. 2023 (trade-off form).
    """
    name = accountant or generator.accountant
    tables = neighbours or narrow_neighbours(budget.relation)
    source = noise or ResearchNoise(rng=rng)
    fit = _Fit(generator=generator, budget=budget, accountant=name, tables=tables, noise=source)
    start = rng.spawn(1)[0]
    transcript, model = fit.record(start)
    control_flow = fit.control_flow(transcript, model, start)
    return audit_transcript(
        transcript,
        budget,
        accountant=name,
        worlds=Worlds(codes=tables.codes(), domain=tables.domain, relation=budget.relation),
        runs=runs,
        alpha=alpha,
        noise=source,
        mechanism=generator.name,
        control_flow=control_flow,
    )


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
    if runs < _LEAST_RUNS:
        raise InvalidValueError("runs", runs, f"at least {_LEAST_RUNS}")
    if not 0 < alpha < 1:
        raise InvalidValueError("alpha", alpha, "between 0 and 1")
    claim = claimed_trade_off(transcript.events, budget, accountant)
    replay = Replay(transcript, worlds, noise)
    validation, test = (
        (replay.scores(0, size), replay.scores(1, size)) for size in ((runs + 1) // 2, runs)
    )
    tests = decide(replay.families, validation, test, claim=claim, delta=budget.delta, alpha=alpha)
    level = bound_level(alpha, len(replay.families))
    findings = transcript.findings
    if control_flow == "differs":
        findings += ("a fit on the neighbour went another way, although it got the same answers",)
    return ClaimAudit(
        mechanism=mechanism,
        relation=str(budget.relation),
        accountant=accountant,
        delta=budget.delta,
        epsilon_claimed=budget.epsilon,
        epsilon_lower=max(test.epsilon_lower for test in tests),
        epsilon_largest_measurable=largest_measurable_epsilon(runs, level, budget.delta),
        mu_claimed=claim.mu,
        mu_lower=max(test.mu_lower for test in tests),
        violated=bool(findings) or any(test.violated for test in tests),
        findings=findings,
        control_flow=control_flow,
        runs=runs,
        alpha=alpha,
        smallest_detectable_inflation=smallest_detectable_inflation(
            claim, budget.epsilon, runs=runs, level=level
        ),
        tests=tests,
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
        return not forced.departed and same_model(again, model)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
