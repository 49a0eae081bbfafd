"""Who watches a training run, and what is told: answers already paid for, and public facts.

The watcher is a context variable, so that no signature of `fit` carries it. Nothing of a batch is
told: the loss is that of rows that are no records, the gradient the noisy one, and epsilon the
bound of the ledger. Wall time is outside the guarantee, as everywhere.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from dpsynth.privacy.ledger import Ledger

# Reports are at least so many seconds apart, but for the last.
_PAUSE = 0.2


@final
@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training run has come.

    Args:
        step: steps taken.
        steps: of the whole plan.
        trial_loss: mean loss at a few rows drawn uniformly from the domain, which are no records.
            It shows a run that diverges; that one learns cannot be seen on such rows.
        gradient_norm: L2 norm of the last noisy gradient.
        epsilon: bound on what an observer of all answers so far has learned, at the budget's delta;
            rounded up to the next step at which it was computed.
        seconds_left: at the pace so far.
    """

    step: int
    steps: int
    trial_loss: float
    gradient_norm: float
    epsilon: float
    seconds_left: float


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
    """

    def __init__(self, ledger: "Ledger", steps: int) -> None:
        self._watcher = _WATCHER.get()
        self._steps, self._began = steps, monotonic()
        self._told = -_PAUSE
        self._trajectory = ledger.trajectories()[-1] if self._watcher else None

    def report(self, step: int, signals: Callable[[], tuple[float, float]]) -> None:
        """Report that so many steps are taken.

        Args:
            step: from 1.
            signals: returns the trial loss and the norm of the noisy gradient; asked only where
                they are told.
        """
        if self._watcher is None or self._trajectory is None:
            return
        elapsed = monotonic() - self._began
        if elapsed - self._told < _PAUSE and step < self._steps:
            return
        self._told = elapsed
        loss, norm = signals()
        told = Progress(
            step=step,
            steps=self._steps,
            trial_loss=loss,
            gradient_norm=norm,
            epsilon=self._trajectory.after(step),
            seconds_left=elapsed / step * (self._steps - step),
        )
        self._watcher(told)
