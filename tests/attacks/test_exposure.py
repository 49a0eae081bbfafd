"""Exposure: ranks as by hand, all of it found in a copy, and the mean that ignorance has."""

import numpy as np
import pytest

from dpsynth.attacks.exposure import CanaryExposure, exposures
from dpsynth.errors import InvalidValueError
from tests.attacks.releases import copier, stranger, target_of


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


@pytest.mark.statistical
def test_one_record_in_ten_released_as_it_is_alarms() -> None:
    """5 tables at the defaults, seed 3. Negative control: strangers, 5 tables at p .001."""

    def tenth(train, *, rng):
        return train.take(rng.permutation(len(train))[: len(train) // 10])

    attack, rng = CanaryExposure(rows=300), np.random.default_rng(3)
    for _ in range(5):
        leak = attack.run(target_of(tenth, 400, rng=rng), rng=rng)
        assert leak.p_value < 1e-3
        assert leak.control.value < 0.05 < leak.rate.value
        assert attack.run(target_of(stranger, 400, rng=rng), rng=rng).p_value > 1e-3


def test_claims_are_as_many_as_stated_and_a_coin_makes_as_many() -> None:
    rng = np.random.default_rng(4)
    attack = CanaryExposure(canaries=200, releases=5, rows=50, claims=0.1)
    found = attack.run(target_of(stranger, 60, rng=rng), rng=rng)
    assert found.successes + found.control_successes == 5 * 20
    assert found.trials + found.control_trials == 5 * 200
    # 500 tosses of chance 0.1: five standard errors.
    assert found.baseline.value == pytest.approx(0.1, abs=0.07)


def test_copies_are_inserted_together() -> None:
    seen = []

    def refit(train, *, rng):
        seen.append(len(train))
        return train

    attack = CanaryExposure(canaries=10, copies=3, releases=2, rows=50)
    rng = np.random.default_rng(1)
    attack.run(target_of(refit, 80, rng=rng), rng=rng)
    # The release itself, two with records inserted and one without.
    assert len(seen) == 4
    assert all((size - 50) % 3 == 0 and size >= 50 for size in seen[1:])
    assert seen[-1] == 50


@pytest.mark.parametrize("field", ["canaries", "copies", "releases", "rows", "claims"])
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
