"""Controls that are none: too few records, or records that were used."""

import numpy as np
import pytest

from dpsynth.attacks.attack import fisher_p_value
from dpsynth.attacks.holdout import check_control, smallest_control
from dpsynth.attacks.secrets import dealt
from dpsynth.data.table import Table
from dpsynth.errors import OverlapError, SmallControlError
from tests.evaluation.laws import draw, replace


def test_the_smallest_control_is_where_a_tenth_is_an_alarm() -> None:
    for attacks in (1, 11):
        size = smallest_control(attacks) // 2
        assert fisher_p_value(-(-size // 10), size, 0, size) <= 0.05 / attacks
        assert fisher_p_value(-(-(size - 1) // 10), size - 1, 0, size - 1) > 0.05 / attacks


def test_a_small_control_is_refused_with_the_number_needed() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SmallControlError, match="has 81 records, but 82 are needed"):
        check_control(draw(300, rng=rng), draw(81, rng=rng), attacks=1)
    assert check_control(draw(300, rng=rng), draw(82, rng=rng), attacks=1) == 0


def test_used_records_in_the_control_are_counted() -> None:
    rng = np.random.default_rng(1)
    train, control = draw(400, rng=rng), draw(200, rng=rng)
    mixed = dealt(control, train.take(np.arange(25)), np.arange(225) < 200)
    with pytest.raises(OverlapError, match="25 of the 225 control records"):
        check_control(train, mixed, attacks=1)
    with pytest.raises(OverlapError, match="400 of the 400"):
        check_control(train, train, attacks=1)


def test_records_that_coincide_are_no_overlap() -> None:
    # Two columns of six cells: every control record equals many training records.
    def coarse(rows: int) -> Table:
        table = draw(rows, rng=rng)
        return replace(table, work="a", visits=1, income=0.5, spend=1.0)

    rng = np.random.default_rng(2)
    assert check_control(coarse(300), coarse(200), attacks=1) == 200


@pytest.mark.statistical
def test_false_refusals_are_rare() -> None:
    # Records of which a third coincide, 300 checks at level 1e-6: one refusal has p below 3e-4.
    rng = np.random.default_rng(3)
    codes = rng.integers(2000, size=1500)
    table = replace(draw(1500, rng=rng), work="a", region="west", ill="no", visits=1, income=0.5)
    whole = replace(table, spend=codes / 1000)
    shared = 0
    for _ in range(300):
        order = rng.permutation(1500)
        shared += check_control(whole.take(order[:750]), whole.take(order[750:]), attacks=1)
    assert shared > 300 * 100
