"""PrivTree: the stated epsilon bounds every possible tree on neighbours, and not by far."""

from collections.abc import Callable
from math import exp, floor, inf, log
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.curator.private_tree import PrivateTree, tree_for
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring

DEPTH = 9


def worst_loss(
    tree: PrivateTree, larger: NDArray[np.int64], smaller: NDArray[np.int64], decay: float
) -> tuple[float, float]:
    """Return the largest log-ratio of the probability of any tree, in both directions.

    Exhaustive: a tree is a choice at each node, and log-ratios of nodes add.
    """

    def tail(biased: float) -> float:
        return tree._log_tail(-biased)  # pyright: ignore[reportPrivateUsage]

    def leaf(biased: float) -> float:  # ln Pr[noise <= -biased]
        if not tree.discrete:
            below = log(0.5) - biased / tree.scale
            return below if biased > 0 else log(-np.expm1(tail(biased)))
        steps, norm = floor(-biased), log(1 + exp(-1 / tree.scale))
        return steps / tree.scale - norm if steps < 0 else log(-np.expm1(tail(biased)))

    def biased(count: int, depth: int) -> float:
        return max(-tree.decay, count - depth * decay)

    def visit(a: NDArray[np.int64], b: NDArray[np.int64], depth: int, sign: float) -> float:
        if np.array_equal(a, b):
            return 0.0
        one, two = biased(int(a.sum()), depth), biased(int(b.sum()), depth)
        stop = sign * (leaf(one) - leaf(two))
        if depth == DEPTH:
            return 0.0  # too narrow: no decision
        half = len(a) // 2
        below = visit(a[:half], b[:half], depth + 1, sign)
        below += visit(a[half:], b[half:], depth + 1, sign)
        return max(stop, sign * (tail(one) - tail(two)) + below)

    return visit(larger, smaller, 0, 1.0), visit(larger, smaller, 0, -1.0)


def pairs(seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return counts of 2**DEPTH cells with and without one record: piled up, spread and random."""
    rng = np.random.default_rng(seed)
    found = []
    for height in (1, 3, 20, 300):
        for _ in range(6):
            cells = rng.poisson(rng.random() * height * 0.1, 2**DEPTH)
            where = int(rng.integers(2**DEPTH))
            cells[where] += height
            fewer = cells.copy()
            fewer[where] -= 1
            found.append((cells, fewer))
    return found


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("scale", [0.7, 3.0, 25.0])
def test_no_tree_betrays_more_than_stated(scale: float, discrete: bool) -> None:
    tree = PrivateTree(scale=scale, discrete=discrete)
    worst = max(max(worst_loss(tree, larger, smaller, tree.decay)) for larger, smaller in pairs(0))
    assert 0.4 * tree.row_epsilon < worst <= tree.row_epsilon


def test_counts_that_do_not_decay_betray_more() -> None:
    """Negative control: without the loss a level, depth costs."""
    tree = PrivateTree(scale=3.0, discrete=False)
    piled = np.zeros(2**DEPTH, dtype=np.int64)
    piled[0] = 1
    assert worst_loss(tree, piled, np.zeros_like(piled), 0.0)[0] > tree.row_epsilon


@pytest.mark.parametrize("discrete", [False, True])
def test_noise_is_as_little_as_epsilon_allows(discrete: bool) -> None:
    one = Budget(epsilon=1.0, delta=1e-9)
    three = Budget(epsilon=1.0, delta=1e-9, unit="person", max_rows_per_unit=3)
    replace = Budget(epsilon=1.0, delta=1e-9, relation=Neighbouring.REPLACE)
    for epsilon in (0.01, 0.5, 4.0):
        tree = tree_for(epsilon, one, discrete=discrete)
        assert tree.row_epsilon <= epsilon
        slightly = PrivateTree(scale=0.99 * tree.scale, discrete=discrete)
        assert slightly.row_epsilon > epsilon or discrete
        assert 3 * tree_for(epsilon, three, discrete=discrete).row_epsilon <= epsilon
        assert 2 * tree_for(epsilon, replace, discrete=discrete).row_epsilon <= epsilon
    for wrong in (0.0, -1.0, inf):
        with pytest.raises(InvalidValueError):
            tree_for(wrong, one, discrete=discrete)


def grown(numbers: list[float], draw: Callable[[], float], narrowest: float = 1.0) -> list[float]:
    tree = PrivateTree(scale=1.0, discrete=False)
    below = below_of(numbers, 16.0)
    return tree.grow(below, 0.0, 16.0, narrowest=narrowest, draw=draw)


def below_of(numbers: Any, upper: float) -> Callable[[float], int]:
    """Return what counts `numbers` below another, of `upper` all."""
    held = np.sort(numbers)
    return lambda x: len(held) if x == upper else int(np.searchsorted(held, x, side="left"))


def test_dense_places_are_divided() -> None:
    edges = grown([3.0] * 500 + [16.0], lambda: 0.0)
    assert edges == [0.0, 2.0, 3.0, 4.0, 8.0, 12.0, 16.0]
    assert grown([3.0] * 500, lambda: -1e9) == [0.0, 16.0]
    assert grown([], lambda: 1e9, narrowest=4.0) == [0.0, 4.0, 8.0, 12.0, 16.0]


def test_a_tree_finds_records_in_a_range_that_is_far_too_wide() -> None:
    """Ten thousand records between 3 and 4 in a range of 2**60, seed 0."""
    rng = np.random.default_rng(0)
    tree = PrivateTree(scale=10.0, discrete=False)
    below = below_of(3 + rng.random(10_000), 2.0**60)
    edges = tree.grow(
        below, 0.0, 2.0**60, narrowest=2.0**-30, draw=lambda: float(rng.laplace(0, 10))
    )
    inside = [edge for edge in edges if 3 < edge < 4]
    assert len(inside) > 10
    assert len(edges) < 500
