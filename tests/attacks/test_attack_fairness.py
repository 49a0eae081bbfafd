"""What attacks are held against: an unfair comparison gives another answer in each case here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from dpsynth.attacks.attack import AttackTarget
from dpsynth.attacks.attribute_inference import AttributeInference
from dpsynth.attacks.candidates import CandidateAttack
from dpsynth.attacks.curve import low_rates
from dpsynth.attacks.density import release_densities
from dpsynth.attacks.mama_mia import MamaMia
from dpsynth.attacks.ranked_reconstruction import RankedReconstruction
from dpsynth.attacks.records import plain_records, record_keys
from dpsynth.attacks.secrets import draw_people
from dpsynth.attacks.shadows import ShadowAttack
from dpsynth.data.schema import CategoricalColumn, Schema
from dpsynth.data.table import Table
from tests.attacks.releases import copier, stranger, target_of


def table(*columns: str) -> Table:
    """Return a table with a letter a value."""
    names = tuple("abc"[: len(columns)])
    letters = CategoricalColumn(name="a", categories=tuple("vwxyz"))
    return Table.from_frame(
        Schema(
            columns=tuple(CategoricalColumn(name=n, categories=letters.categories) for n in names)
        ),
        pd.DataFrame(dict(zip(names, map(list, columns), strict=True))),
    )


def test_the_baseline_of_reconstruction_knows_columns_and_not_records() -> None:
    pairs = table("vx" * 40, "vx" * 40)
    target = AttackTarget(train=pairs, control=pairs, synthetic=pairs)
    found = RankedReconstruction().run(target, rng=np.random.default_rng(0))
    # Of all four combinations two occur: who knew the records would guess these alone.
    assert (found.baseline_successes, found.baseline_trials) == (2, 4)


def test_one_claim_that_meets_two_records_alarms_nobody() -> None:
    target = AttackTarget(
        train=table("vv" + "x" * 30), control=table("y" * 32), synthetic=table("vvv")
    )
    found = RankedReconstruction().run(target, rng=np.random.default_rng(1))
    assert (found.successes, found.control_successes) == (1, 0)
    # Both records are dealt to one half in every second deal, and to the used half in every fourth.
    assert 0.1 < found.p_value < 0.6


def test_a_cell_that_is_full_in_the_population_speaks_for_nobody() -> None:
    asked, release, others = table("vw"), table("vvvvvw"), table("v" * 10 + "w")
    found = MamaMia().scores(asked, release, others, rng=np.random.default_rng(2))
    # Shares of the release over those of the others, to each cell of which one record is added.
    assert found == pytest.approx([(5 / 6) / (11 / 12), (1 / 6) / (2 / 12)])


def test_the_baseline_of_inference_is_what_is_common_among_the_unused() -> None:
    used, unused = table("v" * 20, "xy" * 10), table("w" * 20, "xy" * 10)
    target = AttackTarget(train=used, control=unused, synthetic=used)
    found = AttributeInference(secrets=("a",)).run(target, rng=np.random.default_rng(3))
    assert found.baseline.value == 0.0
    swapped = AttackTarget(train=used, control=used, synthetic=unused)
    found = AttributeInference(secrets=("a",)).run(swapped, rng=np.random.default_rng(3))
    assert found.baseline.value == 1.0


def test_a_release_said_twice_is_as_dense_as_said_once() -> None:
    rng = np.random.default_rng(4)
    whole = target_of(stranger, 40, rng=rng)
    release = whole.synthetic
    once, twice = release_densities(
        (release, release.take(np.tile(np.arange(40), 2))), whole.train, population=whole.control
    )
    assert twice == pytest.approx(once, abs=1e-4)


def test_what_ties_with_the_threshold_is_not_above_it() -> None:
    ties = np.zeros(50)
    found = low_rates(ties, ties, ties, false_positive_rate=0.05)
    assert (found["tpr_at_low_fpr"], found["low_fpr"]) == (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Knowing(CandidateAttack):
    """Ranks members first, and the others by their place, the last ones nearly as high."""

    name: ClassVar[str] = "knowing"
    reference: ClassVar[str] = "none"
    members: frozenset[str]

    def scores(
        self, candidates: Table, release: Table, reference: Table, *, rng: np.random.Generator
    ) -> np.ndarray:
        member = np.isin(keys(candidates), list(self.members))
        return np.where(member, 1.0, 0.0) + 0.5 * np.arange(len(member)) / len(member)


def keys(of: Table) -> np.ndarray:
    return np.array([str(key) for key in record_keys(plain_records(of))])


def test_the_low_threshold_is_of_unused_candidates_by_which_nothing_is_judged() -> None:
    target = target_of(stranger, 400, rng=np.random.default_rng(5))
    attack = Knowing(members=frozenset(keys(target.train)))
    found = attack.run(target, rng=np.random.default_rng(6)).measures
    # The first half of the unused sets it: every member is above, and so is all of the other half.
    assert found["tpr_at_low_fpr"] == 1.0
    assert found["low_fpr"] == pytest.approx(1.0, abs=0.05)


@dataclass(frozen=True, kw_only=True)
class Certain(ShadowAttack):
    """Is surer of members of shadows than of anybody in the releases attacked."""

    name: ClassVar[str] = "certain"
    reference: ClassVar[str] = "none"

    def scores(
        self,
        releases: Sequence[Table],
        member: np.ndarray,
        targets: Table,
        *,
        known: Table,
        population: Table,
        rng: np.random.Generator,
    ) -> np.ndarray:
        scores = np.full((len(releases), len(targets)), 5.0)
        scores[: len(member)] = np.where(member, 10.0, 0.0)
        return scores


def test_the_low_threshold_of_shadow_attacks_is_of_targets_that_shadows_did_not_use() -> None:
    target = target_of(copier, 60, rng=np.random.default_rng(7))
    found = Certain(rows=40).run(target, rng=np.random.default_rng(8)).measures
    assert (found["tpr_at_low_fpr"], found["low_fpr"]) == (1.0, 1.0)


@pytest.mark.statistical
def test_who_was_used_and_what_is_asked_is_dealt_to_every_place() -> None:
    """300 deals of 8 people and 2 secrets: each place is used, and asked the first secret, in 150
    of them; five deviations are 44. Negative control: people in order would give 300 and 0."""
    target = target_of(copier, 30, rng=np.random.default_rng(9))
    known = set(keys(target.train))
    used, first = np.zeros(8), np.zeros(8)
    for rng in np.random.default_rng(10).spawn(300):
        people = draw_people(target, 4, ("ill", "work"), rng=rng)
        assert [key in known for key in keys(people.table)] == people.used.tolist()
        used += people.used
        first += people.secret == people.secret.min()
    assert np.abs(used - 150).max() < 44
    assert np.abs(first - 150).max() < 44
