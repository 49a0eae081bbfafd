"""LiRA and RMIA: ratios by hand; they find copies that are released among other records."""

import numpy as np
import pytest

from dpsynth.attacks.attack import AttackTarget
from dpsynth.attacks.lira import Lira, exceedance
from dpsynth.attacks.rmia import Rmia, _ratios
from dpsynth.attacks.shadows import ShadowAttack, split_point
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
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
    # Mean -2 and squared deviations 1 and 1, one degree of freedom: members play no part.
    assert exceedance(density, member)[:, 0] == pytest.approx((density[:, 0] + 2) / np.sqrt(2))
    everywhere = exceedance(density, np.ones((4, 1), dtype=np.bool_))
    assert everywhere[:4].mean() == pytest.approx(0.0)


def test_ratios_leave_a_shadow_out_of_its_own_mean() -> None:
    density = np.log(np.array([[1.0], [3.0], [5.0], [4.0]]))
    found = _ratios(density, 3)
    assert np.exp(found[:, 0]) == pytest.approx([1 / 4, 3 / 3, 5 / 2, 4 / 3])


def test_the_split_point_tells_members_best() -> None:
    scores = np.array([[9.0, 1.0, 5.0], [5.0, 3.0, 2.0]])
    member = np.array([[True, False, True], [False, False, True]])
    # Above 7: 1/3 - 0; above 4: 2/3 - 1/3; above 2.5: 2/3 - 2/3; above 1.5: 1 - 2/3; 5 is tied.
    assert split_point(scores, member) in {7.0, 4.0, 1.5}
    assert split_point(np.array([1.0, 2.0]), np.array([False, True])) == 1.5
    assert split_point(np.zeros(4), np.array([True, False, True, False])) == 0.0


@pytest.mark.parametrize(
    "make", [lambda: Rmia(population=0), lambda: Lira(shadows=1), lambda: Lira(rows=1)]
)
def test_parameters_out_of_range_are_refused(make) -> None:
    with pytest.raises(InvalidValueError):
        make()
