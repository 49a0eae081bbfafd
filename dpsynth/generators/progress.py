"""Who watches a training run, and what is told: answers already paid for, and public facts.

The watcher is a context variable, so that no signature of `fit` carries it. Nothing of a batch is
told: the loss is that of rows that are no records, the gradient the noisy one, and epsilon the
bound of the ledger. Where a checkpoint does not keep what was drawn, a second run draws anew, and
what was seen of the first would be a release of its own: only public facts are told there. Wall
time is outside the guarantee, as everywhere.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Literal, TypeAlias, final

if TYPE_CHECKING:
    from dpsynth.privacy.ledger import Ledger

Phase: TypeAlias = Literal["training", "replays"]

# Reports are at least so many seconds apart, but for the last.
_PAUSE = 0.2


@final
@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training run has come.

    Args:
        step: steps taken of this phase.
        steps: of the whole phase; of the plan where it is "training".
        trial_loss: mean loss at a few rows drawn uniformly from the domain, which are no records.
            It shows a run that diverges; that one learns cannot be seen on such rows. In replays
            how far the mean gradient of fakes was from what the critic was told (L2), at the step
            of the game that was replayed last. None where nobody may see it.
        gradient_norm: L2 norm of the last noisy gradient; in replays of the generator's own. None
            where nobody may see it.
        epsilon: bound on what an observer of all answers so far has learned, at the budget's delta;
            rounded up to the next step at which it was computed. Replays add nothing to it.
        seconds_left: of this phase, at its pace so far.
        phase: "training" is paid for, step by step; "replays" follow it where a generator learns
            further from what was bought.
    """

    step: int
    steps: int
    trial_loss: float | None
    gradient_norm: float | None
    epsilon: float
    seconds_left: float
    phase: Phase = "training"


Watcher = Callable[[Progress], None]
_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher of training", default=None)


@contextmanager
def watched(by: Watcher | None) -> Iterator[None]:
    """Let `by` be told of every training run inside; None: whoever watches already."""
    token = _WATCHER.set(by or _WATCHER.get())
    try:
        yield
    finally:
        _WATCHER.reset(token)


@contextmanager
def unwatched() -> Iterator[None]:
    """Tell nobody of the training runs inside: where even their number is a secret."""
    token = _WATCHER.set(None)
    try:
        yield
    finally:
        _WATCHER.reset(token)


@final
class Reporter:
    """Reports one run to whoever watches; does nothing, and costs nothing, where nobody does.

    Args:
        ledger: the run's, which has been charged for it last.
        steps: of the plan.
        shown: whether loss and gradient are told; not where they come from draws that a checkpoint
            does not keep.
    """

    def __init__(self, ledger: "Ledger", steps: int, *, shown: bool = True) -> None:
        self._shown = shown
        self._watcher = _WATCHER.get()
        self._trajectory = ledger.trajectories()[-1] if self._watcher else None
        self._begin("training", steps)

    def replaying(self, steps: int) -> "Reporter":
        """Return what reports so many steps that cost nothing, from now on, after the run."""
        other = copy(self)
        other._begin("replays", steps)
        return other

    def _begin(self, phase: Phase, steps: int) -> None:
        self._phase: Phase = phase
        self._steps, self._began, self._told = steps, monotonic(), -_PAUSE

    def report(self, step: int, signals: Callable[[], tuple[float, float]]) -> None:
        """Report that so many steps are taken.

        Args:
            step: from 1.
            signals: returns the trial loss and the norm of the gradient (`Progress`); asked only
                where they are told.
        """
        if self._watcher is None or self._trajectory is None:
            return
        elapsed = monotonic() - self._began
        if elapsed - self._told < _PAUSE and step < self._steps:
            return
        self._told = elapsed
        loss, norm = signals() if self._shown else (None, None)
        paid = step if self._phase == "training" else self._trajectory.steps[-1]
        told = Progress(
            step=step,
            steps=self._steps,
            trial_loss=loss,
            gradient_norm=norm,
            epsilon=self._trajectory.after(paid),
            seconds_left=elapsed / step * (self._steps - step),
            phase=self._phase,
        )
        self._watcher(told)
