"""Singling out and linkability: they find a copy, and raise no false alarms."""

import numpy as np
import pytest
from scipy.stats import binom

from dpsynth.attacks.attack import Attack, AttackTarget, fisher_p_value
from dpsynth.attacks.dealing import PERMUTATIONS, permutation_p_value
from dpsynth.attacks.linkability import Linkability
from dpsynth.attacks.predicates import MISSING, Predicate
from dpsynth.attacks.records import distances, plain_records
from dpsynth.attacks.singling_out import SinglingOut, univariate
from dpsynth.data.schema import CategoricalColumn, FloatColumn
from dpsynth.errors import InvalidValueError, UnknownNameError
from tests.attacks.releases import copier, stranger, target_of
from tests.evaluation.laws import SCHEMA, draw

ATTACKS = [
    pytest.param(SinglingOut(predicates=100), id="multivariate"),
    pytest.param(SinglingOut(predicates=100, columns=1), id="univariate"),
    pytest.param(Linkability(targets=200), id="linkability"),
    pytest.param(Linkability(targets=200, neighbours=3), id="three neighbours"),
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_copy_is_found(attack: Attack) -> None:
    rng = np.random.default_rng(0)
    found = attack.run(target_of(copier, 400, rng=rng), rng=rng)
    assert found.alarm
    assert found.risk.lower > 0.05
    assert found.rate.lower > found.baseline.upper


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("attack", ATTACKS)
def test_false_alarms_on_a_release_that_leaks_nothing_stay_below_alpha(attack: Attack) -> None:
    # 60 runs at alpha = .05: more than 9 alarms have probability below 1e-3. The control set is
    # four times as small as the training table: samples of equal size are the attack's business.
    rng = np.random.default_rng(1)
    targets = [target_of(stranger, 400, control=100, rng=rng) for _ in range(60)]
    alarms = sum(attack.run(t, rng=rng).alarm for t in targets)
    assert alarms <= binom.isf(1e-3, 60, 0.05) == 9
    # Negative control: releases that hold a third of the training records raise alarms.
    leaky = [
        AttackTarget(train=t.train, control=t.control, synthetic=t.train.take(np.arange(133)))
        for t in targets[:20]
    ]
    assert sum(attack.run(t, rng=rng).alarm for t in leaky) > binom.isf(1e-3, 20, 0.05)


def test_distances_by_hand() -> None:
    columns = (
        CategoricalColumn(name="a", categories=("x", "y")),
        FloatColumn(name="b", lower=0.0, upper=10.0, missing=True),
    )
    records = np.array([[0, 5.0], [1, np.nan]])
    found = np.concatenate(list(distances(columns, records, records[::-1])))
    assert found == pytest.approx(np.array([[2.0, 0.0], [0.0, 2.0]]))
    near = np.concatenate(list(distances(columns, records, np.array([[0, 7.5]]))))
    assert near == pytest.approx(np.array([[0.25], [2.0]]))


def test_predicates_match_what_they_say() -> None:
    rng = np.random.default_rng(2)
    records = plain_records(draw(200, rng=rng))
    both = Predicate(terms=((3, "at least", 4.0), (4, "at most", 0.5)))
    assert np.array_equal(both.matches(records), (records[:, 3] >= 4) & (records[:, 4] <= 0.5))
    missing = Predicate(terms=((2, "equal", MISSING),))
    assert missing == Predicate(terms=((2, "equal", MISSING),))
    assert np.array_equal(missing.matches(records), np.isnan(records[:, 2]))


def test_univariate_predicates_each_match_one_record() -> None:
    rng = np.random.default_rng(3)
    records = plain_records(draw(60, rng=rng))
    found = univariate(SCHEMA.columns, records)
    assert len(found) > 100
    assert all(p.matches(records).sum() == 1 for p in found)


@pytest.mark.statistical
def test_overlapping_predicates_raise_no_false_alarms() -> None:
    # 300 runs at alpha = .05: more than 28 alarms have probability below 1e-3.
    rng = np.random.default_rng(6)
    alarms = naive = 0
    for _ in range(300):
        # Half-spaces beyond the farthest of 40 released points, in 200 directions of the plane:
        # many of them isolate one point.
        directions = rng.normal(size=(200, 2))
        released, both = rng.normal(size=(40, 2)), rng.normal(size=(80, 2))
        matched = directions @ both.T >= (directions @ released.T).max(axis=1)[:, None]
        hits, control = ((part.sum(axis=1) == 1).sum() for part in np.hsplit(matched, 2))
        alarms += permutation_p_value(matched, int(hits - control), success="one", rng=rng) <= 0.05
        naive += fisher_p_value(int(hits), 200, int(control), 200) <= 0.05
    assert alarms <= binom.isf(1e-3, 300, 0.05) == 28
    # Negative control: the test that takes predicates for independent trials.
    assert naive > 60


def test_a_copy_is_found_beside_a_larger_control() -> None:
    rng = np.random.default_rng(7)
    found = SinglingOut(predicates=100).run(target_of(copier, 200, control=800, rng=rng), rng=rng)
    assert found.alarm
    # Every predicate isolates a record of the whole training table, which is the sample here.
    assert found.rate.value == 1.0


def test_permutation_p_value_is_exact_on_a_small_case() -> None:
    rng = np.random.default_rng(4)
    # Each of four predicates matches one record of its own, all among the four used ones: the
    # excess is 4 in one deal of C(8, 4) = 70.
    matched = np.hstack([np.eye(4, dtype=bool), np.zeros((4, 4), dtype=bool)])
    assert 0.002 <= permutation_p_value(matched, 4, success="one", rng=rng) <= 0.04
    assert permutation_p_value(matched, -4, success="one", rng=rng) == 1.0
    assert permutation_p_value(matched[:0], 0, success="one", rng=rng) == 1.0
    # Two matches are one success on either side, or none at all: an excess of 1 never occurs.
    pair = np.zeros((1, 8), dtype=bool)
    pair[0, [0, 4]] = True
    assert permutation_p_value(pair, 1, success="one", rng=rng) == 1 / (1 + PERMUTATIONS)


def test_parameters_outside_their_rules_are_refused() -> None:
    rng = np.random.default_rng(5)
    target = target_of(copier, 20, rng=rng)
    for make in (
        lambda: SinglingOut(predicates=0),
        lambda: SinglingOut(columns=0),
        lambda: Linkability(targets=0),
        lambda: Linkability(known=SCHEMA.names).run(target, rng=rng),
    ):
        with pytest.raises(InvalidValueError):
            make()
    with pytest.raises(UnknownNameError, match="incme"):
        Linkability(known=("incme",)).run(target, rng=rng)
