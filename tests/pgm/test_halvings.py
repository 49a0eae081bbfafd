"""All cuttings weighed at once, against a list of them."""

from itertools import product

import numpy as np
import pytest

from dpsynth.pgm.halvings import _SPLIT, Halvings


def cuttings(low: int, high: int) -> list[tuple[float, list[tuple[int, int]]]]:
    """Return all ways to halve a stretch, again and again: prior probability and stretches."""
    if high - low == 1:
        return [(1.0, [(low, high)])]
    middle = (low + high) // 2
    halved = product(cuttings(low, middle), cuttings(middle, high))
    return [(1 - _SPLIT, [(low, high)])] + [
        (_SPLIT * p * q, first + second) for (p, first), (q, second) in halved
    ]


@pytest.mark.parametrize(("codes", "ordered"), [(1, 0), (3, 0), (4, 4), (7, 7), (8, 5), (6, 1)])
def test_evidence_and_stretches_are_those_of_all_cuttings(codes: int, ordered: int) -> None:
    halvings = Halvings.of(codes, ordered=ordered)
    where = list(zip(halvings.low.tolist(), halvings.high.tolist(), strict=True))
    likely = np.random.default_rng(codes).normal(0.0, 3.0, (2, len(where)))
    evidence, parts = halvings.weigh(likely)
    ways = cuttings(0, ordered) if ordered else [(1.0, [])]
    alone = [(code, code + 1) for code in range(ordered, codes)]
    assert sum(prior for prior, _ in ways) == pytest.approx(1.0)
    for of, logs, found in zip(likely, evidence, parts, strict=True):
        index = {stretch: i for i, stretch in enumerate(where)}
        masses = [p * np.exp(sum(of[index[s]] for s in cut + alone)) for p, cut in ways]
        assert logs == pytest.approx(np.log(sum(masses)))
        expected = np.zeros(len(where))
        for mass, (_, cut) in zip(masses, ways, strict=True):
            expected[[index[s] for s in cut + alone]] += mass / sum(masses)
        assert found == pytest.approx(expected)


def test_stretches_sum_and_spread() -> None:
    halvings = Halvings.of(4, ordered=3)
    values = np.array([1.0, 2.0, 4.0, 8.0])
    whole = {
        (low, high): total
        for low, high, total in zip(
            halvings.low.tolist(), halvings.high.tolist(), halvings.sums(values), strict=True
        )
    }
    assert whole == {(0, 3): 7.0, (3, 4): 8.0, (0, 1): 1.0, (1, 3): 6.0, (1, 2): 2.0, (2, 3): 4.0}
    levels = np.where(halvings.sizes == 3, 10.0, np.where(halvings.high == 4, 5.0, 0.0))
    assert halvings.spread(levels).tolist() == [10.0, 10.0, 10.0, 5.0]
