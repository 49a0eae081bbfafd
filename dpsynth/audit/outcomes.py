"""The audit of one component: any function that draws what a mechanism releases in two worlds."""

from collections.abc import Callable
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.claim import ClaimAudit, summarised
from dpsynth.audit.registration import Registration, looks_up_to
from dpsynth.audit.scores import BestFeature, Discriminant, Score, Symbols
from dpsynth.audit.sequential import Part, Source, look_at
from dpsynth.audit.tradeoff import TradeOff
from dpsynth.privacy.budget import Budget

Draw: TypeAlias = Callable[[int, int], NDArray[np.float64]]
"""(world, runs) -> what `runs` independent runs release, of shape (runs, numbers)."""

_PAIR = "the worlds of the function"


@final
class OutcomeScores(Source):
    """Scores of released numbers, all of them learned: LDA, QDA, best query, atoms, bit patterns.

    Args:
        draw: what releases.
    """

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._scores: tuple[Score, ...] = (
            Discriminant(quadratic=False),
            Discriminant(quadratic=True),
            BestFeature(),
            Symbols(bits=False),
            Symbols(bits=True),
        )

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(score.name for score in self._scores)

    def learn(self, runs: int) -> None:
        first, second = self._draw(0, runs), self._draw(1, runs)
        for score in self._scores:
            score.learn(first, second)

    def scores(self, world: int, runs: int, *, part: Part) -> NDArray[np.float64]:
        del part  # every run is a fresh one
        released = self._draw(world, runs)
        return np.stack([score(released) for score in self._scores])


def audit_outcomes(
    draw: Draw,
    budget: Budget,
    *,
    claim: TradeOff | None = None,
    runs: int = 10_000,
    alpha: float = 0.05,
    mechanism: str = "function",
    announce: Callable[[Registration], None] | None = None,
) -> ClaimAudit:
    """Return the verdict on a function's claim.

    Args:
        draw: what releases, in world 0 and in world 1.
        budget: the claim.
        claim: a trade-off function that says more than the budget, where there is one.
        runs: test runs in each world at the last look.
        alpha: probability of reporting a violation where there is none.
        mechanism: its name in the report.
        announce: is given the registration before anything is drawn.

    Raises:
        InvalidValueError: fewer than 50 runs, or alpha outside (0, 1).
    """
    source = OutcomeScores(draw)
    claim = claim or TradeOff(mu=None, pairs=((budget.epsilon, budget.delta),))
    registration = Registration(
        mechanism=mechanism,
        claim=f"({budget.epsilon:g}, {budget.delta:g}), {budget.relation}, as stated",
        pairs=(_PAIR,),
        families=source.families,
        looks=looks_up_to(runs),
        alpha=alpha,
    )
    if announce is not None:
        announce(registration)
    return summarised(
        look_at([source], [claim], registration, delta=budget.delta),
        registration,
        budget,
        accountant="stated",
        claims={_PAIR: claim},
    )
