"""Tuning on private records: one charge before the first run, and only the best run leaves."""

import json
import logging
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.curator.private_data import PrivateData
from dpsynth.data.domain import Domain
from dpsynth.data.encoding import Codec
from dpsynth.errors import (
    InvalidValueError,
    LedgerError,
    NoModelError,
    UnknownNameError,
    UnsupportedEventError,
)
from dpsynth.generators.base import Generator
from dpsynth.generators.progress import watched
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.calibration import gdp_mu
from dpsynth.privacy.events import (
    ComposedEvent,
    GaussianEvent,
    GdpEvent,
    RepeatedEvent,
    StoppingLaw,
)
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import NoiseSource, ResearchNoise
from dpsynth.privacy.receipt import Receipt
from dpsynth.privacy.stopping import DRAW_DISTANCE
from dpsynth.privacy.tuning import tuning_epsilon
from dpsynth.synthesis import Synthesis
from dpsynth.tuning import random_stopping
from dpsynth.tuning.random_stopping import Repetition, Stopping, repetition, tune
from dpsynth.tuning.scoring import PairScore, scored_pairs
from tests.generators.planted import planted_table
from tests.tuning.toy import NAME, Rows, Toy

TABLE = planted_table(800)
GRID = {"smoothing": [0.0, 0.1, 0.2]}
NEURAL: dict[str, Any] = {
    "generator": "dpvae",
    "grid": {"hidden": [4, 8], "clipping_norm": [0.5, 2.0]},
    "fixed": {"steps": 3, "latent": 2},
}


def tuned(seed: int | None = 0, **changes: Any) -> Synthesis:
    arguments: dict[str, Any] = {
        "generator": NAME,
        "grid": GRID,
        "epsilon": 4.0,
        "mean_runs": 3.0,
    }
    return tune(TABLE, seed=seed, **{**arguments, **changes})


def opened(table: Any, noise: NoiseSource | None = None) -> PrivateData:
    source = noise or ResearchNoise(rng=np.random.default_rng(0))
    budget = Budget(epsilon=4.0, delta=1e-9)
    return PrivateData(table, budget, noise=source, accountant="rdp")


def rehearsed(private: PrivateData, candidates: Any, *, mean_runs: float) -> Repetition:
    stopping = Stopping(mean_runs=mean_runs, law=StoppingLaw.GEOMETRIC, score_share=0.1)
    return repetition(private, candidates, stopping, rng=np.random.default_rng(0))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Generator, float]]:
    """Each run's setting and score, which nothing but a test may see."""
    seen: list[tuple[Generator, float]] = []
    whole = random_stopping._run

    def watching(*arguments: Any, **named: Any) -> Any:
        run = whole(*arguments, **named)
        assert run is not None
        seen.append((run.generator, run.score))
        return run

    monkeypatch.setattr(random_stopping, "_run", watching)
    return seen


def set_runs(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("dpsynth.curator.repetition.drawn_runs", lambda event, noise: count)


def test_one_entry_holds_the_price_of_all_runs(runs: list[Any]) -> None:
    made = tuned()
    (entry,) = made.receipt.entries
    event = entry.event
    assert isinstance(event, RepeatedEvent)
    price = tuning_epsilon(event.run, 1e-9, mean_runs=3.0, law=StoppingLaw.LOGARITHMIC)
    assert made.receipt.epsilon_spent == pytest.approx(price, rel=1e-3)
    assert 3.99 < made.receipt.epsilon_spent <= 4.0, "the noise is no more than the budget asks"
    assert event.sampling_distance == DRAW_DISTANCE, "the law of the runs is drawn to so much"
    one = make_accountant("rdp", Budget(epsilon=4.0, delta=1e-9)).epsilon(event.run)
    stated = float(entry.label.rpartition(" ")[2])
    assert one <= stated < 1.00001 * one
    assert one < 0.95 * made.receipt.epsilon_spent
    assert "smoothing from 0.0, 0.1, 0.2" in made.receipt.unprotected[-1]
    assert Receipt.from_json(made.receipt.to_json()).to_json() == made.receipt.to_json()


def test_the_best_score_wins(monkeypatch: pytest.MonkeyPatch, runs: list[Any]) -> None:
    set_runs(monkeypatch, 6)
    made = tuned()
    assert len(runs) == 6
    assert len({id(generator) for generator, _ in runs}) > 1, "settings are drawn anew"
    assert made.generator is max(runs, key=lambda run: run[1])[0]


def test_each_run_draws_and_the_charge_comes_first(
    monkeypatch: pytest.MonkeyPatch, runs: list[Any]
) -> None:
    """Between the one charge and the return, the parent's ledger stays as it is."""
    told: list[tuple[str, int]] = []
    whole = Ledger.charge

    def charge(ledger: Ledger, label: str, event: Any) -> None:
        whole(ledger, label, event)
        told.append((label, len(runs)))

    monkeypatch.setattr(Ledger, "charge", charge)
    set_runs(monkeypatch, 3)
    tuned()
    paid = [i for i, (label, _) in enumerate(told) if label.startswith("best of a random number")]
    assert len(paid) == 1
    before, after = told[: paid[0]], told[paid[0] + 1 :]
    # before it, rehearsals are charged to ledgers that are thrown away, up to the first access
    assert {label for label, _ in before} == {"one-way marginals"}
    assert [label for label, _ in after] == 3 * ["one-way marginals", "score of a run"]


def test_a_rehearsal_draws_nothing() -> None:
    source = ResearchNoise(rng=np.random.default_rng(0))
    before = source.state()
    private = opened(TABLE, source)
    candidates = random_stopping.candidates_of(NAME, GRID)
    found = rehearsed(private, candidates, mean_runs=3.0)
    assert private.ledger.entries == ()
    assert private.ledger.plan == ()
    assert source.state() == before, "noise was drawn"
    assert private.ledger.accountant.epsilon([found.event]) <= 4.0


def test_the_score_costs_its_share_beside_the_fit() -> None:
    private = opened(TABLE)
    found = rehearsed(private, random_stopping.candidates_of(NAME, GRID), mean_runs=3.0)
    whole = gdp_mu(found.budgets[0].epsilon, private.ledger.accountant.delta)
    assert found.score.amount.mu**2 == pytest.approx(0.1 * whole**2)
    assert found.event.run[1] == ComposedEvent(events=(found.score.event(private),))


def test_nothing_tells_of_the_number_of_runs(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: Any,
    recwarn: pytest.WarningsRecorder,
) -> None:
    """One run or five: whatever leaves is of the same form, and no watcher is told of any."""
    told: list[Any] = []
    forms = []
    streams: list[Any] = []

    def interpolated(model: Any, *, rng: np.random.Generator) -> Any:
        streams.append(rng.bit_generator.state)
        return model

    monkeypatch.setattr("dpsynth.sampling.interpolation.with_interpolated_values", interpolated)
    caplog.set_level(logging.DEBUG)
    for count in (1, 5):
        set_runs(monkeypatch, count)
        with watched(told.append):
            made = tuned()
        receipt = json.loads(made.receipt.to_json())
        forms.append(
            (
                receipt["statement"],
                [entry["label"] for entry in receipt["ledger"]["entries"]],
                made.receipt.summary(),
                made.skipped,
                made.sampling_seed,
                made.stream().bit_generator.state,
                caplog.text,
                capfd.readouterr(),
            )
        )
    assert forms[0] == forms[1]
    assert streams[0] == streams[1], "what closes the release goes on by how many runs there were"
    assert told == []
    assert list(recwarn) == [], "a warning a run"


def test_a_seeded_call_repeats_itself() -> None:
    first, again, other = tuned(), tuned(), tuned(seed=1)
    assert first.generator == again.generator
    assert first.receipt.to_json() == again.receipt.to_json()
    assert first.sample(50).frame.equals(again.sample(50).frame)
    assert not first.sample(50).frame.equals(other.sample(50).frame)
    assert first.receipt.not_for_release
    assert not tuned(seed=None, mean_runs=1.5).receipt.not_for_release


def test_a_run_that_asks_for_more_is_refused_before_it_draws() -> None:
    private = opened(TABLE)
    candidates = random_stopping.candidates_of(NAME, GRID)
    found = rehearsed(private, candidates, mean_runs=1.5)
    private.reserve([("tuning", found.event)])
    fitting, scoring = private.repeated(found.event, found.budgets, label="tuning")[0]
    (other,) = random_stopping.candidates_of(NAME, {"columns": [4]})
    with pytest.raises(LedgerError, match="not the one that was paid for"):
        other.fit(fitting, rng=np.random.default_rng(0))
    with pytest.raises(LedgerError, match="not the one that was paid for"):
        scoring.reserve([("score", GaussianEvent(sigma=1.0))])
    assert fitting.ledger.entries == scoring.ledger.entries == ()
    with pytest.raises(LedgerError):
        private.repeated(found.event, found.budgets, label="tuning")


def test_a_candidate_with_other_events_is_refused(runs: list[Any]) -> None:
    with pytest.raises(InvalidValueError, match="same events") as refusal:
        tuned(grid={"columns": [6, 5], "smoothing": [0.0, 0.1]})
    assert "'columns': 5" in str(refusal.value)
    assert "smoothing" not in str(refusal.value), "what is the same is not named"
    assert runs == []


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"generator": "aim"}, UnknownNameError, "smoothing"),
        ({"generator": "aim", "grid": {"largest_tree": [999]}}, UnsupportedEventError, "plans"),
        ({"generator": "uniform", "grid": {"largest_tree": [9]}}, UnknownNameError, "uniform"),
        ({"grid": {"smoothing": ["much"]}}, InvalidValueError, "smoothing"),
        ({"grid": {"smoothing": {"low": 0.1, "high": 3}}}, InvalidValueError, "list of values"),
        (
            {"fixed": {"smoothing": 0.1}},
            InvalidValueError,
            "grid is 'smoothing', but it must be of",
        ),
        ({"grid": {}}, InvalidValueError, "at least one hyperparameter"),
        ({"mean_runs": 1.0}, InvalidValueError, "mean_runs"),
        ({"law": "fixed"}, InvalidValueError, "law"),
        ({"score_share": 1.0}, InvalidValueError, "score_share"),
        ({"delta": 0.0}, InvalidValueError, "delta"),
    ],
)
def test_refusals_spend_nothing(
    changes: dict[str, Any], error: type[Exception], said: str, runs: list[Any]
) -> None:
    with pytest.raises(error, match=said):
        tuned(**changes)
    assert runs == []


def test_no_run_leaves_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    set_runs(monkeypatch, 0)
    with pytest.raises(NoModelError, match="no run was drawn, or") as refusal:
        tuned(law="poisson")
    assert refusal.value.epsilon_spent > 3.9


def test_a_diverged_run_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    set_runs(monkeypatch, 8)
    assert tuned(grid={"diverges": [True, False]}).generator == Toy()
    with pytest.raises(NoModelError, match="diverged"):
        tuned(grid={"diverges": [True]})


def test_records_replaced_are_paid_for_too() -> None:
    receipt = tuned(relation="replace").receipt
    assert 3.9 < receipt.epsilon_spent <= 4.0
    assert receipt.budget.relation.value == "replace"


@pytest.mark.slow
def test_a_neural_generator_is_tuned_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="the extra 'neural' is not installed")
    told: list[Any] = []
    set_runs(monkeypatch, 2)
    with watched(told.append):
        made = tuned(**NEURAL)
    assert told == [], "the watcher would count the runs"
    assert 3.9 < made.receipt.epsilon_spent <= 4.0
    (entry,) = made.receipt.entries
    assert isinstance(entry.event, RepeatedEvent)
    fit, score = entry.event.run
    kinds = [type(event).__name__ for event in (*fit.events, *score.events)]  # pyright: ignore
    assert kinds == ["GdpEvent", "DpSgdEvent", "GaussianEvent"]
    assert made.generator.clipping_norm in (0.5, 2.0)  # pyright: ignore


@pytest.mark.slow
def test_what_a_neural_generator_may_not_vary(runs: list[Any]) -> None:
    pytest.importorskip("torch", reason="the extra 'neural' is not installed")
    with pytest.raises(InvalidValueError, match="same events") as refusal:
        tuned(**{**NEURAL, "grid": {"sample_rate": [0.1, 0.2]}})
    assert "'sample_rate': 0.2" in str(refusal.value)
    with pytest.raises(UnsupportedEventError, match="Poisson sampling"):
        tuned(**NEURAL, relation="replace")
    assert runs == []


def test_the_score_is_minus_the_mean_error_of_pairs() -> None:
    pairs = scored_pairs(TABLE.schema.domain)
    assert len(pairs) == 15
    codes = Codec(schema=TABLE.schema).encode(TABLE)
    rng = np.random.default_rng(0)
    apart = np.stack([rng.permutation(column) for column in codes.T], axis=1)

    def scored(rows: NDArray[np.integer[Any]], mu: float) -> float:
        private = opened(TABLE)
        score = PairScore(pairs=pairs, amount=GdpEvent(mu=mu))
        model = Rows(schema=TABLE.schema, total=800.0, codes=rows)
        found = score(private, model, rng=np.random.default_rng(1))
        (entry,) = private.ledger.entries
        assert entry.event.noise_multiplier == pytest.approx(1.0 / mu)  # pyright: ignore
        return found

    # 800 rows drawn again are off by about sqrt(cells * 800 * 2 / pi) in each of 15 pairs
    assert scored(codes, 0.3) == pytest.approx(-80.0, abs=30.0)
    # the two planted pairs are each off by about 1.3 * 800 more
    assert scored(apart, 0.3) == pytest.approx(-80.0 - 2 * 1.3 * 800 / 15, abs=50.0)
    # the noise of the mean has a deviation of 1 / mu records
    noisy = scored(codes, 1e-3)
    assert 50.0 < abs(noisy - scored(codes, 0.3)) < 4000.0


def test_pairs_are_few_and_small() -> None:
    sizes = {f"c{i}": 3 for i in range(40)} | {"wide": 9000, "only": 1}
    pairs = scored_pairs(Domain(sizes=sizes))
    assert len(set(pairs)) == len(pairs) == 200
    assert {a for pair in pairs for a in pair} == {f"c{i}" for i in range(40)}
    assert scored_pairs(Domain(sizes={"wide": 9000})) == (("wide",),)
