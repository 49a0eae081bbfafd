"""Counts of cells: equal to brute force, whatever the dtypes, and remembered without harm."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator import counting
from dpsynth.curator.counting import CellCounter
from dpsynth.data.domain import Domain


def counter_of(sizes: list[int], n: int, seed: int) -> tuple[CellCounter, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(0, s, n) for s in sizes])
    codes = codes.astype(np.min_scalar_type(max(sizes) - 1))
    return CellCounter(codes, Domain(sizes={f"c{i}": s for i, s in enumerate(sizes)})), codes


@given(
    sizes=st.lists(st.sampled_from([1, 2, 3, 15, 16, 255, 256, 257]), min_size=1, max_size=3),
    n=st.integers(0, 40),
    seed=st.integers(0, 10**6),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_counts_equal_brute_force(sizes: list[int], n: int, seed: int, data: st.DataObject) -> None:
    counter, codes = counter_of(sizes, n, seed)
    axes = data.draw(st.permutations(range(len(sizes))).map(lambda p: p[: len(sizes)]))
    shape = tuple(sizes[a] for a in axes)
    expected = np.zeros(shape, dtype=np.int64)
    np.add.at(expected, tuple(codes[:, a].astype(np.int64) for a in axes), 1)
    clique = tuple(f"c{a}" for a in axes)
    assert np.array_equal(counter.counts(clique), expected)
    assert np.array_equal(counter.counts(clique), expected), "a remembered answer differs"


def test_counts_in_chunks_are_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    counter, codes = counter_of([3, 2, 2], 1000, 1)
    monkeypatch.setattr(counting, "CHUNK", 7)  # 12 cells: chunks of 12 rows, the last of 4
    expected = np.zeros((2, 3, 2), dtype=np.int64)
    np.add.at(expected, (codes[:, 1], codes[:, 0], codes[:, 2]), 1)
    assert np.array_equal(counter.counts(("c1", "c0", "c2")), expected)
    assert counter.counts(("c2",)).sum() == 1000


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MEMORY_CELLS", 20)
    counter, _ = counter_of([4] * 5, 30, 0)
    pairs = [(f"c{i}", f"c{j}") for i, j in product(range(5), repeat=2) if i < j]
    first = [counter.counts(p).copy() for p in pairs]
    again = [counter.counts(p) for p in pairs]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert counter._cells <= 20


def test_counts_cannot_be_written_to() -> None:
    counter, _ = counter_of([3], 5, 0)
    with pytest.raises(ValueError, match="read-only"):
        counter.counts(("c0",))[0] = 7


def test_a_representation_shows_no_records() -> None:
    counter, _ = counter_of([3], 5, 0)
    assert repr(counter) == "CellCounter(attributes=('c0',))"
