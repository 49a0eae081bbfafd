"""The mean embedding: whole numbers, of the stated sensitivity, charged for before it is drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator.embedding import RADIUS, TURN, EmbeddingQuery, circle
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.spool import spooled
from dpsynth.curator.teachers import VotePlan
from dpsynth.errors import (
    BudgetExceededError,
    InvalidValueError,
    RecordsElsewhereError,
    UnknownNameError,
)
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise
from tests.curator.test_curator_queries import DOMAIN, SIZES, budget_for, change, neighbours
from tests.tables import coded_table


def query(seed: int = 0, *, features: int = 7, label: str | None = None) -> EmbeddingQuery:
    rng = np.random.default_rng(seed)
    phases = rng.integers(0, TURN, (sum(SIZES), features)).astype(np.uint16)
    return EmbeddingQuery(phases=phases, label=label)


def opposite(label: str | None = None) -> EmbeddingQuery:
    """All features of (0, 0, 0) are (1, 0), and those of (1, 0, 0) are (-1, 0)."""
    phases = np.zeros((sum(SIZES), 5), dtype=np.uint16)
    phases[1] = TURN // 2
    return EmbeddingQuery(phases=phases, label=label)


def test_no_angle_has_a_feature_longer_than_the_radius() -> None:
    squares = (circle() ** 2).sum(axis=0)
    assert squares.dtype == np.int64
    assert squares.max() == RADIUS**2
    assert squares.min() > RADIUS**2 - 4 * RADIUS  # towards zero by less than 1 in each


@pytest.mark.parametrize("label", [None, "b"])
def test_it_is_the_sum_of_cosines_and_sines_of_summed_angles(label: str | None) -> None:
    codes = np.random.default_rng(1).integers(0, SIZES, (50, 3)).astype(np.uint8)
    asked = query(label=label)
    found = asked.exact(codes, DOMAIN)
    assert found.dtype == np.int64
    assert found.size == asked.cells(DOMAIN)
    starts = np.cumsum([0, *SIZES[:-1]])
    angles = asked.phases.astype(float)[starts + codes].sum(axis=1) * 2 * np.pi / TURN
    for code in range(3 if label else 1):
        own = angles[codes[:, 1] == code] if label else angles
        for part, wave in zip(found, (np.cos, np.sin), strict=True):
            assert np.abs(part[code] / RADIUS - wave(own).sum(axis=0)).max() < len(codes) / RADIUS


@given(pair=neighbours(), seed=st.integers(0, 10**6), label=st.sampled_from([None, "a", "c"]))
@settings(max_examples=300, deadline=None)
def test_no_neighbours_exceed_the_declared_sensitivity(
    pair: tuple[Budget, np.ndarray, np.ndarray], seed: int, label: str | None
) -> None:
    budget, one, other = pair
    for asked in (query(seed, label=label), opposite(label)):
        moved = change(asked, one, other)
        assert np.linalg.norm(moved) <= asked.sensitivity(budget) * (1 + 1e-12)
        assert moved.sum() <= asked.l1_sensitivity(budget) * (1 + 1e-12)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_the_worst_neighbours_reach_it(relation: Neighbouring, k: int) -> None:
    budget = budget_for(relation, k)
    others = np.zeros((4, 3), dtype=np.uint8)
    one = np.vstack([others, np.zeros((k, 3), dtype=np.uint8)])
    turned = np.tile(np.array([1, 0, 0], dtype=np.uint8), (k, 1))
    other = np.vstack([others, turned]) if relation is Neighbouring.REPLACE else others
    moved = change(opposite(), one, other)
    assert np.linalg.norm(moved) == pytest.approx(opposite().sensitivity(budget))


def test_blocks_and_the_order_of_records_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(2).integers(0, SIZES, (100, 3)).astype(np.uint8)
    whole = query(label="a").exact(codes, DOMAIN)
    monkeypatch.setattr("dpsynth.curator.embedding._CHUNK_FEATURES", 21)
    assert (query(label="a").exact(codes[::-1], DOMAIN) == whole).all()
    assert (query(label="a").exact(codes[:0], DOMAIN) == 0).all()


def door(noise: ReleaseNoise | ResearchNoise, *, epsilon: float = 1.0) -> PrivateData:
    codes = np.random.default_rng(3).integers(0, SIZES, (300, 3))
    budget = Budget(epsilon=epsilon, delta=1e-9)
    return PrivateData(coded_table(codes, SIZES), budget, noise=noise, accountant="gdp")


def test_it_is_charged_for_and_whole_in_release_mode() -> None:
    private = door(ReleaseNoise())
    answer, sigma = private.embedding(query(), amount=private.remaining / 2)
    assert private.ledger.spent == pytest.approx(private.ledger.capacity / 2, rel=1e-6)
    assert [entry.label for entry in private.ledger.entries] == ["mean embedding"]
    assert (answer * RADIUS == np.rint(answer * RADIUS)).all()
    # One record's length over the noise is the mu that was paid.
    assert (np.sqrt(7) / sigma) ** 2 == pytest.approx(private.ledger.spent, rel=1e-6)
    with pytest.raises(BudgetExceededError):
        private.embedding(query(), amount=private.ledger.capacity)


def test_the_noise_is_as_large_as_stated() -> None:
    """4,200 numbers; their mean square is within 5 standard errors (alpha 1e-6), seed 4."""
    private = door(ResearchNoise(rng=np.random.default_rng(4)), epsilon=1e4)
    codes = np.random.default_rng(3).integers(0, SIZES, (300, 3)).astype(np.uint8)
    exact = query(features=2100).exact(codes, DOMAIN) / RADIUS
    domain = replace(DOMAIN, sizes=dict(zip(("c0", "c1", "c2"), SIZES, strict=True)))
    assert private.domain == domain
    answer, sigma = private.embedding(query(features=2100), amount=private.remaining / 1e4)
    noise = (answer - exact) / sigma
    assert abs((noise**2).mean() - 1) < 5 * np.sqrt(2 / noise.size)
    assert np.abs(noise).max() > 2  # and it is there


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (EmbeddingQuery(phases=np.zeros((9, 0), dtype=np.uint16)), "phases"),
        (EmbeddingQuery(phases=np.zeros((8, 3), dtype=np.uint16)), "phases"),
        (EmbeddingQuery(phases=np.zeros((9, 3), dtype=np.int64)), "phases"),  # pyright: ignore
        (EmbeddingQuery(phases=np.zeros((9, 2**22), dtype=np.uint16)), "features"),
        (query(label="colour"), "colour"),
    ],
)
def test_phases_or_a_label_that_do_not_fit_cost_nothing(asked: EmbeddingQuery, named: str) -> None:
    private = door(ReleaseNoise())
    with pytest.raises((InvalidValueError, UnknownNameError), match=named):
        private.embedding(asked, amount=private.remaining)
    assert not private.ledger.spent


def test_records_that_are_only_counted_are_refused_in_one_sentence(tmp_path: Path) -> None:
    table = coded_table(np.random.default_rng(5).integers(0, SIZES, (50, 3)), SIZES)
    path = tmp_path / "records.csv"
    table.frame.to_csv(path, index=False)
    plan = VotePlan(teachers=2, rounds=1, rows=3)
    with spooled([path], table.schema) as stored:
        budget = Budget(epsilon=1.0, delta=1e-9)
        private = PrivateData(stored, budget, noise=ReleaseNoise(), accountant="gdp")
        for what, ask in (
            ("a mean embedding", lambda: private.embedding(query(), amount=private.remaining)),
            ("a vote of teachers", lambda: private.teachers(plan, amount=private.remaining)),
        ):
            with pytest.raises(RecordsElsewhereError, match=f"^{what} needs the records in memory"):
                ask()
        assert not private.ledger.spent
