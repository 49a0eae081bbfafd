"""Post-processing of noisy counts: pieces tile what was counted, groups are even, tails survive."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpsynth.preparation.spread import Spread, grouped, nonnegative, supported, told


@given(
    points=st.sets(st.integers(0, 60), min_size=2, max_size=10),
    atoms=st.sets(st.integers(0, 60), max_size=6),
    whole=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_pieces_hold_what_was_counted(
    points: set[int], atoms: set[int], whole: bool, seed: int
) -> None:
    edges = np.array(sorted(points), dtype=float)
    inner = sorted(a for a in atoms if edges[0] <= a <= edges[-1] - whole)
    rng = np.random.default_rng(seed)
    spread = Spread(
        edges=edges,
        inside=rng.integers(0, 5, len(edges) - 1).astype(float),
        atoms=np.array(inner, dtype=float),
        at=rng.integers(0, 5, len(inner)).astype(float),
        whole=whole,
    )
    pieces = spread.pieces()
    assert all(one[1] <= two[0] for one, two in pairwise(pieces))
    assert all(low < high or (low == high and not whole) for low, high, _ in pieces)
    for value, records in zip(inner, spread.at, strict=True):
        own = [w for low, high, w in pieces if low == value and high - low == float(whole)]
        assert sum(own) >= records
    total = sum(weight for _, _, weight in pieces)
    # An interval that its atoms fill has no place for other values.
    full = [whole and all(v in inner for v in range(int(a), int(b))) for a, b in pairwise(edges)]
    lost = float(spread.inside[np.array(full, dtype=bool)].sum())
    assert total == pytest.approx(spread.inside.sum() + spread.at.sum() - lost)


def test_groups_are_even_and_leave_large_pieces_alone() -> None:
    weights = [1.0] * 40 + [500.0] + [1.0] * 40
    pieces = [(float(i), float(i + 1), w) for i, w in enumerate(weights)]
    first = grouped(pieces, bins=9, least=0.0)
    assert len(first) == 9
    assert 40 in first
    assert 41 in first
    sizes = np.diff([*first, len(pieces)])
    assert sizes[sizes > 1].min() >= 8


def test_groups_hold_more_than_noise() -> None:
    pieces = [(float(i), float(i + 1), 10.0) for i in range(32)]
    first = grouped(pieces, bins=32, least=100.0)
    sizes = np.diff([*first, len(pieces)])
    assert all(10 * (a + b) >= 100 for a, b in pairwise(sizes))


def test_a_long_thin_tail_is_kept_and_noise_is_not() -> None:
    """256 counts with noise of deviation 10, seed 0 to 19; the tail is 100 counts of 5 each, far
    below the noise of one and far above that of their sum. Control: without it, nothing is kept."""
    body = np.r_[np.full(50, 100.0), np.full(100, 5.0), np.zeros(106)]
    head = np.r_[body[:50], np.zeros(206)]
    noises = [np.random.default_rng(seed).normal(0, 10, 256) for seed in range(20)]

    def reach(counts: NDArray[np.float64]) -> float:
        return float(np.median([np.flatnonzero(supported(counts + n, 10.0))[-1] for n in noises]))

    assert 100 < reach(body) < 170
    assert reach(head) < 64


@given(
    counts=st.lists(st.floats(-50, 100), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_nonnegative_counts_keep_their_sum(counts: list[float]) -> None:
    found = nonnegative(np.array(counts))
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(max(sum(counts), 0.0), abs=1e-6)


BINS = np.linspace(0.0, 8.0, 9)
ENDS = np.linspace(0.0, 8.0, 65)
"""Eight parts a bin."""


def test_a_bin_that_tells_no_more_than_noise_is_left_to_the_model() -> None:
    """Flat bins at noise as large as a part's records, 40 seeds; one bin has a peak."""
    truth = np.full(64, 50.0)
    truth[20] = 2000.0
    left, peak = [], []
    for seed in range(40):
        noisy = truth + np.random.default_rng(seed).normal(scale=50, size=64)
        found = told(noisy, ENDS, bins=BINS, atoms=np.empty(0), sigma=50).reshape(8, 8)
        left.append((found.sum(axis=1) == 0)[[0, 1, 3, 4, 5, 6, 7]].mean())
        peak.append(found[2, 4] / found[2].sum())
    assert np.mean(left) > 0.9
    # Counts beyond a curve that the peak itself bends are kept: it holds 2,000 of 2,350.
    assert np.mean(peak) > 0.75


def test_counts_without_noise_are_kept_and_sums_of_bins_too() -> None:
    counts = np.random.default_rng(0).integers(0, 1000, 64).astype(float)
    found = told(counts, ENDS, bins=BINS, atoms=np.empty(0), sigma=1e-3)
    assert np.allclose(found, counts, atol=1e-3)
    noisy = told(counts, ENDS, bins=BINS, atoms=np.empty(0), sigma=100)
    sums, kept = counts.reshape(8, 8).sum(axis=1), noisy.reshape(8, 8).sum(axis=1)
    assert ((kept == 0) | np.isclose(kept, sums)).all()
    assert (kept > 0).any()


def test_shrunk_counts_are_nearer_to_the_truth_than_noisy_ones() -> None:
    """A slope under noise, 40 seeds: squared error of what is told, of bins that tell anything."""
    truth = np.linspace(400.0, 0.0, 64)
    told_error, raw_error = 0.0, 0.0
    for seed in range(40):
        noisy = truth + np.random.default_rng(seed).normal(scale=60, size=64)
        found = told(noisy, ENDS, bins=BINS, atoms=np.empty(0), sigma=60)
        some = found.reshape(8, 8).sum(axis=1).repeat(8) > 0
        told_error += float(np.sum((found - truth)[some] ** 2))
        raw_error += float(np.sum((noisy - truth)[some] ** 2))
    assert 0 < told_error < 0.7 * raw_error


def test_records_beside_a_frequent_value_are_kept() -> None:
    counts = np.full(64, 50.0)
    at = told(counts, ENDS, bins=BINS, atoms=np.array([0.0, 8.0]), sigma=20).reshape(8, 8)
    assert np.allclose(at[[0, 7]], 50)
    assert (at[1:7] == 0).all()
    few = told(counts / 10, ENDS, bins=BINS, atoms=np.array([0.0]), sigma=20)
    assert (few == 0).all()
