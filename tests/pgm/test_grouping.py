"""Drawing by groups: equal to the plain way in counts, and uniform in the order within a group."""

import numpy as np
import pytest
from scipy.stats import chi2

from dpsynth.pgm.grouping import shuffled_by_group, spread_by_group
from dpsynth.pgm.sampling import conditional, draw, systematic_counts


def simple_draw(key: np.ndarray, law: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """The plain way: unique groups, a permutation and a stable sort."""
    groups, group_of_row, members = np.unique(key, return_inverse=True, return_counts=True)
    shares = systematic_counts(conditional(law[groups]), members, rng=rng)
    shuffled = rng.permutation(len(key))
    order = shuffled[np.argsort(group_of_row[shuffled], kind="stable")]
    column = np.empty(len(key), dtype=np.int64)
    column[order] = np.repeat(np.tile(np.arange(law.shape[1]), len(groups)), shares.ravel())
    return column


@pytest.mark.parametrize("n", [1, 2, 1000])
@pytest.mark.parametrize("groups", [1, 7, 5000])
def test_drawing_equals_the_plain_way_but_for_the_order_in_a_group(n: int, groups: int) -> None:
    rng = np.random.default_rng(6)
    key, law = rng.integers(0, groups, n), rng.random((groups, 5))
    fast = draw(key, law, rng=np.random.default_rng(7))
    slow = simple_draw(key, law, rng=np.random.default_rng(7))
    shape = (groups, 5)
    for column in (fast, slow):
        assert column.shape == (n,)
    np.testing.assert_array_equal(
        np.bincount(np.ravel_multi_index((key, fast.astype(np.int64)), shape), minlength=1),
        np.bincount(np.ravel_multi_index((key, slow), shape), minlength=1),
    )


# 20,000 orders of 2 groups of 4 and 3 entries: where entry 0 lands. alpha = 1e-5 for each of the
# two ways (chi-square of 3 degrees of freedom, below 25.9), seed 8. The control leaves out the
# random bits.
@pytest.mark.statistical
@pytest.mark.parametrize(("groups", "uniform"), [(2, True), (2**60, True), (2, False)])
def test_the_order_within_a_group_is_uniform(groups: int, uniform: bool) -> None:
    class NoBits:
        def integers(self, low: int, high: int, size: int, dtype: type) -> np.ndarray:
            return np.zeros(size, dtype=dtype)

    rng = np.random.default_rng(8) if uniform else NoBits()
    key = np.array([0, 1, 0, 0, 1, 0, 1])
    landed = np.zeros(4)
    for _ in range(20_000):
        order = shuffled_by_group(key, groups, rng=rng)  # type: ignore[arg-type]
        assert (key[order] == [0, 0, 0, 0, 1, 1, 1]).all()
        assert sorted(order) == list(range(7))
        landed[np.flatnonzero(order == 0)[0]] += 1
    assert bool(((landed - 5000) ** 2 / 5000).sum() < 25.9) is uniform


def test_values_are_spread_over_contexts_and_every_group_stays_whole() -> None:
    """Two groups, 40 contexts of 25 rows in each: what half of a group's rows get in a context is
    within 2 of 12.5; at random it strays by up to 8 (the control)."""
    rng = np.random.default_rng(0)
    key = rng.permutation(np.repeat([0, 2], 1000))
    context = np.empty(2000, dtype=np.uint64)
    for group in (0, 2):
        context[key == group] = rng.permutation(np.repeat(np.arange(40), 25))

    def strayed(order: np.ndarray) -> float:
        assert (np.sort(order) == np.arange(2000)).all()
        assert (key[order] == np.repeat([0, 2], 1000)).all()
        halves = np.zeros(2000)
        halves[order] = np.tile(np.repeat([0, 1], 500), 2)
        cell = key * 20 + context.astype(int)
        return float(np.abs(np.bincount(cell, weights=halves, minlength=80) - 12.5).max())

    assert strayed(spread_by_group(key, 3, context, rng=rng)) <= 2.5
    assert strayed(shuffled_by_group(key, 3, rng=rng)) > 4


@pytest.mark.statistical
def test_every_entry_of_a_group_is_equally_likely_to_have_any_place() -> None:
    """alpha 1e-3, 5,000 orders of a group of 7 with seed 1; chi-square of 49 cells, 36 degrees of
    freedom. Control: without the random turn an entry has one place."""
    rng = np.random.default_rng(1)
    key, context = np.zeros(7, dtype=np.int64), np.arange(7, dtype=np.uint64)
    seen = np.zeros((7, 7))
    for _ in range(5000):
        seen[np.arange(7), spread_by_group(key, 1, context, rng=rng)] += 1
    expected = 5000 / 7
    assert chi2.sf(((seen - expected) ** 2 / expected).sum(), 36) > 1e-3
    fixed = np.eye(7) * 5000
    assert chi2.sf(((fixed - expected) ** 2 / expected).sum(), 36) < 1e-3
