"""Runs of the mechanism under attack, of which some may fail."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import FailedRunError, TooFewRunsError

if TYPE_CHECKING:
    from dpsynth.attacks.attack import Refit
    from dpsynth.data.table import Table


@final
class Reruns:
    """Runs of a mechanism, and those that gave nothing; the attack goes on without these.

    Args:
        refit: the mechanism.
        attack: name of the attack that needs it.
    """

    def __init__(self, refit: "Refit", *, attack: str) -> None:
        self._refit, self._attack = refit, attack
        self._runs = 0
        self._failures: list[FailedRunError] = []

    def __call__(
        self,
        trains: "Iterable[tuple[Table, np.random.Generator]]",
        *,
        planned: int,
        needed: int,
        what: str,
    ) -> "list[Table | None]":
        """Return what each run releases, None where it failed.

        Args:
            trains: the tables that runs are fitted to, each with the run's stream.
            planned: how many there are.
            needed: how many must give a release.
            what: they are, in the plural.

        Raises:
            TooFewRunsError: so many failed that too few can be left. It is raised at once.
        """
        made: list[Table | None] = []
        for train, rng in trains:
            made.append(self._attempt(train, rng))
            failed = made.count(None)
            if planned - failed < needed:
                raise self._too_few(what, failed, len(made), needed)
        return made

    def first(
        self, train: "Table", streams: Sequence[np.random.Generator], *, what: str
    ) -> "Table":
        """Return the release of the first run on a table that does not fail.

        Args:
            train: the table.
            streams: of as many runs as may be tried.
            what: they are, in the plural.

        Raises:
            TooFewRunsError: all failed.
        """
        for rng in streams:
            if (release := self._attempt(train, rng)) is not None:
                return release
        tried = len(streams)
        raise self._too_few(what, tried, tried, 1)

    def _attempt(self, train: "Table", rng: np.random.Generator) -> "Table | None":
        self._runs += 1
        try:
            return self._refit(train, rng=rng)
        except FailedRunError as error:
            self._failures.append(error)
            return None

    def _too_few(self, what: str, failed: int, tried: int, needed: int) -> TooFewRunsError:
        why = str(self._failures[0])
        return TooFewRunsError(f"{what} of the attack {self._attack!r}", failed, tried, needed, why)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know of failures: nothing where there were none."""
        if not self._failures:
            return ()
        first = str(self._failures[0]).rstrip(".")
        count = len(self._failures)
        return (f"{count} of {self._runs} runs gave no records to attack, the first: {first!r}.",)


def half(planned: int) -> int:
    """Return half of the runs planned, rounded up: fewer would not say what was asked."""
    return -(-planned // 2)


def failing_with(failed: NDArray[np.bool_], member: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return for each target whether runs with it failed more often than runs without it.

    Args:
        failed: which runs did.
        member: runs x targets; which targets each run was fitted to.
    """
    used, unused = member.sum(axis=0), (~member).sum(axis=0)
    with_target = (member & failed[:, None]).sum(axis=0)
    return with_target * unused > (failed.sum() - with_target) * used
