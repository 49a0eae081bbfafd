"""Charged evaluation: what it costs, what it says, and the sensitivity that it rests on."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from dpsynth import private_evaluation
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.constraints import Ordered
from dpsynth.data.table import Table
from dpsynth.errors import BudgetExceededError, DataError, InvalidValueError, LedgerError
from dpsynth.evaluation.contingency import choose_sets, frequencies
from dpsynth.evaluation.marginals import OneWayTvd, TwoWayTvd
from dpsynth.evaluation.sample import Sample
from dpsynth.privacy.ledger import Ledger
from dpsynth.privacy.noise import ResearchNoise
from dpsynth.privacy.receipt import Receipt
from dpsynth.privacy.statement import claim_statement
from dpsynth.private_evaluation import evaluate_privately
from tests.evaluation.laws import SCHEMA, corrupt, draw


def test_scores_are_those_without_noise_but_for_the_noise_stated() -> None:
    rng = np.random.default_rng(0)
    real = draw(2000, rng=rng)
    made = corrupt(draw(2000, rng=rng), 0.3, rng=rng)
    found = evaluate_privately(real, made, SCHEMA, epsilon=1.0, seed=0, ways=(1, 2))
    for score, metric in zip(found.scores, (OneWayTvd(), TwoWayTvd()), strict=True):
        exact = metric(real, made, rng=rng).value
        assert score.metric == metric.name
        # Seed 0; an honest normal noise leaves 5 deviations once in a million.
        assert abs(score.value - exact) < 5 * score.noise
        assert score.value != exact
        assert score.noise < 0.02
    spent = found.receipt
    assert spent.epsilon_spent <= 1.0
    assert [entry.label for entry in spent.entries] == ["tvd_1way", "tvd_2way"]


def test_its_receipt_speaks_of_answers_and_fits_a_terminal() -> None:
    rng = np.random.default_rng(0)
    found = evaluate_privately(draw(200, rng=rng), draw(200, rng=rng), SCHEMA, epsilon=1.0)
    receipt = found.receipt
    told = receipt.summary()
    assert all(len(line) <= 80 for line in told.splitlines())
    stated = claim_statement(receipt)["post_processing"]
    for text in (told, stated):
        assert "model" not in text.replace("no model was released", "")
        assert "add" in text
    again = Receipt.from_json(receipt.to_json())
    assert again == receipt
    assert again.summary() == told
    as_model = receipt.to_json().replace('"releases":"answers"', '"releases":"model"')
    assert as_model != receipt.to_json()
    with pytest.raises(LedgerError):
        Receipt.from_json(as_model)


@pytest.mark.statistical
@pytest.mark.parametrize("delta", [1e-9, 0.0])
def test_intervals_cover_the_value_without_noise(delta: float) -> None:
    """60 seeds: fewer than 50 of 60 hits have probability below .001 at coverage .95. Negative
    control: the same intervals about a value that is 4 deviations off."""
    rng = np.random.default_rng(1)
    real = draw(300, rng=rng)
    made = corrupt(draw(300, rng=rng), 0.5, rng=rng)
    exact = TwoWayTvd()(real, made, rng=rng).value
    hits = off = 0
    for seed in range(60):
        (score,) = evaluate_privately(
            real, made, SCHEMA, epsilon=2.0, delta=delta, seed=seed, ways=(2,)
        ).scores
        hits += score.lower <= exact <= score.upper
        shifted = exact + 4 * score.noise * (1 if delta else 2)
        off += score.lower <= shifted <= score.upper
    assert hits >= 50
    assert off < 50


def test_one_record_moves_a_mean_by_one_nth_at_most() -> None:
    """Searched for on random neighbours under "replace", and attained by one of them."""
    rng = np.random.default_rng(2)
    n = 12
    real = Sample.of(draw(n, rng=rng))
    made = Sample.of(corrupt(draw(n, rng=rng), 1.0, rng=rng))
    sets = choose_sets(len(real.sizes), 2, limit=1000, seed=0)

    def mean(codes: np.ndarray) -> float:
        tables = frequencies(replace(real, codes=codes), made, sets)
        return float(np.mean([0.5 * np.abs(p - q).sum() for p, q, _ in tables]))

    before, largest = mean(real.codes), 0.0
    for i in range(n):
        for row in [*made.codes, rng.integers(real.sizes)]:
            codes = real.codes.copy()
            codes[i] = row
            largest = max(largest, abs(mean(codes) - before))
    assert 0.8 / n < largest <= 1 / n + 1e-12


def test_what_would_spend_more_than_it_says_is_refused() -> None:
    rng = np.random.default_rng(3)
    table = draw(50, rng=rng)
    with pytest.raises(InvalidValueError, match="relation"):
        evaluate_privately(table, table, SCHEMA, epsilon=1.0, relation="add_remove")
    public = replace(SCHEMA, public_rows=50)
    declared = Table.from_frame(public, table.frame)
    found = evaluate_privately(
        declared, table, public, epsilon=1.0, relation="add_remove", seed=0, ways=(1,)
    )
    assert found.scores[0].sets == len(SCHEMA.columns)
    many = replace(SCHEMA, unit="visits", max_rows_per_unit=2)
    with pytest.raises(InvalidValueError, match="max_rows_per_unit"):
        evaluate_privately(table, table, many, epsilon=1.0)
    ordered = (Ordered(lower="income", upper="spend"),)
    drops = replace(SCHEMA, constraints=ordered, on_violation="drop")
    with pytest.raises(InvalidValueError, match="on_violation"):
        evaluate_privately(table, table, drops, epsilon=1.0)
    refuses = replace(drops, on_violation="error")  # the same number of records, or none at all
    assert evaluate_privately(table, table, refuses, epsilon=1.0, seed=0, ways=(1,)).scores
    with pytest.raises(DataError, match=r"50 rows.*declares public_rows = 49"):
        evaluate_privately(table, table, replace(SCHEMA, public_rows=49), epsilon=1.0)
    for wrong in ({"ways": ()}, {"limit": 0}, {"epsilon": 0.0}):
        with pytest.raises(InvalidValueError):
            evaluate_privately(table, table, SCHEMA, **{"epsilon": 1.0, **wrong})


@pytest.mark.parametrize(("excess", "bought"), [(1.01, 0), (0.6, 1)])
def test_what_the_budget_does_not_cover_is_neither_charged_nor_drawn(
    monkeypatch: pytest.MonkeyPatch, excess: float, bought: int
) -> None:
    """The evaluation is made to believe that each of two scores may cost more than is left: the
    first at once, or the second once the first has spent its part."""
    table, rng = draw(50, rng=np.random.default_rng(4)), np.random.default_rng(5)
    ledgers: list[Ledger] = []
    states: list[object] = []

    def believed(private: PrivateData) -> float:
        whole = private.ledger.capacity
        ledgers.append(private.ledger)
        states.append(deepcopy(rng.bit_generator.state))
        return 2 * excess * whole

    streams = ResearchNoise(rng=rng), np.random.default_rng(6), None
    monkeypatch.setattr(private_evaluation, "random_streams", lambda _: streams)
    monkeypatch.setattr(PrivateData, "remaining", property(believed))
    with pytest.raises(BudgetExceededError, match=f"tvd_{bought + 1}way"):
        evaluate_privately(table, table, SCHEMA, epsilon=1.0, ways=(1, 2))
    assert [entry.label for entry in ledgers[0].entries] == ["tvd_1way"][:bought]
    assert rng.bit_generator.state == states[-1]
    assert (states[-1] != states[0]) == bool(bought)
