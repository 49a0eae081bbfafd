"""Distinct numbers with counts answer as the numbers themselves would, in memory and in a file."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpsynth.curator import number_spool
from dpsynth.curator.cells import Cells
from dpsynth.curator.number_spool import NumberSpool
from dpsynth.curator.spool import temporary
from dpsynth.data import raw_numbers
from dpsynth.data.raw_numbers import RawNumbers, merged, together
from dpsynth.data.values import DECIMAL_CELLS, decimals_needed
from dpsynth.errors import FileError

CELLS = Cells(edges=np.array([-5.0, 0.0, 2.5, 10.0]), atoms=np.array([0.0, 7.0]))


def draws(seed: int, rows: int = 5000) -> Any:
    """Return numbers of which many are equal, many are not, and some are missing."""
    rng = np.random.default_rng(seed)
    numbers = np.where(rng.random(rows) < 0.5, rng.integers(-5, 9, rows), rng.normal(0, 9, rows))
    numbers[rng.random(rows) < 0.1] = np.nan
    return numbers


def spooled_numbers(numbers: Any, files: ExitStack, *, most: int, block: int = 400) -> RawNumbers:
    spool = NumberSpool(files, most=most)
    for start in range(0, len(numbers), block):
        spool.add(RawNumbers.of(numbers[start : start + block]))
    return spool.numbers()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strides and chunks so small that every boundary is crossed."""
    for module in (raw_numbers, number_spool):
        monkeypatch.setattr(module, "STRIDE", 8)
    monkeypatch.setattr(raw_numbers, "CHUNK", 64)


@pytest.mark.parametrize("most", [10**6, 600, 1], ids=["memory", "some runs", "many runs"])
@pytest.mark.parametrize("seed", range(3))
def test_answers_are_those_of_the_numbers(most: int, seed: int) -> None:
    numbers = draws(seed)
    present = np.sort(numbers[~np.isnan(numbers)])
    with ExitStack() as files:
        found = spooled_numbers(numbers, files, most=most)
        for one in (found, RawNumbers.of(numbers)):
            assert (one.present, one.missing) == (len(present), len(numbers) - len(present))
            values, counts = together(one.distinct())
            expected = np.unique(present, return_counts=True)
            assert np.array_equal(values, expected[0])
            assert np.array_equal(counts, expected[1])
            for x in [-np.inf, -5, 0, 0.1, np.inf, *present[::97], *(present[::97] + 1e-9)]:
                assert one.below(x) == np.searchsorted(present, x, side="left")
            for codes, size in ((CELLS.codes, CELLS.size), (decimals_needed, DECIMAL_CELLS)):
                exact = np.bincount(codes(numbers), minlength=size)
                assert np.array_equal(one.tallied(codes, size), exact)


def test_parts_of_memory_and_of_a_file_are_the_same() -> None:
    """Noise is drawn part by part, so that parts must not depend on where the numbers are."""
    numbers = draws(1)
    with ExitStack() as files:
        parts = spooled_numbers(numbers, files, most=500).distinct()
        for mine, theirs in zip(parts, RawNumbers.of(numbers).distinct(), strict=True):
            assert np.array_equal(mine, theirs)


def test_no_numbers() -> None:
    for missing in (0, 3):
        found = RawNumbers.of(np.full(missing, np.nan))
        assert [len(values) for values, _ in found.distinct()] == [0]
        assert (found.present, found.below(1.0), len(found)) == (0, 0, 0)
        assert found.tallied(CELLS.codes, CELLS.size).tolist() == [0, 0, 0, 0, 0, missing]
        assert [len(values) for values, _ in merged([found, found])] == [0]
    with ExitStack() as files:
        assert len(NumberSpool(files, most=9).numbers()) == 0


def test_a_secret_is_not_shown() -> None:
    assert "123" not in repr(RawNumbers.of(np.array([123.0])))


def test_no_room_is_one_sentence() -> None:
    numbers = RawNumbers.of(np.arange(9.0))
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(FileError, match="numbers cannot be kept there"),
    ):
        number_spool.written(full, 0, 9, numbers.distinct(), missing=0)


def test_lost_numbers_are_not_passed_over() -> None:
    with temporary() as file:
        numbers = RawNumbers.of(np.arange(99.0))
        found = number_spool.written(file, 0, 99, numbers.distinct(), missing=0)
        assert found.below(5.0) == 5
        file.truncate(99 * 8 + 8)
        with pytest.raises(FileError, match="are lost"):
            found.below(5.0)
