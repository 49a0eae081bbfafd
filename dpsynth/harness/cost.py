"""What a sweep will take, judged by cells that have finished; where none is like, that is said."""

import heapq
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, final

import msgspec

from dpsynth.harness.cell import Cell
from dpsynth.harness.record import Stored
from dpsynth.harness.store import Store
from dpsynth.harness.worker import PROCESSOR


@final
@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The cost of cells.

    Args:
        alike: cells judged by finished ones of the same data set, generator and measurements.
        elsewhere: cells judged by finished ones of the same generator on anything else.
        unknown: cells of which no finished one tells anything.
        seconds: of computing of all but the unknown, one after the other.
        wall_seconds: of these on so many processes at a time.
        peak_rss_mb: the most resident memory of one process, MiB; None when all are unknown.
    """

    alike: int
    elsewhere: int
    unknown: int
    seconds: float
    wall_seconds: float
    peak_rss_mb: float | None


def estimate(cells: Sequence[Cell], store: Store, *, workers: int) -> Estimate:
    """Return what `cells` will take.

    They are held against the finished cells in `store`, of earlier plans and versions too, and, as
    far as these say nothing, in the stores beside it. A cell is taken to cost the median of the
    narrowest group that it belongs to.

    Args:
        cells: what is to run, in order.
        store: where it will be kept.
        workers: processes at a time.
    """
    known = _Known()
    known.learn(store.everything())
    judged = [known.of(cell) for cell in cells]
    if None in judged:
        for folder in sorted(store.path.absolute().parent.glob("*/plan.json")):
            if folder.parent != store.path.absolute():
                known.learn(Store(folder.parent).everything())
        judged = [known.of(cell) for cell in cells]
    found = [cost for cost in judged if cost is not None]
    return Estimate(
        alike=sum(cost.alike for cost in found),
        elsewhere=sum(not cost.alike for cost in found),
        unknown=len(judged) - len(found),
        seconds=sum(cost.seconds for cost in found),
        wall_seconds=_wall([cost.seconds for cost in found], workers),
        peak_rss_mb=max((cost.peak_rss_mb for cost in found), default=None),
    )


@final
@dataclass(frozen=True, kw_only=True)
class _Cost:
    seconds: float
    peak_rss_mb: float
    alike: bool


@final
class _Known:
    """Finished cells in groups, from narrow to wide."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, list[tuple[float, float]]] = {}
        self._costs: dict[Hashable, _Cost] = {}

    def learn(self, finished: Iterable[Stored]) -> None:
        self._costs.clear()
        for stored in finished:
            if stored.status == "done" and stored.seconds:
                cost = _seconds(stored), stored.peak_rss_mb or 0.0
                for key, _ in _groups(stored.settings):
                    self._groups.setdefault(key, []).append(cost)

    def of(self, cell: Cell) -> _Cost | None:
        for key, alike in _groups(cell.to_plain()):
            if key not in self._costs and key in self._groups:
                seconds, peaks = zip(*self._groups[key], strict=True)
                self._costs[key] = _Cost(
                    seconds=median(seconds), peak_rss_mb=max(peaks), alike=alike
                )
            if key in self._costs:
                return self._costs[key]
        return None


def _seconds(stored: Stored) -> float:
    """Return the processor time of a cell, or the time that passed where the first is not known.

    Other work on the machine lengthens the second alone. A third party's program is a process of
    its own, perhaps on another machine; and cells of earlier versions did not keep the first.
    """
    kept = [row for row in stored.rows if row["metric"].startswith(PROCESSOR)]
    if kept and stored.settings["kind"] != "third_party":
        return sum(row["value"] for row in kept)
    return sum(stored.seconds.values())


def _groups(settings: Mapping[str, Any]) -> list[tuple[Hashable, bool]]:
    """Return the groups of a cell, the narrowest first, and whether their members are alike."""
    generator, dataset = settings["generator"], settings["dataset"]
    algorithm = {k: v for k, v in generator.items() if k != "label"}
    measured = [settings[k] for k in ("metrics", "attacks", "audit", "holdout")]
    kind, data = settings["kind"], dataset and dataset["name"]
    alike = _text([kind, data, algorithm, measured])
    return [
        (_text([alike, settings["epsilon"], settings["delta"]]), True),
        (alike, True),
        (_text([kind, data, generator["name"]]), False),
        (_text([kind, generator["name"]]), False),
    ]


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _wall(seconds: Iterable[float], workers: int) -> float:
    """Return when the last process ends, of `workers` that each take the next cell when free."""
    free = [0.0] * workers
    for length in seconds:
        heapq.heappush(free, heapq.heappop(free) + length)
    return max(free)
