"""Ceilings on time and memory that the user sets, and how a fit keeps to them.

Memory is kept by a hyperparameter: whoever has a `largest_tree` gets a smaller one before anything
is spent. Time is kept by a clock that runs beside the fit: estimation stops at the best model it
has, and loops that ask `hurried` make their next round the last. Neither changes what is charged
for an access, or when. Without limits nothing here has any effect.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from importlib import import_module
from itertools import combinations
from math import comb, inf, isfinite, prod
from time import monotonic
from typing import TypeVar, final

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator
from dpsynth.memory import held_mb, resident_mb
from dpsynth.pgm.junction_tree import JunctionTree

G = TypeVar("G", bound=Generator)

# Doubles that a fit holds for a cell of its tree: the potentials, beliefs and messages, and 15
# pairs of vectors with their copies in the quasi-Newton method.
_DOUBLES_A_CELL = 60
# What a fit holds whatever its tree is: samples, chunks of scores, libraries not yet imported.
_RESERVE_MB = 30.0
# Cells of a tree that can be fitted and asked within a second in all, on a slow machine.
_CELLS_A_SECOND = 50_000
# Tables with more triples than this have pairs only as candidates, whatever the generator.
_MOST_TRIPLES = 2500


@final
@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a fit may take; it yields utility for it, and is refused only where nothing would do.

    Args:
        seconds: wall time from the call of `synthesize` to the fitted model.
        memory_mb: most memory that the whole process holds until then, in MiB.

    Raises:
        InvalidValueError: a limit that is not a finite number above 0.
    """

    seconds: float | None = None
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        for field in ("seconds", "memory_mb"):
            value = getattr(self, field)
            if value is not None and not (isfinite(value) and value > 0):
                raise InvalidValueError(field, value, "a finite number above 0, or left out")


@final
@dataclass(frozen=True)
class _Clock:
    """The `monotonic` time of the end, and the seconds until then where the fit begins."""

    end: float
    room: float

    @property
    def left(self) -> float:
        return max(0.0, self.end - monotonic())


_CLOCK: ContextVar[_Clock | None] = ContextVar("clock of the fit", default=None)


@contextmanager
def running(limits: Limits, *, since: float | None = None) -> Iterator[None]:
    """Let the time of `limits` run for the fit inside; a fit within a fit has its own.

    Args:
        limits: of which `seconds` counts.
        since: the `monotonic` time from which it does; by default from now on.
    """
    now, seconds = monotonic(), limits.seconds
    end = (now if since is None else since) + (inf if seconds is None else seconds)
    token = _CLOCK.set(None if seconds is None else _Clock(end, max(0.0, end - now)))
    try:
        yield
    finally:
        _CLOCK.reset(token)


def hurried() -> bool:
    """Return whether half of the time is gone that the fit began with: the other half is for one
    last round and its fit."""
    clock = _CLOCK.get()
    return clock is not None and clock.left <= 0.5 * clock.room


def time_for(seconds: float) -> bool:
    """Return whether as many seconds are left; always without a limit."""
    clock = _CLOCK.get()
    return clock is None or clock.left >= seconds


def fit_until(*, last: bool) -> float:
    """Return the `monotonic` time by which an estimation must end; infinite without a limit.

    Each may take half of what is left, so that none has to know how many are to come.

    Args:
        last: whether none is to come for certain.
    """
    clock = _CLOCK.get()
    return inf if clock is None else monotonic() + (0.9 if last else 0.5) * clock.left


def within(limits: Limits, generator: G, private: PrivateData) -> G:
    """Return `generator` as the limits have room for it (`resized`).

    Raises:
        InvalidValueError: as of `resized` and `check_constraints`.
    """
    chosen = resized(generator, private.domain, limits)
    check_constraints(chosen, private)
    return chosen


def resized(generator: G, domain: Domain, limits: Limits) -> G:
    """Return `generator` with a `largest_tree` that the limits have room for, where it has one.

    The room is what the process does not hold yet, the records among what it holds; to keep their
    number out of the result as far as can be, the size of the tree is a power of two.

    Args:
        generator: the algorithm.
        domain: what it will be fitted to.
        limits: what it may take.

    Raises:
        InvalidValueError: the process has held more memory than the limit before the fit begins.
    """
    most = inf
    if limits.memory_mb is not None:
        most = _cells_within(domain, _room_mb(limits.memory_mb))
    if limits.seconds is not None:
        most = min(most, _power_of_two(limits.seconds * _CELLS_A_SECOND))
    wanted = getattr(generator, "largest_tree", 0)
    if "largest_tree" not in {f.name for f in fields(generator)} or wanted <= most:
        return generator
    return replace(generator, **{"largest_tree": most})


def check_constraints(generator: Generator, private: PrivateData) -> None:
    """Refuse a `largest_tree`, before anything is spent, that the schema's constraints exceed.

    Raises:
        InvalidValueError: what the generator allows is less than they need.
    """
    most = getattr(generator, "largest_tree", None)
    if most is None or not private.impossible:
        return
    cells = JunctionTree.build(private.domain, private.impossible).cells
    if cells > most:
        rule = f"at least {cells}, the cells that the schema's constraints need"
        raise InvalidValueError("largest_tree", most, rule)


def _room_mb(memory_mb: float) -> float:
    import_module("scipy.optimize")  # the largest library that a fit imports counts as held
    pid = os.getpid()
    held, peak = held_mb(pid), resident_mb(pid)
    if held is None or peak is None:
        raise InvalidValueError("memory_mb", memory_mb, "left out on a system that tells none")
    if peak > memory_mb:
        rule = f"at least {peak:.0f}, which the process held before the fit began"
        raise InvalidValueError("memory_mb", memory_mb, rule)
    return memory_mb - held


def _cells_within(domain: Domain, room_mb: float) -> int:
    """Return the largest power of two of cells, at least 1, for which a fit has the room.

    Next to the tree there are the predictions and counts of all candidates that fit into it.
    """
    sizes = [size for size in domain.shape if size > 1]
    most = 3 if comb(len(sizes), 3) <= _MOST_TRIPLES else 2
    candidates = [prod(c) for k in range(1, most + 1) for c in combinations(sizes, k)]
    cells = 1
    while True:
        larger = 2 * cells
        doubles = _DOUBLES_A_CELL * larger + 2 * sum(c for c in candidates if c <= larger)
        if 8 * doubles / 2**20 + _RESERVE_MB > room_mb or larger > 2**40:
            return cells
        cells = larger


def _power_of_two(cells: float) -> int:
    return 1 << max(0, int(cells).bit_length() - 1)
