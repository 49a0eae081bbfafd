"""Runs that gave no records: why, and how many in each world."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

Kind: TypeAlias = Literal["crash", "misfit"]

LONGEST_REASON = 300
"""Characters of a reason, at most, that are kept."""

_WORDS: dict[Kind, str] = {
    "crash": "no records (a crash)",
    "misfit": "records that are not of the schema",
}


@final
@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that failed. Its reason may quote the records that it ran on.

    Args:
        kind: "crash" where it gave no records, "misfit" where these are not of the schema.
        reason: type and sentence of the error.
    """

    kind: Kind
    reason: str


@final
@dataclass(frozen=True, kw_only=True)
class FailedRuns:
    """How many runs on one pair of tables failed in one way.

    Args:
        pair: its name.
        kind: as of `Failure`.
        failed: runs that did, on the first table and on the second.
        runs: all runs on each.
        first: reason of the first of them.
    """

    pair: str
    kind: Kind
    failed: tuple[int, int]
    runs: int
    first: str

    def __str__(self) -> str:
        first, second = self.failed
        return (
            f"{_WORDS[self.kind]} in {first} of {self.runs} runs on the first table and {second} "
            f"of {self.runs} on the second of {self.pair}, first {self.first.rstrip('.')!r}"
        )


def tallied(pair: str, worlds: tuple[Sequence[object], Sequence[object]]) -> tuple[FailedRuns, ...]:
    """Return the failures among outcomes of runs, of each kind that occurred.

    Args:
        pair: the name of the tables.
        worlds: what runs gave on the first table and on the second, equally many.
    """
    failures = [[one for one in world if isinstance(one, Failure)] for world in worlds]
    found: list[FailedRuns] = []
    for kind in _WORDS:
        reasons = [[one.reason for one in world if one.kind == kind] for world in failures]
        if any(reasons):
            found.append(
                FailedRuns(
                    pair=pair,
                    kind=kind,
                    failed=(len(reasons[0]), len(reasons[1])),
                    runs=len(worlds[0]),
                    first=(reasons[0] or reasons[1])[0],
                )
            )
    return tuple(found)
