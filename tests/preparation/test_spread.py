"""Post-processing of noisy counts: pieces tile what was counted, groups are even, tails survive."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpsynth.preparation.spread import Spread, grouped, nonnegative, supported


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
