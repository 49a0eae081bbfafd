"""Drawing by groups: equal to the plain way in counts, and uniform in the order within a group."""

import numpy as np
import pytest

from dpsynth.pgm.grouping import shuffled_by_group
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
