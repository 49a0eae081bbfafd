"""Membership from one release: what scores see, what they find, and what knowing marginals adds."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from dpsynth.attacks.attack import AttackTarget
from dpsynth.attacks.candidates import CandidateAttack
from dpsynth.attacks.cells import salted
from dpsynth.attacks.curve import low_rates
from dpsynth.attacks.density import Kernel
from dpsynth.attacks.domias import Domias
from dpsynth.attacks.gen_lra import GenLra
from dpsynth.attacks.mama_mia import MamaMia
from dpsynth.attacks.records import plain_records, record_keys
from dpsynth.attacks.secrets import dealt
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError, UnknownNameError
from tests.attacks.releases import copier, stranger, target_of
from tests.evaluation.laws import SCHEMA, draw


@pytest.mark.parametrize("attack", [Domias(), GenLra()])
def test_a_tenth_copied_among_others_is_found(attack: CandidateAttack) -> None:
    rng = np.random.default_rng(0)
    whole = target_of(stranger, 2000, rng=rng)
    first = np.arange(2000) < 200
    release = dealt(whole.train.take(np.arange(200)), whole.synthetic.take(np.arange(1800)), first)
    target = AttackTarget(train=whole.train, control=whole.control, synthetic=release)
    found = attack.run(target, rng=rng)
    assert found.p_value < 1e-4
    assert found.rate.value > found.control.value
    # Half of the control decides nothing: it is what the attacker compares with.
    assert found.trials == found.control_trials == 1000
    assert found.measures["auc_lower"] > 0.5


@pytest.mark.parametrize(
    ("attack", "by_hand"),
    [(Domias(), [-np.log(10), 0.0]), (GenLra(), [np.log(1 + 1 / 10), np.log(1 + 1)])],
)
def test_what_is_common_in_the_population_speaks_less_for_a_member(
    attack: CandidateAttack, by_hand: list[float]
) -> None:
    schema = Schema(columns=(CategoricalColumn(name="a", categories=("x", "y")),))
    once, tenfold = (
        Table.from_frame(schema, pd.DataFrame({"a": list(text)})) for text in ("xy", "x" * 10 + "y")
    )
    found = attack.scores(once, once, tenfold, rng=np.random.default_rng(8))
    assert found == pytest.approx(by_hand)


@dataclass(frozen=True, kw_only=True)
class Onlooker(CandidateAttack):
    """Keeps what it is shown, and has no opinion."""

    name: ClassVar[str] = "onlooker"
    reference: ClassVar[str] = "none"
    shown: list[Table]

    def scores(
        self, candidates: Table, release: Table, reference: Table, *, rng: np.random.Generator
    ) -> np.ndarray:
        self.shown.extend([candidates, release, reference])
        return rng.random(len(candidates))


def test_no_candidate_is_in_the_reference_and_guesses_are_as_many_as_claims() -> None:
    rng = np.random.default_rng(7)
    attack = Onlooker(shown=[])
    found = attack.run(target_of(stranger, 2000, rng=rng), rng=rng)
    candidates, release, reference = (record_keys(plain_records(t)) for t in attack.shown)
    assert (len(candidates), len(release), len(reference)) == (2000, 2000, 1000)
    assert not np.isin(reference, candidates).any()
    assert found.successes + found.control_successes == 200
    # 1000 tosses of chance 0.1: five standard errors.
    assert found.baseline.value == pytest.approx(0.1, abs=0.05)


def test_marginals_that_were_measured_find_more_than_those_that_were_not() -> None:
    rng = np.random.default_rng(1)
    whole = target_of(stranger, 1200, rng=rng)
    codec = Codec(schema=SCHEMA)
    codes = codec.encode(whole.train)
    # Three columns together as they were, the other three of other records.
    codes = codes.copy()
    codes[:, :3] = codec.encode(whole.synthetic)[:, :3]
    release = codec.decode(codes, rng=rng)
    target = AttackTarget(train=whole.train, control=whole.control, synthetic=release)
    kept, lost = (
        MamaMia(marginals=(names,)).run(target, rng=np.random.default_rng(2)).measures["auc"]
        for names in (SCHEMA.names[3:], SCHEMA.names[:3])
    )
    assert kept > 0.55
    assert kept > lost + 0.03


def test_marginals_out_of_the_schema_are_named() -> None:
    rng = np.random.default_rng(3)
    target = target_of(copier, 40, rng=rng)
    with pytest.raises(UnknownNameError, match="incme"):
        MamaMia(marginals=(("incme",),)).run(target, rng=rng)
    with pytest.raises(InvalidValueError, match="marginals"):
        MamaMia(marginals=((),)).run(target, rng=rng)
    for make in (lambda: Domias(claims=1.0), lambda: GenLra(neighbours=0), lambda: MamaMia(sets=0)):
        with pytest.raises(InvalidValueError):
            make()


def test_a_control_of_one_record_leaves_nothing_to_try() -> None:
    rng = np.random.default_rng(4)
    found = Domias().run(target_of(copier, 20, control=1, rng=rng), rng=rng)
    assert (found.trials, found.p_value) == (0, 1.0)


def test_the_kernel_by_hand() -> None:
    columns = (
        CategoricalColumn(name="a", categories=("x", "y")),
        FloatColumn(name="b", lower=0.0, upper=100.0),
    )
    reference = np.array([[0, 1.0], [0, 2.0], [1, 3.0], [1, 90.0]])
    kernel = Kernel.of(columns, reference)
    points = kernel.place(np.array([[0, 1.5], [1, 3.0]]))
    # Ranks of 1, 2, 3 and 90 are 1/8, 3/8, 5/8 and 7/8, whatever their sizes; 1.5 has 1/4.
    assert points[:, 1] == pytest.approx([0.25, 0.625])
    # A tenth of the distance from the nearest reference record, and never quite nothing.
    widths = kernel.widths(points)
    assert widths == pytest.approx([0.0125, 0.001])
    found = kernel.log_sum(points, kernel.reference, widths=np.array([1.0, 1.0]))
    by_hand = [
        np.log(sum(np.exp(-d) for d in (0.125, 0.125, 1.375, 1.625))),
        np.log(sum(np.exp(-d) for d in (1.5, 1.25, 0.0, 0.25))),
    ]
    assert found == pytest.approx(by_hand, rel=1e-5)


def test_dealing_keeps_records_and_puts_them_where_it_says() -> None:
    rng = np.random.default_rng(5)
    used, unused = draw(5, rng=rng), draw(7, rng=rng)
    places = np.zeros(12, dtype=np.bool_)
    places[[1, 4, 5, 9, 11]] = True
    both = plain_records(dealt(used, unused, places))
    assert np.array_equal(both[places], plain_records(used), equal_nan=True)
    assert np.array_equal(both[~places], plain_records(unused), equal_nan=True)


def test_salted_codes_tell_cells_apart() -> None:
    rng = np.random.default_rng(6)
    codes = rng.integers(4, size=(300, 5)).astype(np.uint8)
    (keys,) = salted([codes], rng=rng)
    for columns in ([0], [1, 3], [0, 1, 2, 3, 4]):
        cells = np.unique(codes[:, columns], axis=0, return_inverse=True)[1].ravel()
        found = np.unique(keys[:, columns].sum(axis=1), return_inverse=True)[1]
        assert len({*zip(cells.tolist(), found.tolist(), strict=True)}) == cells.max() + 1
        assert found.max() == cells.max()


def test_rates_at_few_false_alarms_by_hand() -> None:
    calibration = np.arange(101.0)
    found = low_rates(
        calibration, np.array([99.5, 50.0]), np.array([98.0, 100.0, 1.0]), false_positive_rate=0.01
    )
    assert found["tpr_at_low_fpr"] == 0.5
    assert found["low_fpr"] == pytest.approx(1 / 3)
    assert found["tpr_at_low_fpr_lower"] < 0.5 < found["tpr_at_low_fpr_upper"]
    assert low_rates(calibration[:0], calibration, calibration, false_positive_rate=0.1) == {}
