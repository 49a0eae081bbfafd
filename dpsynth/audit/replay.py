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


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Worlds:
    """Two neighbouring tables as codes, with what is public about them."""

    codes: tuple[Codes, Codes]
    domain: Domain
    relation: Neighbouring


class Replay:
    """Scores of replays of one transcript, one row a score family.

    Families, fixed before any draw: `likelihood ratio` of the whole transcript; `measurements` and
    `selections`, its parts, where the transcript has both; `atoms`, how many answers equal the
    exact count of the second world less those of the first (an answer without noise).

    Args:
        transcript: the recorded fit.
        worlds: the neighbours.
        noise: what draws, the same source that the curator used.
    """

    def __init__(self, transcript: Transcript, worlds: Worlds, noise: NoiseSource) -> None:
        self._noise, self._relation = noise, worlds.relation
        self._steps = [_prepared(step, worlds) for step in transcript.steps]
        selects = [isinstance(step, SelectionStep) for step in transcript.steps]
        self._split = any(selects) and not all(selects)
        self._atoms = any(isinstance(step, AdditiveStep) for step in transcript.steps)

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the scores, in the order of the rows of `scores`."""
        names = ("likelihood ratio",)
        names += ("measurements", "selections") if self._split else ()
        return names + (("atoms",) if self._atoms else ())

    def scores(self, world: int, runs: int) -> NDArray[np.float64]:
        """Return scores of `runs` replays in world 0 or 1, of shape (families, runs).

        A high score speaks for world 1.
        """
        ratio = {"measurements": np.zeros(runs), "selections": np.zeros(runs)}
        atoms = np.zeros(runs)
        for step in self._steps:
            match step:
                case _Additive():
                    noisy, plain = step.scores(world, runs, self._noise)
                    ratio["measurements"] += noisy
                    atoms += plain
                case _Selection():
                    ratio["selections"] += step.scores(world, runs, self._noise)
                case SgdStep():
                    ratio["measurements"] += _canary(step, self._relation, world, runs, self._noise)
                case VoteStep():
                    ratio["measurements"] += _turned(step, world, runs, self._noise)
        rows = {"likelihood ratio": ratio["measurements"] + ratio["selections"], **ratio}
        rows["atoms"] = atoms
        return np.stack([rows[name] for name in self.families]).round(_DECIMALS)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Additive:
    """Noise on the cells that differ; equal cells have equal laws in both worlds."""

    step: AdditiveStep
    shift: NDArray[np.float64]

    def scores(
        self, world: int, runs: int, noise: NoiseSource
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return log-likelihood ratios, and answers equal to world 1's less those to world 0's."""
        shift, spread = self.shift, self.step.spread
        draw = noise.gaussian if self.step.family == "gaussian" else noise.laplace
        answers = draw(spread, (runs, shift.size), law=self.step.law) + world * shift
        if self.step.family == "gaussian":
            ratio = (answers - shift / 2) @ shift / spread**2
        else:
            ratio = (np.abs(answers) - np.abs(answers - shift)).sum(axis=1) / spread
        atoms = (answers == shift).sum(axis=1) - (answers == 0).sum(axis=1)
        return ratio, atoms.astype(np.float64)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Selection:
    """A draw of the exponential mechanism on the scores of each world."""

    step: SelectionStep
    exact: tuple[NDArray[np.float64], NDArray[np.float64]]
    ratio: NDArray[np.float64]

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


def _prepared(
    step: AdditiveStep | SelectionStep | SgdStep | VoteStep, worlds: Worlds
) -> _Additive | _Selection | SgdStep | VoteStep:
    if isinstance(step, SgdStep | VoteStep):
        return step
    first, second = (
        np.asarray(step.query.exact(codes, worlds.domain), dtype=np.float64).ravel()
        for codes in worlds.codes
    )
    if isinstance(step, AdditiveStep):
        shift = second - first
        return _Additive(step=step, shift=shift[shift != 0])
    rate = loss_rate(step.epsilon, step.sensitivity, step.monotone)
    return _Selection(
        step=step,
        exact=(first, second),
        ratio=_log_softmax(rate * second) - _log_softmax(rate * first),
    )


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = scores - scores.max()
    return centred - log(float(np.exp(centred).sum()))


def _canary(
    step: SgdStep, relation: Neighbouring, world: int, runs: int, noise: NoiseSource
) -> NDArray[np.float64]:
    """Return log-likelihood ratios of DP-SGD runs whose gradients are seen in one direction.

    White box, worst case: the record that differs has a gradient of norm C along that direction
    whenever it is sampled, all others none; under REPLACE it is replaced by one of gradient -C.
    The ratio of each step is that of the Poisson mixture, and steps are independent.
    Reference: Nasr et al. 2023, Section 4 (Dirac canary).
    """
    norm, sigma, rate = step.plan.clipping_norm, step.sigma, step.sample_rate
    present = {Neighbouring.ADD_REMOVE: (0.0, norm), Neighbouring.REPLACE: (-norm, norm)}[relation]
    ratio = np.zeros(runs)
    block = max(1, _BLOCK // runs)
    for start in range(0, step.steps, block):
        shape = (runs, min(block, step.steps - start))
        seen = noise.normal(sigma, shape)
        if present[world]:
            sampled = noise.bernoulli(rate, shape[0] * shape[1]).reshape(shape)
            seen = seen + present[world] * sampled
        for sign, gradient in ((-1, present[0]), (1, present[1])):
            if gradient:
                present_ratio = (seen - gradient / 2) * (gradient / sigma**2)
                ratio += sign * _mixed(present_ratio, rate).sum(axis=1)
    return ratio


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
