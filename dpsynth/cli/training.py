"""What a person sees of training: a bar on a terminal, a line now and then anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TextIO, final

from dpsynth.privacy.rounding import rounded_up

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from dpsynth.generators.progress import Progress, Watcher

# Where there is no terminal: seconds between lines. What ends before the first says nothing.
_LINES_APART = 20.0

# What the two signals of each phase are called.
_WORDS = {
    "training": ("loss on trial rows", "noisy gradient"),
    "replays": ("distance from what the critic was told", "gradient"),
}


@final
class TrainingDisplay:
    """Shows training runs on `stream`, one after the other.

    Args:
        stream: usually standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._told = monotonic()

    @contextmanager
    def showing(self) -> Iterator["Watcher"]:
        """Yield what is to be told of progress; the bar appears with the first report."""
        try:
            yield self._bar if self._stream.isatty() else self._line
        finally:
            if self._bars is not None:
                self._bars.stop()

    def _line(self, progress: "Progress") -> None:
        if monotonic() - self._told >= _LINES_APART:
            self._told = monotonic()
            left = f"about {progress.seconds_left:.0f} s left"
            where = f"{progress.phase}: step {progress.step} of {progress.steps}"
            spent = f"epsilon so far {rounded_up(progress.epsilon, digits=4)}"
            loss, gradient = _WORDS[progress.phase]
            parts = [
                where,
                *_signal(loss, progress.trial_loss, ".4g"),
                *_signal(gradient, progress.gradient_norm, ".3g"),
                spent,
                left,
            ]
            print(", ".join(parts), file=self._stream, flush=True)

    def _bar(self, progress: "Progress") -> None:
        if self._bars is None:
            self._bars = self._make_bars()
            self._bars.start()
        if self._task is None:
            self._task = self._bars.add_task(progress.phase, total=progress.steps, note="")
        loss = "trial loss" if progress.phase == "training" else "distance"
        parts = [
            *_signal(loss, progress.trial_loss, ".3g"),
            *_signal("gradient", progress.gradient_norm, ".3g"),
            f"ε {rounded_up(progress.epsilon, digits=3)}",
        ]
        self._bars.update(self._task, completed=progress.step, note=", ".join(parts))
        if progress.step == progress.steps:
            self._task = None

    def _make_bars(self) -> "Bars":
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(file=self._stream),
        )


def _signal(words: str, value: float | None, form: str) -> list[str]:
    return [] if value is None else [f"{words} {value:{form}}"]
