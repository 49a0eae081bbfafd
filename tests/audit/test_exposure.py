"""Exposure: ranks as by hand, all of it found in a copy, and the mean that ignorance has."""

import numpy as np
import pytest

from dpsynth.audit.exposure import CanaryExposure, exposures
from dpsynth.errors import InvalidValueError
from tests.audit.releases import copier, stranger, target_of


def test_exposure_is_the_rank_in_bits() -> None:
    others = np.array([1.0, 2.0, 3.0])
    found = exposures(np.array([0.5, 2.5, 9.0, 2.0]), others)
    expected = [2 - np.log2(rank) for rank in (1, 3, 4, 2.5)]
    assert found == pytest.approx(expected)


def test_a_copy_exposes_all_and_a_stranger_nothing() -> None:
    attack = CanaryExposure(canaries=64, releases=4, rows=400)
    rng = np.random.default_rng(0)
    copied = attack.run(target_of(copier, 500, rng=rng), rng=rng)
    assert copied.measures["exposure"] > copied.measures["exposure_limit"] - 0.5
    assert copied.alarm
    blind = attack.run(target_of(stranger, 500, rng=rng), rng=rng)
    # About 128 draws of mean 1.44 and deviation 1.44 (bits of an exponential): four errors, .5.
    assert blind.measures["exposure"] == pytest.approx(1.44, abs=0.5)
    assert blind.p_value > 0.001


def test_copies_are_inserted_together() -> None:
    seen = []

    def refit(train, *, rng):
        seen.append(len(train))
        return train

    attack = CanaryExposure(canaries=10, copies=3, releases=2, rows=50)
    rng = np.random.default_rng(1)
    attack.run(target_of(refit, 80, rng=rng), rng=rng)
    assert all((size - 50) % 3 == 0 and size >= 50 for size in seen[1:])
    assert len(set(seen[1:])) <= 2


@pytest.mark.parametrize("field", ["canaries", "copies", "releases", "rows"])
def test_parameters_out_of_range_are_named(field: str) -> None:
    with pytest.raises(InvalidValueError, match=field):
        CanaryExposure(**{field: 0})


def test_it_needs_the_mechanism() -> None:
    rng = np.random.default_rng(2)
    target = target_of(copier, 50, rng=rng)
    with pytest.raises(InvalidValueError, match="refit"):
        CanaryExposure().run(
            type(target)(train=target.train, control=target.control, synthetic=target.synthetic),
            rng=rng,
        )
