"""The choice among models: what it asks, how far a record moves it, and what it costs."""

from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest

from dpsynth.curator import best_fit
from dpsynth.curator.best_fit import BestFitQuery
from dpsynth.curator.observation import Observation
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, LedgerError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import ExponentialEvent
from dpsynth.privacy.noise import ResearchNoise
from tests.tables import coded_table

DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 2})
PAIRS = tuple(combinations(DOMAIN.attributes, 2))
ROWS = [np.array(row, dtype=np.uint8) for row in product(range(2), range(3), range(2))]


def prediction(rng: np.random.Generator, scale: float) -> tuple[np.ndarray, ...]:
    return tuple(rng.exponential(scale, [DOMAIN.sizes[a] for a in pair]) for pair in PAIRS)


def query(seed: int) -> BestFitQuery:
    rng = np.random.default_rng(seed)
    empty = tuple(np.zeros([DOMAIN.sizes[a] for a in pair]) for pair in PAIRS)
    return BestFitQuery(
        cliques=PAIRS, candidates=(prediction(rng, 1.0), prediction(rng, 30.0), empty)
    )


def budget_for(relation: Neighbouring, k: int) -> Budget:
    unit = "record" if k == 1 else "person"
    return Budget(epsilon=1, delta=1e-9, relation=relation, unit=unit, max_rows_per_unit=k)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_no_unit_moves_a_score_by_more_than_declared_and_one_does(
    relation: Neighbouring, k: int
) -> None:
    """Every unit of k rows against every other, or against none, beside the same others."""
    asked, others = query(3), np.random.default_rng(0).integers(0, 2, (6, 3)).astype(np.uint8)
    units = list(combinations_with_replacement(ROWS, k))
    scores = np.array([asked.exact(np.vstack([others, *unit]), DOMAIN) for unit in units])
    fewer = asked.exact(others, DOMAIN)[None]
    before = fewer if relation is Neighbouring.ADD_REMOVE else scores
    largest = max(np.abs(scores - one).max() for one in before)
    # No tolerance: everything is an integer. Nothing is predicted of the last candidate's cells, so
    # that each record that comes counts in full; under REPLACE such a sum cannot move.
    declared = asked.sensitivity(budget_for(relation, k))
    assert largest <= declared == 16 * 3 * k * (1 if relation is Neighbouring.ADD_REMOVE else 2)
    assert relation is Neighbouring.REPLACE or largest == declared


@pytest.mark.parametrize("k", [1, 3])
def test_replaced_rows_attain_the_sensitivity(k: int) -> None:
    predicted = []
    for pair in PAIRS:
        full = np.zeros([DOMAIN.sizes[a] for a in pair])
        full[0, 0] = 1000.03
        predicted.append(full)
    asked = BestFitQuery(cliques=PAIRS, candidates=(tuple(predicted),))
    moved = [asked.exact(np.tile(row, (k, 1)), DOMAIN) for row in (ROWS[0], ROWS[-1])]
    declared = asked.sensitivity(budget_for(Neighbouring.REPLACE, k))
    assert abs(moved[0] - moved[1])[0] == declared == 16 * 3 * 2 * k


def test_scores_are_minus_the_errors_in_sixteenths() -> None:
    codes = np.stack(ROWS)
    counts = [np.full((2, 3), 2.0), np.full((2, 2), 3.0), np.full((3, 2), 2.0)]
    off = (counts[0] + 0.25, counts[1], counts[2] - 0.5)
    asked = BestFitQuery(cliques=PAIRS, candidates=(tuple(counts), off))
    assert asked.exact(codes, DOMAIN).tolist() == [0.0, -16 * (6 * 0.25 + 6 * 0.5)]


@pytest.mark.parametrize(
    "wrong",
    [
        BestFitQuery(cliques=PAIRS, candidates=()),
        BestFitQuery(cliques=(), candidates=((),)),
        BestFitQuery(cliques=(("a",),), candidates=((np.zeros(2),), (np.zeros(3),))),
        BestFitQuery(cliques=(("a",),), candidates=((np.zeros(2),), ())),
        BestFitQuery(cliques=(("a",),), candidates=((np.full(2, np.nan),),)),
        BestFitQuery(cliques=(("a",),), candidates=((np.full(2, 2.0**30),),)),
    ],
    ids=["nobody", "nothing", "shape", "missing", "nan", "large"],
)
def test_what_cannot_be_answered_is_refused(wrong: BestFitQuery) -> None:
    with pytest.raises(InvalidValueError):
        wrong.check(DOMAIN)


def test_too_many_cliques_to_be_exact_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best_fit, "CLIQUE_CEILING", 2)
    with pytest.raises(InvalidValueError, match="cliques"):
        query(0).check(DOMAIN)


def planned(seed: int, seen: list[Observation]) -> tuple[PrivateData, BestFitQuery]:
    """Return 400 records, and a question of which the second candidate is right in all pairs."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (400, 3))
    private = PrivateData(
        coded_table(codes, (3, 3, 3)),
        Budget(epsilon=1.0, delta=1e-9),
        noise=ResearchNoise(rng=rng),
        accountant="pld",
        observer=seen.append,
    )
    pairs = tuple(combinations(private.domain.attributes, 2))
    wrong = tuple(np.eye(3) * 400 / 3 for _ in pairs)
    right = tuple(np.full((3, 3), 400 / 9) for _ in pairs)
    return private, BestFitQuery(cliques=pairs, candidates=(wrong, right, wrong))


def test_it_is_charged_as_reserved_and_finds_what_fits() -> None:
    for seed in range(5):
        seen: list[Observation] = []
        private, asked = planned(seed, seen)
        event = ExponentialEvent(epsilon=0.2)
        private.reserve([("choice", event)])
        with pytest.raises(LedgerError):
            private.select_best(asked, epsilon=0.3, label="choice")
        assert private.ledger.entries == ()
        # 0.2 times some 400 records a pair: another answer has odds of 1 in 10**17.
        assert private.select_best(asked, epsilon=0.2, label="choice") == 1
        assert [(o.label, o.event, type(o.query)) for o in seen] == [
            ("choice", event, BestFitQuery)
        ]
        with pytest.raises(LedgerError):
            private.select_best(asked, epsilon=0.2, label="choice")


def test_the_mechanism_is_told_the_whole_sensitivity(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict[str, object]] = []

    def watched(noise: ResearchNoise, scores: np.ndarray, **terms: object) -> int:
        drawn.append(terms)
        return 0

    monkeypatch.setattr(ResearchNoise, "exponential_mechanism", watched)
    private, asked = planned(0, [])
    private.reserve([("select best fit", ExponentialEvent(epsilon=0.2))])
    private.select_best(asked, epsilon=0.2)
    assert drawn == [{"epsilon": 0.2, "sensitivity": 48.0, "monotone": False}]
