"""A recorded transcript, replayed thousands of times in two neighbouring worlds.

Adaptive branches. Queries of a fit depend on earlier answers. The replay holds the recorded branch
fixed: the same queries with the same noise, whatever the earlier answers of this replay would have
led to. That is a mechanism in its own right, the non-adaptive composition of the recorded events,
and the accountants' claims hold for it, so a violation found on it is a violation. What it cannot
see, a branch taken on the records rather than on answers, is what `forced` tests. The outcome of a
selection counts as an answer like any other: it enters the likelihood ratio by the exponential
mechanism's law in each world, and it is scored once more on its own, so that a selection that leaks
is not drowned by the noise of the measurements.
"""

from dataclasses import dataclass
from math import log, log1p, sqrt
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.scores import Discriminant, Score, Symbols
from dpsynth.audit.sequential import Part, Source
from dpsynth.audit.transcript import (
    AdditiveStep,
    SelectionStep,
    SgdStep,
    Transcript,
    VoteStep,
)
from dpsynth.data.domain import Domain
from dpsynth.privacy.budget import Neighbouring
from dpsynth.privacy.noise import NoiseSource
from dpsynth.privacy.selection import loss_rate

Codes = NDArray[np.integer[Any]]
_BLOCK = 2**22  # numbers drawn at once
# A Laplace likelihood ratio has atoms, and the rounding of its last bits tells the worlds apart:
# the leak of floating-point noise, for which research mode is not for release. It is no fault of
# the claim, so scores are compared without those bits.
_DECIMALS = 9
_CANARY = "canary dot products"
_MOST_FEATURES = 64

FAMILIES = (
    "likelihood ratio",
    "measurements",
    "selections",
    _CANARY,
    "atoms",
    "LDA",
    "QDA",
    "bit patterns",
)
"""What a replay may be scored by, fixed before any draw."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Worlds:
    """Two neighbouring tables as codes, with what is public about them."""

    codes: tuple[Codes, Codes]
    domain: Domain
    relation: Neighbouring


@final
class Replay(Source):
    """Scores of replays of one transcript, one row a score family.

    Of `FAMILIES` those that apply: `likelihood ratio` of the whole transcript; `measurements` and
    `selections`, its parts, where the transcript has both; `canary dot products`, where it trains;
    `atoms`, how many answers equal the exact count of the second world less those of the first (an
    answer without noise); `LDA` and `QDA`, which know nothing of the noise's law; in release mode
    `bit patterns`. Research mode draws noise in floating point, which is one reason why its
    receipts say "not for release": there bit patterns would find what nobody claims.

    Args:
        transcript: the recorded fit.
        worlds: the neighbours.
        noise: what draws, the same source that the curator used.
    """

    def __init__(self, transcript: Transcript, worlds: Worlds, noise: NoiseSource) -> None:
        self._noise, self._relation = noise, worlds.relation
        self._steps = [prepared(step, worlds) for step in transcript.steps]
        kinds = [type(step) for step in transcript.steps]
        names = ["likelihood ratio"]
        if SelectionStep in kinds and len(set(kinds)) > 1:
            names += ["measurements", "selections"]
        if SgdStep in kinds:
            names += ["canary dot products"]
        if AdditiveStep in kinds:
            names += ["atoms"]
        self._exact = tuple(names)
        learned: list[Score] = [Discriminant(quadratic=False), Discriminant(quadratic=True)]
        if AdditiveStep in kinds and noise.mode == "release":
            learned.append(Symbols(bits=True))
        self._learned = learned if transcript.steps else []

    @property
    def families(self) -> tuple[str, ...]:
        return self._exact + tuple(score.name for score in self._learned)

    def learn(self, runs: int) -> None:
        first, second = (self._draw(world, runs)[1] for world in (0, 1))
        for score in self._learned:
            score.learn(first, second)

    def scores(self, world: int, runs: int, *, part: Part = "test") -> NDArray[np.float64]:
        del part  # every run is a fresh one
        rows, features = self._draw(world, runs)
        return np.stack([*rows, *(score(features) for score in self._learned)])

    def _draw(self, world: int, runs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the rows of the exact families, and features of shape (runs, features)."""
        rows = {name: np.zeros(runs) for name in ("measurements", "selections", "atoms", _CANARY)}
        features: list[NDArray[np.float64]] = [np.zeros((runs, 0))]
        width = 0
        for step in self._steps:
            match step:
                case Additive():
                    noisy, plain, answers = step.scores(world, runs, self._noise)
                    rows["measurements"] += noisy
                    rows["atoms"] += plain
                    room = _MOST_FEATURES - width
                    features.append(answers[:, : max(room, 0)])
                case Selection():
                    chosen = step.scores(world, runs, self._noise)
                    rows["selections"] += chosen
                    features.append(chosen[:, None])
                case SgdStep():
                    ratio, dots = _canary(step, self._relation, world, runs, self._noise)
                    rows["measurements"] += ratio
                    rows[_CANARY] += dots
                    features.append(dots[:, None])
                case VoteStep():
                    ratio = _turned(step, world, runs, self._noise)
                    rows["measurements"] += ratio
                    features.append(ratio[:, None])
            width += features[-1].shape[1]
        rows["likelihood ratio"] = rows["measurements"] + rows["selections"]
        exact = np.stack([rows[name] for name in self._exact]).round(_DECIMALS)
        return exact, np.concatenate(features, axis=1)


def expected_evidence(transcript: Transcript, worlds: Worlds) -> float:
    """Return about the variance of a replay's log-likelihood ratio, to choose among transcripts."""
    total = 0.0
    for step in transcript.steps:
        match prepared(step, worlds):
            case Additive() as found:
                total += float((found.shift**2).sum()) / found.step.spread**2
            case Selection() as found:
                mean = float(found.law @ found.ratio)
                total += float(found.law @ (found.ratio - mean) ** 2)
            case _:
                pass
    return total


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Additive:
    """Noise on the cells that differ; equal cells have equal laws in both worlds."""

    step: AdditiveStep
    base: NDArray[np.float64]
    shift: NDArray[np.float64]

    def scores(
        self, world: int, runs: int, noise: NoiseSource
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return log-likelihood ratios, answers equal to world 1's less those to world 0's, and the
        answers."""
        shift, spread = self.shift, self.step.spread
        draw = noise.gaussian if self.step.family == "gaussian" else noise.laplace
        answers = draw(spread, (runs, shift.size), law=self.step.law) + world * shift
        if self.step.family == "gaussian":
            ratio = (answers - shift / 2) @ shift / spread**2
        else:
            ratio = (np.abs(answers) - np.abs(answers - shift)).sum(axis=1) / spread
        atoms = (answers == shift).sum(axis=1) - (answers == 0).sum(axis=1)
        return ratio, atoms.astype(np.float64), answers + self.base


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """A draw of the exponential mechanism on the scores of each world."""

    step: SelectionStep
    exact: tuple[NDArray[np.float64], NDArray[np.float64]]
    rate: float
    ratio: NDArray[np.float64]

    @property
    def law(self) -> NDArray[np.float64]:
        """Probability of each candidate in the first world."""
        return np.exp(_log_softmax(self.rate * self.exact[0]))

    def scores(self, world: int, runs: int, noise: NoiseSource) -> NDArray[np.float64]:
        """Return log-likelihood ratios of the candidates drawn."""
        chosen = noise.exponential_draws(
            self.exact[world],
            runs,
            epsilon=self.step.epsilon,
            sensitivity=self.step.sensitivity,
            monotone=self.step.monotone,
        )
        return self.ratio[chosen]


def prepared(
    step: AdditiveStep | SelectionStep | SgdStep | VoteStep, worlds: Worlds
) -> Additive | Selection | SgdStep | VoteStep:
    """Return what a step's answer has to do with the worlds; training and votes as they are."""
    if isinstance(step, SgdStep | VoteStep):
        return step
    first, second = (
        np.asarray(step.query.exact(codes, worlds.domain), dtype=np.float64).ravel()
        for codes in worlds.codes
    )
    if isinstance(step, AdditiveStep):
        shift = second - first
        moved = shift != 0
        return Additive(step=step, base=first[moved], shift=shift[moved])
    rate = loss_rate(step.epsilon, step.sensitivity, step.monotone)
    return Selection(
        step=step,
        exact=(first, second),
        rate=rate,
        ratio=_log_softmax(rate * second) - _log_softmax(rate * first),
    )


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = scores - scores.max()
    return centred - log(float(np.exp(centred).sum()))


def _canary(
    step: SgdStep, relation: Neighbouring, world: int, runs: int, noise: NoiseSource
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log-likelihood ratios of DP-SGD runs whose gradients are seen in one direction, and
    the sums of what is seen there.

    White box, worst case: the record that differs has a gradient of norm C along that direction
    whenever it is sampled, all others none; under REPLACE it is replaced by one of gradient -C.
    The ratio of each step is that of the Poisson mixture, and steps are independent.
    Reference: Nasr et al. 2023, Section 4 (Dirac canary).
    """
    norm, sigma, rate = step.plan.clipping_norm, step.sigma, step.sample_rate
    present = {Neighbouring.ADD_REMOVE: (0.0, norm), Neighbouring.REPLACE: (-norm, norm)}[relation]
    ratio, dots = np.zeros(runs), np.zeros(runs)
    block = max(1, _BLOCK // runs)
    for start in range(0, step.steps, block):
        shape = (runs, min(block, step.steps - start))
        seen = noise.normal(sigma, shape)
        if present[world]:
            sampled = noise.bernoulli(rate, shape[0] * shape[1]).reshape(shape)
            seen = seen + present[world] * sampled
        dots += seen.sum(axis=1)
        for sign, gradient in ((-1, present[0]), (1, present[1])):
            if gradient:
                present_ratio = (seen - gradient / 2) * (gradient / sigma**2)
                ratio += sign * _mixed(present_ratio, rate).sum(axis=1)
    return ratio, dots


def _turned(step: VoteStep, world: int, runs: int, noise: NoiseSource) -> NDArray[np.float64]:
    """Return log-likelihood ratios of votes of which one teacher turns on every row of each round.

    White box, worst case: the record that differs decides its teacher. All n counts then move by 1,
    and their sum over sqrt(n), with noise of the same spread, tells all there is to tell.
    """
    shift = sqrt(step.rounds * step.plan.rows)
    seen = noise.normal(step.sigma, runs) + world * shift
    return (seen - shift / 2) * (shift / step.sigma**2)


def _mixed(ratio: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Return log(1 - rate + rate * exp(ratio))."""
    if rate == 1.0:
        return ratio
    return np.logaddexp(log1p(-rate), log(rate) + ratio)
