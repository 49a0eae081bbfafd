"""LiRA and RMIA: ratios by hand; they find copies that are released among other records."""

import numpy as np
import pytest

from dpsynth.attacks.attack import AttackTarget
from dpsynth.attacks.lira import Lira, exceedance
from dpsynth.attacks.rmia import Rmia, _ratios
from dpsynth.attacks.shadows import ShadowAttack, split_point
from dpsynth.data.table import Table
from dpsynth.errors import FileError, InvalidValueError
from dpsynth.registry import DATASETS
from tests.evaluation.laws import draw


@pytest.mark.parametrize("attack", [Lira(rows=100, shadows=12), Rmia(rows=100, shadows=4)])
def test_a_release_that_drops_half_gives_the_others_away(attack: ShadowAttack) -> None:
    def half(train: Table, *, rng: np.random.Generator) -> Table:
        return train.take(rng.permutation(len(train))[: len(train) // 2])

    rng = np.random.default_rng(0)
    train, control = draw(200, rng=rng), draw(200, rng=rng)
    target = AttackTarget(train=train, control=control, synthetic=control, refit=half)
    found = attack.run(target, rng=rng)
    assert found.p_value < 1e-3
    # Members that were dropped cannot be found, and nobody else is accused in their stead.
    assert found.control.value < found.rate.value < 0.8
    assert found.measures["tpr_at_low_fpr"] > found.measures["low_fpr"]


def test_exceedance_by_hand() -> None:
    density = np.array([[9.0], [7.0], [-1.0], [-3.0], [2.0]])
    member = np.array([[True], [True], [False], [False]])
    # Mean -2 and squared deviations 1 and 1, one degree of freedom: members play no part. Of the
    # others each is compared with the one that is not itself.
    expected = np.array([11.0, 9.0, 2.0, -2.0, 4.0]) / np.sqrt(2)
    assert exceedance(density, member)[:, 0] == pytest.approx(expected)
    everywhere = exceedance(density, np.ones((4, 1), dtype=np.bool_))
    assert everywhere[:4].mean() == pytest.approx(0.0)
    alone = exceedance(density, np.array([[True], [True], [True], [False]]))
    assert alone[3, 0] == 0.0


def test_ratios_leave_a_shadow_out_of_its_own_mean() -> None:
    density = np.log(np.array([[1.0], [3.0], [5.0], [4.0]]))
    found = _ratios(density, 3)
    assert np.exp(found[:, 0]) == pytest.approx([1 / 4, 3 / 3, 5 / 2, 4 / 3])


def test_the_split_point_is_where_claims_go_with_membership() -> None:
    scores = np.array([[9.0, 1.0, 5.0], [5.0, 3.0, 2.0]])
    member = np.array([[True, False, True], [False, False, True]])
    # Rates 1/3 - 0 at 1 of 6 claims, 2/3 - 1/3 at 3, 2/3 - 2/3 at 4, 1 - 2/3 at 5; 5 is tied.
    # Over the deviation of a claim, sqrt(5 / 36) or 1/2, the first and the last are largest.
    assert split_point(scores, member) in {7.0, 1.5}
    assert split_point(np.array([1.0, 2.0]), np.array([False, True])) == 1.5
    assert split_point(np.zeros(4), np.array([True, False, True, False])) == 0.0


def test_a_few_that_show_set_the_split_point_and_not_the_noise_of_the_others() -> None:
    # One member in ten stands out, of 500 and 500. In all of 100 repetitions the threshold is far
    # above the others' mean; by the difference of the two rates it is not in 33 of them (seed 0).
    rng = np.random.default_rng(0)
    member = np.arange(1000) < 500
    for _ in range(100):
        scores = rng.normal(size=1000)
        scores[:50] = rng.normal(8.0, size=50)
        assert split_point(scores, member) > 1.5


def copies_of_a_tenth(train: Table, *, rng: np.random.Generator) -> Table:
    return train.take(rng.permutation(len(train))[: len(train) // 10])


@pytest.mark.statistical
@pytest.mark.parametrize("attack", [Lira(), Rmia()])
def test_the_interval_shows_a_tenth_of_copies(attack: ShadowAttack) -> None:
    """At default settings on 300 records of UCI Adult, in 9 of 10 runs or more, seed 0: what
    scripts/attack_rates.py measures."""
    try:
        table = DATASETS.get("uci_adult")().table
    except FileError as absent:
        pytest.skip(str(absent))
    above = 0
    for rng in np.random.default_rng(0).spawn(10):
        order = rng.permutation(len(table))
        train, control = table.take(order[:300]), table.take(order[300:600])
        target = AttackTarget(
            train=train, control=control, synthetic=control, refit=copies_of_a_tenth
        )
        above += attack.run(target, rng=rng).risk.lower > 0
    assert above >= 9


@pytest.mark.parametrize(
    "make", [lambda: Rmia(population=0), lambda: Lira(shadows=1), lambda: Lira(rows=1)]
)
def test_parameters_out_of_range_are_refused(make) -> None:
    with pytest.raises(InvalidValueError):
        make()
