"""How one-way marginals share a budget."""

from math import inf

import numpy as np
import pytest

from dpsynth.curator.private_data import PrivateData
from dpsynth.generators.marginal.one_ways import measure_one_ways, measure_one_ways_by_size
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise
from tests.tables import coded_table

SIZES = (2, 8, 32)


def door(epsilon: float = 1.0) -> PrivateData:
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, size, 500) for size in SIZES], axis=1)
    return PrivateData(
        coded_table(codes, SIZES),
        Budget(epsilon=epsilon, delta=1e-9),
        noise=ResearchNoise(rng=rng),
        accountant="gdp",
    )


def precision(measured: list[NoisyMarginal]) -> np.ndarray:
    """Return for each attribute what was bought of it, as a share of everything."""
    found = {"c0": 0.0, "c1": 0.0, "c2": 0.0}
    for marginal in measured:
        found[marginal.clique[0]] += marginal.sigma**-2
    return np.array(list(found.values())) / sum(found.values())


def test_small_noise_is_shared_by_size_and_large_noise_equally() -> None:
    by_size = np.array(SIZES) ** (2 / 3)
    private = door()
    shares = {
        total: precision(
            measure_one_ways_by_size(private, amount=0.1 * private.remaining, total=total)
        )
        for total in (inf, 1e9, 2000.0, 1e-3)
    }
    assert shares[inf] == pytest.approx(by_size / by_size.sum(), rel=0.02)
    assert shares[1e9] == pytest.approx(shares[inf], rel=1e-3)
    assert shares[1e-3] == pytest.approx([1 / 3] * 3, rel=1e-3)
    assert shares[inf][0] < shares[2000.0][0] < 1 / 3


def test_what_was_bought_before_is_topped_up() -> None:
    """In the end all have the shares that one purchase for the price of both would have given."""
    private = door()
    budget = private.remaining
    first = measure_one_ways(private, amount=0.2 * budget)
    second = measure_one_ways_by_size(private, amount=0.6 * budget, before=first)
    at_once = measure_one_ways_by_size(door(), amount=0.8 * budget)
    assert precision([*first, *second]) == pytest.approx(precision(at_once), rel=1e-6)
    assert private.remaining == pytest.approx(0.2 * budget)


def test_an_attribute_that_has_enough_is_not_bought_again() -> None:
    private = door()
    budget = private.remaining
    first = measure_one_ways(private, amount=0.6 * budget)
    second = measure_one_ways_by_size(private, amount=0.1 * budget, before=first)
    assert [m.clique for m in second] == [("c2",)]
    assert private.remaining == pytest.approx(0.3 * budget)
