"""Teachers vote: one record moves one teacher, each round is paid for, its noise is as charged."""

import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.audit.transcript import Recorder, VoteStep
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.teachers import SignFeatures, VotePlan, exact_votes, partition
from dpsynth.errors import (
    BudgetExceededError,
    InvalidValueError,
    LedgerError,
    UnsupportedEventError,
)
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.calibration import gdp_mu
from dpsynth.privacy.events import ComposedEvent, GaussianEvent, NoiseLaw
from dpsynth.privacy.noise import NoiseSource, ReleaseNoise, ResearchNoise
from tests.tables import coded_table

SIZES = (2, 3, 4)
PLAN = VotePlan(teachers=7, rounds=3, rows=20)
RELATIONS = tuple(Neighbouring)


def rows_of(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, SIZES, size=(n, len(SIZES)))


def signs(count: int = 12, seed: int = 0) -> SignFeatures:
    rng = np.random.default_rng(seed)
    pairs = tuple((int(a), int(b)) for a, b in rng.integers(0, len(SIZES), size=(count, 2)))

    def table(at: int) -> NDArray[np.int8]:
        return rng.choice(np.array([-1, 1], dtype=np.int8), SIZES[at])

    return SignFeatures(pairs=pairs, signs=tuple((table(a), table(b)) for a, b in pairs))


def door(
    *,
    accountant: str = "gdp",
    epsilon: float = 1.0,
    relation: Neighbouring = Neighbouring.ADD_REMOVE,
    noise: NoiseSource | None = None,
    observer: Any = None,
    n: int = 60,
) -> PrivateData:
    return PrivateData(
        coded_table(rows_of(n, 1), SIZES),
        Budget(epsilon=epsilon, delta=1e-9, relation=relation),
        noise=noise or ResearchNoise(rng=np.random.default_rng(3)),
        accountant=accountant,
        observer=observer,
    )


def neighbours(
    codes: NDArray[np.int64], teacher: NDArray[np.intp], relation: Neighbouring
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.intp]]]:
    """Yield every table with one row less or changed to any other, and its coupled partition."""
    for at in range(len(codes)):
        if relation is Neighbouring.ADD_REMOVE:
            yield np.delete(codes, at, axis=0), np.delete(teacher, at)
            continue
        for record in np.ndindex(*SIZES):
            changed = codes.copy()
            changed[at] = record
            yield changed, teacher


@pytest.mark.parametrize("relation", RELATIONS)
def test_no_neighbour_moves_a_vote_by_more_than_one(relation: Neighbouring) -> None:
    """Every neighbour of tables whose parts hold 0 to 5 records, coupled as the proof says."""
    largest, moved = 0, 0.0
    budget = Budget(epsilon=1.0, delta=1e-9, relation=relation)
    for seed in range(6):
        codes, made, features = rows_of(12, seed), rows_of(20, 50 + seed), signs(seed=seed)
        teacher = partition(len(codes), 5, ResearchNoise(rng=np.random.default_rng(seed)))
        votes = exact_votes(codes, teacher, 5, made, features)
        for other, others in neighbours(codes, teacher, relation):
            shift = exact_votes(other, others, 5, made, features) - votes
            largest = max(largest, int(np.abs(shift).max()))
            moved = max(moved, float(np.linalg.norm(shift)))
    assert largest == 1  # attained, and never more
    assert 1.0 < moved <= VotePlan(teachers=5, rounds=1, rows=20).sensitivity(budget)


def test_the_bound_on_a_round_is_attained() -> None:
    # A teacher's only record leaves, and with it the teacher's vote on each row but its opposites.
    codes = np.zeros((1, 3), dtype=np.int64)
    made = np.array([[0, 0, 0]] * 9 + [[1, 0, 0]])
    ones = tuple(np.ones(size, dtype=np.int8) for size in SIZES)
    first = np.array([1, -1], dtype=np.int8)
    features = SignFeatures(pairs=((0, 1),), signs=((first, ones[1]),))
    votes = exact_votes(codes, np.array([0]), 1, made, features)
    assert votes.tolist() == [1] * 9 + [0]
    none = exact_votes(codes[:0], np.zeros(0, dtype=np.intp), 1, made, features)
    assert np.linalg.norm(votes - none) == 3.0  # sqrt(9) of the sqrt(10) that are charged


def test_overlapping_parts_would_move_votes_by_more() -> None:
    """Negative control: with records that two teachers share, the brute force sees a shift of 2."""
    codes, made, features = rows_of(12, 0), rows_of(20, 50), signs()
    twice = np.concatenate([codes, codes])
    shared = np.concatenate([np.arange(12) % 5, (np.arange(12) + 1) % 5])
    votes = exact_votes(twice, shared, 5, made, features)
    shifts = [
        exact_votes(
            np.delete(twice, [at, at + 12], 0), np.delete(shared, [at, at + 12]), 5, made, features
        )
        for at in range(12)
    ]
    assert max(np.abs(shift - votes).max() for shift in shifts) == 2


def test_units_of_many_rows_cost_as_many_times_more() -> None:
    budget = Budget(epsilon=1.0, delta=1e-9, unit="person", max_rows_per_unit=3)
    assert PLAN.sensitivity(budget) == pytest.approx(3 * np.sqrt(20))


def test_the_partition_looks_at_no_record() -> None:
    teachers = [partition(5000, 7, ResearchNoise(rng=np.random.default_rng(2))) for _ in range(2)]
    assert np.array_equal(teachers[0], teachers[1])
    shares = np.bincount(teachers[0], minlength=7) / 5000
    assert np.abs(shares - 1 / 7).max() < 5 * np.sqrt(1 / 7 / 5000)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("accountant", ["gdp", "zcdp"])
def test_all_rounds_are_charged_before_anything_is_drawn(
    accountant: str, relation: Neighbouring
) -> None:
    seen: list[tuple[Observation, int, str]] = []
    rng = np.random.default_rng(3)
    private = door(
        accountant=accountant,
        relation=relation,
        noise=ResearchNoise(rng=rng),
        observer=lambda o: seen.append(
            (o, len(private.ledger.entries), str(rng.bit_generator.state))
        ),
    )
    before = str(rng.bit_generator.state)
    private.teachers(PLAN, amount=private.remaining)
    [(told, entries, state)] = seen
    assert (told.query, entries, state) == (PLAN, 1, before)
    event = private.ledger.entries[0].event
    assert isinstance(event, ComposedEvent)
    assert len(event.events) == PLAN.rounds
    assert 0.999 < private.ledger.epsilon_spent() <= 1.0
    if accountant == "gdp":  # 3 rounds of 20 rows: one Gaussian of sensitivity sqrt(60)
        assert isinstance(event.events[0], GaussianEvent)
        mu = gdp_mu(1.0, 1e-9)
        assert np.sqrt(60) / event.events[0].sigma == pytest.approx(mu, rel=1e-5)


def test_a_refused_charge_draws_nothing_and_opens_nothing() -> None:
    rng = np.random.default_rng(3)
    private = door(noise=ResearchNoise(rng=rng))
    before = str(rng.bit_generator.state)
    with pytest.raises(BudgetExceededError):
        private.teachers(PLAN, amount=2 * private.remaining)
    for accountant, rule in (("pure", "Gaussian"), ("pld", "fixed plans only")):
        other = door(accountant=accountant)
        with pytest.raises(UnsupportedEventError, match=rule):
            other.teachers(PLAN, amount=0.1)
        assert not other.ledger.entries
    assert not private.ledger.entries
    assert str(rng.bit_generator.state) == before


def test_rounds_beyond_the_plan_are_refused_and_so_are_other_rows() -> None:
    session = door().teachers(PLAN, amount=0.01)
    made, features = rows_of(20, 0), signs()
    for wrong in (made[:19], made.astype(float), made - 1, made + 1):
        with pytest.raises(InvalidValueError, match="generated rows"):
            session.votes(wrong, features)
    bad = SignFeatures(pairs=((0, 1),), signs=((np.array([1, 2], np.int8), np.ones(3, np.int8)),))
    with pytest.raises(InvalidValueError, match="features"):
        session.votes(made, bad)
    assert session.rounds_held == 0
    for _ in range(3):
        session.votes(made, features)
    with pytest.raises(LedgerError, match="all 3 rounds"):
        session.votes(made, features)


@pytest.mark.parametrize("field", ["teachers", "rounds", "rows"])
def test_a_plan_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(InvalidValueError, match=field):
        VotePlan(**{"teachers": 2, "rounds": 2, "rows": 2, field: 0})


def test_a_session_cannot_be_pickled_and_shows_no_record() -> None:
    session = door().teachers(PLAN, amount=0.01)
    with pytest.raises(TypeError):
        pickle.dumps(session)
    assert "array" not in repr(session)


@pytest.mark.parametrize(
    ("accountant", "law"), [("gdp", NoiseLaw.ROUNDED), ("zcdp", NoiseLaw.DISCRETE)]
)
def test_the_noise_drawn_is_the_noise_charged(accountant: str, law: NoiseLaw) -> None:
    recorder = Recorder(ReleaseNoise())
    private = door(accountant=accountant, noise=recorder, observer=recorder.observe)
    session = private.teachers(PLAN, amount=private.remaining)
    votes = [session.votes(rows_of(20, seed), signs()) for seed in range(3)]
    assert all(np.array_equal(v, np.rint(v)) for v in votes), "counts stay whole in release mode"
    transcript = recorder.transcript()
    assert not transcript.findings
    [step] = transcript.steps
    assert isinstance(step, VoteStep)
    charged = private.ledger.entries[0].event
    assert isinstance(charged, ComposedEvent)
    stated = charged.events[0]
    assert isinstance(stated, GaussianEvent)
    assert (step.sigma, step.rounds, stated.law) == (stated.sigma, PLAN.rounds, law)


def test_an_audit_sees_less_noise_than_was_charged() -> None:
    """Negative control: half of the noise, and a round too many, become findings."""
    for fault in ("noise", "round"):
        recorder = Recorder(ResearchNoise(rng=np.random.default_rng(0)))
        private = door(noise=recorder, observer=recorder.observe)
        session = private.teachers(PLAN, amount=private.remaining)
        for _ in range(PLAN.rounds):
            session.votes(rows_of(20, 0), signs())
        sigma = session.sigma / 2 if fault == "noise" else session.sigma
        recorder.gaussian(sigma, PLAN.rows, law=NoiseLaw.CONTINUOUS)
        assert any("less noise" in finding for finding in recorder.transcript().findings), fault


def test_noise_has_the_spread_that_was_charged() -> None:
    """Chi-square at level 1e-3, 20,000 draws, seed 3; a tenth less noise is seen."""
    from scipy import stats

    plan = VotePlan(teachers=7, rounds=1, rows=20_000)
    private = door()
    session = private.teachers(plan, amount=private.remaining)
    made = np.tile(rows_of(1, 0), (20_000, 1))
    noise = session.votes(made, signs())  # equal rows: no teacher leans to a side
    statistic = (noise**2).sum() / session.sigma**2
    low, high = stats.chi2.interval(1 - 1e-3, 20_000)
    assert low < statistic < high
    assert not low < statistic * 0.9**2 < high
