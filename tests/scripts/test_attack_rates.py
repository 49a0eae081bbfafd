"""The rates of alarms: below their level where nothing leaks, high where a tenth is copied."""

import numpy as np
import pytest
from attack_rates import chosen, copies, diluted, rates, unrelated
from scipy.stats import binom

from dpsynth.attacks.attack import Attack
from dpsynth.attacks.attribute_inference import AttributeInference
from dpsynth.attacks.candidates import CandidateAttack
from dpsynth.attacks.domias import Domias
from dpsynth.attacks.exact_copies import ExactCopies
from dpsynth.attacks.gen_lra import GenLra
from dpsynth.attacks.linear_reconstruction import LinearReconstruction
from dpsynth.attacks.mama_mia import MamaMia
from dpsynth.attacks.ranked_reconstruction import RankedReconstruction
from dpsynth.registry import ATTACKS
from tests.evaluation.laws import draw

QUICK = [
    Domias(),
    GenLra(),
    MamaMia(),
    ExactCopies(),
    AttributeInference(),
    LinearReconstruction(queries=12),
    RankedReconstruction(claims=60),
]


def test_releases_have_what_they_say() -> None:
    rng = np.random.default_rng(0)
    train, fresh = draw(200, rng=rng), draw(400, rng=rng)
    incomes = set(train.frame["income"])
    for making, rows, used in ((unrelated, 200, 0), (copies, 20, 20), (diluted, 200, 20)):
        release = making(train, fresh, rng).frame["income"]
        assert (len(release), release.isin(incomes).sum()) == (rows, used)


def test_all_attacks_are_measured() -> None:
    assert {attack.name for attack in chosen(())} == set(ATTACKS)
    assert len(chosen(())) == len(list(ATTACKS)) + 1
    assert [a.identity for a in chosen(("domias",))] == [Domias().identity]
    (more,) = chosen(("lira",), targets=40)
    assert "targets=40" in more.identity
    assert "releases=40" in more.identity


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("attack", QUICK, ids=lambda a: a.name)
def test_alarms_where_nothing_leaks_stay_below_their_level(attack: Attack) -> None:
    # 60 runs at alpha = .05, seed 1: more than 9 alarms have probability below 1e-3.
    table = draw(600, rng=np.random.default_rng(1))
    above, alarms = rates(attack, unrelated, table, 100, 60, seed=1)
    most = binom.isf(1e-3, 60, 0.05) / 60
    assert alarms <= most
    assert above <= most
    # Negative control: a release of all used records.
    _, found = rates(attack, lambda train, fresh, rng: train, table, 100, 10, seed=2)
    assert found > (0.2 if isinstance(attack, MamaMia) else 0.5)


@pytest.mark.parametrize("attack", [Domias(), GenLra()])
def test_a_planted_leak_is_found_most_of_the_time(attack: CandidateAttack) -> None:
    table = draw(4000, rng=np.random.default_rng(3))
    assert rates(attack, diluted, table, 1000, 5, seed=3)[1] >= 0.8
