"""Ties that records contradict are cut, others kept; each choice was reserved and is charged."""

from itertools import pairwise

import numpy as np
import pytest

from dpsynth.curator.best_fit import BestFitQuery
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.errors import BudgetExceededError, LedgerError
from dpsynth.generators.neural.choosing import Choices, tied
from dpsynth.generators.neural.decoder_model import DecoderModel
from dpsynth.generators.neural.perceptron import Perceptron
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.calibration import gdp_mu
from dpsynth.privacy.events import ExponentialEvent
from dpsynth.privacy.noise import ResearchNoise
from tests.tables import coded_table

N = 4000


def curated(
    codes: np.ndarray,
    sizes: tuple[int, ...],
    *,
    relation: Neighbouring = Neighbouring.ADD_REMOVE,
    epsilon: float = 3.0,
    seen: list[Observation] | None = None,
) -> PrivateData:
    return PrivateData(
        coded_table(codes, sizes),
        Budget(epsilon=epsilon, delta=1e-9, relation=relation),
        noise=ResearchNoise(rng=np.random.default_rng(1)),
        accountant="pld",
        observer=None if seen is None else seen.append,
    )


def two_tied_and_one_apart() -> np.ndarray:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, N)
    flipped = np.where(rng.random(N) < 0.05, 1 - first, first)
    return np.stack([first, flipped, rng.integers(0, 3, N)], axis=1)


def tying_all(strength: float = 3.0) -> Perceptron:
    """A decoder of two latent numbers of which one ties all three columns together."""
    weights = np.zeros((7, 2))
    weights[:, 0] = strength * np.array([-1.0, 1.0, -1.0, 1.0, -1.0, 0.0, 1.0])
    return Perceptron(weights=(weights,), biases=(np.array([1.0, 0, 1, 0, 1, 0, 0]),))


SHARES = np.concatenate([[0.5, 0.5], [0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("relation", list(Neighbouring))
def test_ties_that_records_contradict_are_cut_and_others_stay(relation: Neighbouring) -> None:
    private = curated(two_tied_and_one_apart(), (2, 2, 3), relation=relation)
    choices = Choices.of(private, 0.9)
    private.reserve(choices.plan)
    rng = np.random.default_rng(2)
    decoders = tied(private, choices, [tying_all(), tying_all(2.0)], SHARES, total=N, rng=rng)
    for decoder, strength in zip(decoders, (3.0, 2.0), strict=True):
        left = np.abs(decoder.weights[-1]).max(axis=1) / strength
        assert left[0] >= 0.8
        assert left[2] >= 0.8
        assert left[4] <= 0.4, "the third column is independent of the others"
    model = DecoderModel(schema=private.schema, total=N, decoders=decoders)
    drawn = model.sample_codes(20_000, rng=rng)
    for at, size in enumerate((2, 2, 3)):
        law = np.bincount(drawn[:, at], minlength=size) / len(drawn)
        # Standard deviations: .004 of the draws, .01 of calibration to other latent numbers.
        assert np.abs(law - 1 / size).max() < 0.05, "columns keep their laws"


@pytest.mark.parametrize("share", [0.03, 0.5])
def test_choices_are_worth_their_share_and_fit_the_budget(share: float) -> None:
    private = curated(two_tied_and_one_apart(), (2, 2, 3))
    choices = Choices.of(private, share)
    mu = gdp_mu(3.0, 1e-9)
    assert 3 * (choices.epsilon / 2) ** 2 == pytest.approx(share * mu**2)
    private.reserve(choices.plan)
    spent = private.ledger.accountant.epsilon([event for _, event in choices.plan])
    assert spent < 3.0
    twice = Choices(epsilon=50.0, asked=choices.asked)
    with pytest.raises(BudgetExceededError):
        curated(two_tied_and_one_apart(), (2, 2, 3)).reserve(twice.plan)


def test_each_column_is_chosen_for_once_as_reserved_and_sees_the_choices_before() -> None:
    seen: list[Observation] = []
    private = curated(two_tied_and_one_apart(), (2, 2, 3), seen=seen)
    choices = Choices.of(private, 0.1)
    rng = np.random.default_rng(2)
    with pytest.raises(LedgerError):
        tied(private, choices, [tying_all()], SHARES, total=N, rng=rng)
    assert not seen
    private.reserve(choices.plan)
    tied(private, choices, [tying_all()], SHARES, total=N, rng=rng)
    assert [o.event for o in seen] == [ExponentialEvent(epsilon=choices.epsilon)] * 3
    queries = [o.query for o in seen]
    assert all(isinstance(q, BestFitQuery) and len(q.candidates) == 6 for q in queries)
    pairs = [q.cliques for q in queries if isinstance(q, BestFitQuery)]
    assert pairs == [
        (("c0", "c1"), ("c0", "c2")),
        (("c1", "c0"), ("c1", "c2")),
        (("c2", "c0"), ("c2", "c1")),
    ]
    for query in queries:
        assert isinstance(query, BestFitQuery)
        for candidate in query.candidates:
            assert [p.sum() for p in candidate] == pytest.approx([N, N])
        for one, other in pairwise(query.candidates):
            assert not np.allclose(one[0], other[0]), "candidates differ"


def test_a_plan_knows_the_number_of_columns_and_not_their_codes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = np.zeros((50, 3), dtype=int)
    private = curated(codes, (1, 2, 3))
    choices = Choices.of(private, 0.1)
    assert choices.asked == {"c0": (("c0",),), "c1": (("c1", "c2"),), "c2": (("c2", "c1"),)}
    private.reserve(choices.plan)
    decoder = Perceptron(weights=(np.ones((6, 1)),), biases=(np.zeros(6),))
    shares = np.array([1.0, 0.9, 0.1, 0.8, 0.1, 0.1])
    rng = np.random.default_rng(0)
    assert len(tied(private, choices, [decoder], shares, total=50.0, rng=rng)) == 1
    monkeypatch.setattr("dpsynth.generators.neural.choosing._MOST_CELLS", 9)
    wide = Choices.of(curated(codes, (2, 4, 5)), 0.1)
    assert wide.asked == {"c0": (("c0", "c1"),), "c1": (("c1", "c0"),), "c2": (("c2",),)}
    assert wide.plan == choices.plan


def test_rows_are_of_any_decoder_and_all_are_kept() -> None:
    ones = [
        Perceptron(weights=(np.zeros((5, 1)),), biases=(np.array([of, -of, of, -of, -50.0]),))
        for of in (50.0, -50.0, -50.0)
    ]
    schema = curated(np.zeros((9, 2), dtype=int), (2, 3)).schema
    model = DecoderModel(schema=schema, total=9.0, decoders=tuple(ones))
    drawn = model.sample_codes(9000, rng=np.random.default_rng(0))
    assert (drawn[:, 0] == drawn[:, 1]).all(), "both columns of a row are of one decoder"
    # A third of 9,000: 5 standard deviations are 224.
    assert abs((drawn[:, 0] == 0).sum() - 3000) < 224
    again = DecoderModel.from_arrays(schema, model.arrays())
    assert len(again.decoders) == 3
    assert np.array_equal(drawn, again.sample_codes(9000, rng=np.random.default_rng(0)))
