"""Looks at a growing number of runs, each judged at its share of the error; the first to contradict
the claim ends the audit."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.registration import Registration
from dpsynth.audit.tradeoff import TradeOff
from dpsynth.audit.verdict import ScoreTest, bound_level, decide

_MOST_TRAINING = 20_000

Part: TypeAlias = Literal["training", "validation", "test"]


class Source(ABC):
    """Runs of a mechanism on one pair of tables, as scores."""

    @property
    @abstractmethod
    def families(self) -> tuple[str, ...]:
        """Names of the scores, in the order of the rows of `scores`."""

    @abstractmethod
    def learn(self, runs: int) -> None:
        """Learn on `runs` training runs in each world what the scores have to learn."""

    @abstractmethod
    def scores(self, world: int, runs: int, *, part: Part) -> NDArray[np.float64]:
        """Return scores of `runs` runs in world 0 or 1, of shape (families, runs).

        Args:
            world: 0 or 1.
            runs: how many; a later look may get the runs of an earlier one again.
            part: what they are for; runs of one part are never used for another.
        """


@final
@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at one pair.

    Args:
        pair: its name.
        runs: test runs in each world.
        level: error probability of each bound.
        tests: every score at every threshold that was counted.
    """

    pair: str
    runs: int
    level: float
    tests: tuple[ScoreTest, ...]

    @property
    def violated(self) -> bool:
        return any(test.violated for test in self.tests)


def look_at(
    sources: Sequence[Source],
    claims: Sequence[TradeOff],
    registration: Registration,
    *,
    delta: float,
) -> tuple[Look, ...]:
    """Return the looks, up to the first at which a pair contradicts its claim.

    A look learns its scores on training runs, chooses thresholds on validation runs, half as many
    as it tests, and counts on test runs.

    Args:
        sources: one a pair.
        claims: the trade-off function claimed on each pair.
        registration: looks and error; its families are those of the sources.
        delta: at which epsilon is bounded.
    """
    found: list[Look] = []
    for number, runs in enumerate(registration.looks):
        alpha = registration.spent(number)
        half = (runs + 1) // 2
        for pair, source, claim in zip(registration.pairs, sources, claims, strict=True):
            source.learn(min(half, _MOST_TRAINING))
            validation = _both(source, half, "validation")
            test = _both(source, runs, "test")
            families = source.families
            tests = decide(families, validation, test, claim=claim, delta=delta, alpha=alpha)
            level = bound_level(alpha, len(families))
            found.append(Look(pair=pair, runs=runs, level=level, tests=tests))
        if any(look.violated for look in found):
            break
    return tuple(found)


def _both(source: Source, runs: int, part: Part) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return source.scores(0, runs, part=part), source.scores(1, runs, part=part)
