"""Shared sums against numpy's own, and their transpose."""

from itertools import combinations

import numpy as np
import pytest

from dpsynth.pgm.summation import Summation

SIZES: dict[str, int] = {"a": 3, "b": 1, "c": 5, "d": 2, "e": 2}
CLIQUE = ("a", "b", "c", "d", "e")
SUBSETS = [tuple(s) for k in range(6) for s in combinations(CLIQUE, k)]


@pytest.mark.parametrize(
    "targets", [SUBSETS, SUBSETS[::7], [("e", "a"), ("e", "a"), ("c",)], [CLIQUE], [()], []]
)
def test_sums_equal_direct_ones(targets: list[tuple[str, ...]]) -> None:
    array = np.random.default_rng(1).random([SIZES[a] for a in CLIQUE])
    plan = Summation.plan(SIZES, CLIQUE, targets)
    found = plan.sums(array)
    for target, values in zip(targets, found, strict=True):
        expected = np.einsum(f"abcde->{''.join(target)}", array)
        np.testing.assert_allclose(values, expected, rtol=1e-13)


def test_spread_is_the_transpose_of_sums() -> None:
    rng = np.random.default_rng(2)
    targets = SUBSETS[::3]
    plan = Summation.plan(SIZES, CLIQUE, targets)
    array = rng.standard_normal([SIZES[a] for a in CLIQUE])
    parts = [rng.standard_normal([SIZES[a] for a in target]) for target in targets]
    inner = sum(float(np.vdot(p, s)) for p, s in zip(parts, plan.sums(array), strict=True))
    assert float(np.vdot(plan.spread(parts), array)) == pytest.approx(inner, rel=1e-12)


def test_pairs_of_a_wide_clique_share_their_sums() -> None:
    sizes = dict.fromkeys("abcdefghijkl", 2)
    clique = tuple(sizes)
    pairs = list(combinations(clique, 2))
    plan = Summation.plan(sizes, clique, pairs)
    work = sum(int(np.prod(node.shape)) for node in plan.nodes[1:])
    assert work < 16 * 2**12  # one by one: 66 * 2**12
