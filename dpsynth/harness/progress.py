"""What a person sees of a sweep: bars on a terminal, one plain line a cell anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TextIO, final

from dpsynth.harness.cell import Cell
from dpsynth.harness.store import Record

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


@final
class Progress:
    """Shows a sweep on `stream`.

    Args:
        stream: usually standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars: Bars | None = None
        self._sweep: TaskID | None = None
        self._cells: dict[str, TaskID] = {}
        self._total = self._done = self._failed = 0
        self._began = monotonic()

    @contextmanager
    def showing(self, *, total: int, finished: int) -> Iterator[None]:
        """Show a sweep of `total` cells of which `finished` need no work."""
        self._total, self._done, self._began = total, finished, monotonic()
        if finished:
            self._say(f"{finished} of {total} cells are finished already.")
        if not self._stream.isatty():
            yield
            return
        with self._make_bars() as self._bars:
            self._sweep = self._bars.add_task(
                "sweep", total=total, completed=finished, note=self._note()
            )
            yield
        self._bars = None

    def entered(self, cell: Cell, phase: str) -> None:
        """Show that `cell` has begun `phase`."""
        if self._bars is None:
            return
        if cell.id not in self._cells:
            self._cells[cell.id] = self._bars.add_task(cell.title, total=None, note=phase)
        self._bars.update(self._cells[cell.id], note=phase)

    def ended(self, title: str, record: Record) -> None:
        """Show that a cell has ended."""
        self._done += 1
        failed = record.status != "done"
        self._failed += failed
        if self._bars is not None and self._sweep is not None:
            task = self._cells.pop(record.cell, None)
            if task is not None:
                self._bars.remove_task(task)
            self._bars.update(self._sweep, advance=1, note=self._note())
        seconds = sum(record.seconds.values())
        if failed:
            self._say(f"{title}: {record.status} in phase {record.phase!r}: {record.error}")
        elif self._bars is None:
            self._say(f"[{self._done}/{self._total}] {title}: {seconds:.1f} s")

    def _note(self) -> str:
        return f"{self._failed} failed" if self._failed else ""

    def _say(self, line: str) -> None:
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=self._stream, flush=True)

    def _make_bars(self) -> "Bars":
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        return Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(file=self._stream),
        )
