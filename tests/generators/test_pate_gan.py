"""PATE-GAN buys all votes first, its student knows their noise, its generator follows."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.teachers import VotePlan
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, UnsupportedEventError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.neural.pate_gan import PateGan
from dpsynth.generators.neural.voting import drawn_features, side_by_side, taught
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import ComposedEvent
from dpsynth.privacy.noise import ResearchNoise
from tests.generators.planted import fit, pair_error, planted_table

TABLE = planted_table()
DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 4})
LAWS = np.array([0.9, 0.1, 0.2, 0.3, 0.5, 0.25, 0.25, 0.25, 0.25])


@pytest.mark.slow
def test_all_votes_are_paid_for_before_the_first() -> None:
    _, private, seen = fit(PateGan(rounds=4, inner_steps=2), TABLE, epsilon=1.0)
    marginals, votes = private.ledger.entries
    assert isinstance(votes.event, ComposedEvent)
    assert len(votes.event.events) == 4
    plan = seen[-1].query
    assert isinstance(plan, VotePlan)
    assert plan.teachers == pytest.approx(400, abs=40)  # of 10 records each, by the noisy count
    assert 0.999 < private.ledger.epsilon_spent() <= 1.0
    assert marginals.cost == pytest.approx(0.2 * private.ledger.spent, rel=1e-6)


def test_an_accountant_without_gaussian_noise_is_refused_before_marginals_are_bought() -> None:
    budget = Budget(epsilon=1.0, delta=1e-9)
    noise = ResearchNoise(rng=np.random.default_rng(0))
    for accountant in ("pure", "pld"):
        private = PrivateData(TABLE, budget, noise=noise, accountant=accountant)
        with pytest.raises(UnsupportedEventError):
            PateGan().fit(private, rng=np.random.default_rng(0))
        assert not private.ledger.entries, accountant


@pytest.mark.slow
def test_it_learns_what_independent_columns_miss_without_collapse() -> None:
    floor, _, _ = fit(Independent(), TABLE, epsilon=8.0)
    model, _, _ = fit(PateGan(), TABLE, epsilon=8.0)
    assert pair_error(TABLE, model) < 0.6 * pair_error(TABLE, floor)
    drawn = model.sample_codes(4000, rng=np.random.default_rng(0))
    assert len(np.unique(drawn, axis=0)) > 400, "of 1440 possible rows"


def test_features_split_codes_in_halves_and_cover_all_pairs() -> None:
    features = drawn_features(LAWS, DOMAIN, 30, rng=np.random.default_rng(0))
    features.check(DOMAIN)
    assert (
        sorted({pair: features.pairs.count(pair) for pair in features.pairs}.values()) == [10] * 3
    )
    for pair, tables in zip(features.pairs, features.signs, strict=True):
        for at, table in zip(pair, tables, strict=True):
            assert set(table.tolist()) == {-1, 1}, (at, table)
    made = np.random.default_rng(1).integers(0, DOMAIN.shape, size=(50, 3))
    ones = np.concatenate([np.eye(s)[made[:, i]] for i, s in enumerate(DOMAIN.shape)], axis=1)
    left, right = side_by_side(features, DOMAIN)
    assert np.array_equal((ones @ left) * (ones @ right), features(made))


def test_a_domain_of_one_code_still_has_features() -> None:
    only = Domain(sizes={"a": 1})
    features = drawn_features(np.ones(1), only, 4, rng=np.random.default_rng(0))
    features.check(only)


def test_a_student_trusts_votes_as_far_as_their_noise_allows() -> None:
    """Votes that follow one feature: found under little noise, and hardly moved by pure noise."""
    rng = np.random.default_rng(0)
    seen = rng.choice([-1.0, 1.0], size=(2000, 20))
    clear, resolved = taught(seen, 50.0 * seen[:, 3] + rng.normal(0, 5, 2000), sigma=5.0)
    assert np.argmax(np.abs(clear)) == 3
    assert clear[3] > 0.95
    assert resolved > 0.9
    _, unresolved = taught(seen, rng.normal(0, 500, 2000), sigma=500.0)
    assert unresolved < 0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 0.0),
        ("part", 0),
        ("rounds", 0),
        ("rows", 0),
        ("features", 0),
        ("learning_rate", 0.0),
        ("inner_steps", 0),
        ("hidden", 0),
        ("latent", 0),
        ("batch", 0),
        ("temperature", float("inf")),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        PateGan(**{field: value})
