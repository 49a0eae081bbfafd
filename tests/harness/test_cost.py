"""What is left costs what like cells have cost, and what nobody knows is said to be unknown."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dpsynth.harness.cell import Cell
from dpsynth.harness.config import Choice, DatasetChoice
from dpsynth.harness.cost import estimate
from dpsynth.harness.record import Record
from dpsynth.harness.row import Status
from dpsynth.harness.store import Store
from dpsynth.harness.worker import PROCESSOR
from tests.harness.cells import make_cell


def keep(
    store: Store,
    cell: Cell,
    seconds: float,
    status: Status = "done",
    *,
    processor: Sequence[float] = (),
) -> None:
    store.write(
        Record(
            cell=cell.id,
            settings=cell.to_plain(),
            status=status,
            rows=tuple(
                cell.row(kind="run", metric=f"{PROCESSOR} {phase}", value=value)
                for phase, value in zip(("fit", "evaluate"), processor, strict=False)
            ),
            seconds={"fit": seconds / 2, "evaluate": seconds / 2},
            peak_rss_mb=100 * seconds,
        )
    )


def test_cells_are_held_against_the_narrowest_group(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    for seed, seconds in enumerate((1.0, 2.0, 9.0)):
        keep(store, make_cell(seed=seed), seconds)
    keep(store, make_cell(epsilon=8.0), 5.0)
    keep(store, make_cell("hangs"), 50.0, "timeout")
    same = make_cell(seed=7)
    other_budget = make_cell(seed=7, epsilon=3.0)
    elsewhere = make_cell(dataset=DatasetChoice(name="another"))
    measured = make_cell(metrics=(Choice(name="tvd_1way", label="t"),))
    unknown = make_cell("hangs", seed=1)
    expected = [(same, 2.0), (other_budget, 3.5), (elsewhere, 3.5), (measured, 3.5)]
    for cell, seconds in expected:
        found = estimate([cell], store, workers=1)
        assert (found.seconds, found.unknown) == (seconds, 0), cell.title
        assert found.alike == (cell in (same, other_budget))
    whole = estimate([*(cell for cell, _ in expected), unknown], store, workers=2)
    assert (whole.alike, whole.elsewhere, whole.unknown) == (2, 2, 1)
    assert whole.seconds == pytest.approx(12.5)
    assert whole.wall_seconds == 7.0  # 2 + 3.5 beside 3.5 + 3.5
    assert whole.peak_rss_mb == 900.0


@pytest.mark.parametrize(("kind", "seconds"), [("release", 3.0), ("third_party", 90.0)])
def test_a_busy_machine_does_not_count(tmp_path: Path, kind: str, seconds: float) -> None:
    """But for programs of others, whose processor time nobody sees."""
    store = Store(tmp_path / "out")
    keep(store, make_cell(kind=kind), 90.0, processor=(1.0, 2.0))
    assert estimate([make_cell(kind=kind, seed=1)], store, workers=1).seconds == seconds


def test_stores_beside_it_tell_what_it_does_not_know(tmp_path: Path) -> None:
    new, beside = Store(tmp_path / "new"), Store(tmp_path / "smoke")
    beside.write_plan({"name": "x"}, [], [])
    keep(beside, make_cell(), 4.0)
    changed = replace(make_cell().fingerprint, code="newer")
    assert estimate([make_cell(fingerprint=changed)], new, workers=1).seconds == 4.0
    nothing = estimate([make_cell("other")], new, workers=3)
    assert (nothing.unknown, nothing.seconds, nothing.peak_rss_mb) == (1, 0.0, None)
    assert not new.path.exists()
