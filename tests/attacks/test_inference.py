"""Inference, reconstruction and copies: what is found in a copy, and what counts as right."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.attacks.attack import Attack, AttackTarget
from dpsynth.attacks.attribute_inference import AttributeInference
from dpsynth.attacks.dealing import permutation_p_value
from dpsynth.attacks.exact_copies import ExactCopies
from dpsynth.attacks.linear_reconstruction import LinearReconstruction, even_bit
from dpsynth.attacks.ranked_reconstruction import RankedReconstruction
from dpsynth.attacks.records import record_keys
from dpsynth.attacks.secrets import draw_people
from dpsynth.data.columns import Column
from dpsynth.data.schema import CategoricalColumn, FloatColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError, UnknownNameError
from tests.attacks.releases import copier, stranger, target_of
from tests.evaluation.laws import replace


@pytest.mark.parametrize(
    "attack", [AttributeInference(secrets=("ill",)), LinearReconstruction(secrets=("ill",))]
)
def test_a_secret_that_nothing_depends_on_is_found_in_a_copy_alone(attack: Attack) -> None:
    rng = np.random.default_rng(0)
    whole = target_of(stranger, 600, rng=rng)

    def tossed(table: Table) -> Table:
        return replace(table, ill=np.where(rng.random(600) < 0.5, "yes", "no"))

    train, control, other = (tossed(t) for t in (whole.train, whole.control, whole.synthetic))
    copied = attack.run(AttackTarget(train=train, control=control, synthetic=train), rng=rng)
    assert copied.rate.value > 0.85
    assert copied.control.value == pytest.approx(0.5, abs=0.1)
    assert copied.risk.lower > 0.6
    blind = attack.run(AttackTarget(train=train, control=control, synthetic=other), rng=rng)
    # 600 tosses: five standard errors.
    assert blind.rate.value == pytest.approx(0.5, abs=0.1)
    assert blind.p_value > 0.001


def test_the_guess_without_a_release_is_the_commonest_value() -> None:
    rng = np.random.default_rng(1)
    target = target_of(stranger, 400, rng=rng)
    for column, least in (("work", 0.2), ("visits", 0.2)):
        found = AttributeInference(secrets=(column,)).run(target, rng=rng)
        counts = target.train.frame[column].value_counts(normalize=True)
        assert least < found.baseline.value <= counts.max() + 0.05


def test_numbers_are_right_up_to_the_tolerance_of_ranks() -> None:
    column: Column = FloatColumn(name="x", lower=0.0, upper=1.0, missing=True)
    attack = AttributeInference(tolerance=0.1)
    everybody = np.concatenate([np.linspace(0, 1, 101), [np.nan]])
    guess = np.array([0.5, 0.5, np.nan, np.nan, 0.2])
    truth = np.array([0.55, 0.65, np.nan, 0.3, np.nan])
    right = attack._close(column, guess, truth, everybody=everybody)
    assert right.tolist() == [True, False, True, False, False]
    # Zero and one of a column that has nothing else are far apart, however near their ranks are.
    coarse = attack._close(
        column, np.array([0.0]), np.array([1.0]), everybody=np.array([0.0] * 5 + [1.0] * 5)
    )
    assert not coarse.any()


def test_people_are_asked_in_turn_and_half_of_them_were_used() -> None:
    rng = np.random.default_rng(2)
    target = target_of(copier, 60, rng=rng)
    people = draw_people(target, 48, None, rng=rng)
    assert people.used.sum() == 48
    assert np.bincount(people.secret).tolist() == [16] * 6
    with pytest.raises(UnknownNameError, match="incme"):
        draw_people(target, 48, ("incme",), rng=rng)
    with pytest.raises(InvalidValueError, match="secrets"):
        draw_people(target, 48, (), rng=rng)


def test_bits_are_as_even_as_can_be() -> None:
    number = FloatColumn(name="x", lower=0.0, upper=1.0, bins=4)
    assert even_bit(number, np.array([0, 1, 2, 3])).tolist() == [False, False, True, True]
    category = CategoricalColumn(name="a", categories=("x", "y", "z"))
    assert even_bit(category, np.array([2, 2, 2, 1, 0])).tolist() == [False, False, True]


def test_copies_are_equal_in_every_value() -> None:
    rng = np.random.default_rng(3)
    target = target_of(copier, 200, rng=rng)
    near = replace(target.train, income=np.nextafter(target.train.frame["income"], 0.5))
    for release, rate in ((target.train, 1.0), (near, 0.0)):
        found = ExactCopies().run(
            AttackTarget(train=target.train, control=target.control, synthetic=release), rng=rng
        )
        assert (found.rate.value, found.control.value) == (rate, 0.0)
        assert found.baseline.value == 0.0


def test_keys_are_equal_where_values_are() -> None:
    odd = np.array([0x7FF8000000000001, 0x7FF8000000000000], dtype=np.uint64).view(np.float64)
    keys = record_keys(np.array([[0.0, odd[0]], [-0.0, odd[1]], [0.0, 1.0]]))
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


def test_reconstruction_claims_the_most_frequent_first() -> None:
    schema = Schema(columns=(CategoricalColumn(name="a", categories=tuple("vwxyz")),))

    def table(text: str) -> Table:
        return Table.from_frame(schema, pd.DataFrame({"a": list(text)}))

    target = AttackTarget(train=table("vvx"), control=table("zzz"), synthetic=table("vvvzzx"))
    rng = np.random.default_rng(4)
    first, two, all_three = (RankedReconstruction(claims=n).run(target, rng=rng) for n in (1, 2, 3))
    assert (first.successes, first.control_successes, first.trials) == (1, 0, 1)
    assert (two.successes, two.control_successes, two.trials) == (1, 1, 2)
    assert (all_three.successes, all_three.control_successes) == (2, 1)
    rare = AttackTarget(train=table("vvv"), control=table("xxx"), synthetic=table("vvvzzx"))
    first = RankedReconstruction(claims=1).run(rare, rng=rng)
    assert (first.successes, first.control_successes) == (1, 0)
    # Guesses come from the control and are held against who was used.
    assert (first.baseline_successes, first.baseline_trials) == (0, 1)


def test_any_match_is_a_success_for_reconstruction() -> None:
    rng = np.random.default_rng(5)
    # Each of four claims matches two used records: an excess of 4 in few deals of C(16, 8).
    matched = np.hstack([np.repeat(np.eye(4, dtype=bool), 2, axis=1), np.zeros((4, 8), dtype=bool)])
    assert permutation_p_value(matched, 4, success="any", rng=rng) <= 0.002
    # None of them matches exactly one.
    assert permutation_p_value(matched, 0, success="one", rng=rng) > 0.3


@pytest.mark.parametrize(
    "make",
    [
        lambda: AttributeInference(targets=0),
        lambda: AttributeInference(tolerance=1.0),
        lambda: LinearReconstruction(queries=0),
        lambda: RankedReconstruction(claims=0),
        lambda: ExactCopies(records=0),
    ],
)
def test_parameters_out_of_range_are_refused(make) -> None:
    with pytest.raises(InvalidValueError):
        make()
