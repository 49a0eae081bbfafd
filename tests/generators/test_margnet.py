"""MargNet: every access is charged, picks follow the misfit, and dependences are learnt."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.curator.queries import MarginalQuery, WorstFitQuery
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.mixture import MixtureSyntheticModel
from dpsynth.generators.neural.margnet import MargNet
from tests.generators.planted import PLANTED, SIZES, fit, pair_error, planted_table
from tests.tables import coded_table

TABLE = planted_table()
SMALL = MargNet(steps=30, last_steps=60, hidden=32, draws=100)


def test_rounds_pick_and_measure_until_everything_is_spent() -> None:
    model, private, seen = fit(SMALL, TABLE, epsilon=5.0)
    ones, rest = seen[: len(SIZES)], seen[len(SIZES) :]
    assert [o.query.clique for o in ones if isinstance(o.query, MarginalQuery)] == [
        (f"c{i}",) for i in range(len(SIZES))
    ]
    assert [type(o.query) for o in rest] == [WorstFitQuery, MarginalQuery] * (len(rest) // 2)
    assert len(rest) // 2 <= 2 * len(SIZES)
    assert private.ledger.spent == pytest.approx(private.ledger.capacity, rel=1e-9)
    assert isinstance(model, MixtureSyntheticModel)
    bought = [o.query.clique for o in rest[1::2] if isinstance(o.query, MarginalQuery)]
    assert set(bought[:2]) == set(PLANTED)  # the pairs that depend come first


def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE, epsilon=8.0)
    model, _, _ = fit(SMALL, TABLE, epsilon=8.0)
    assert pair_error(TABLE, model) < 0.4 * pair_error(TABLE, floor)


@pytest.mark.parametrize("sizes", [(5,), (1, 4), (200, 200)])
def test_without_a_pair_to_measure_columns_get_everything(sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    table = coded_table(np.stack([rng.integers(0, n, 60) for n in sizes], axis=1), sizes)
    small = MargNet(steps=2, last_steps=2, largest_marginal=1000)
    _, private, seen = fit(small, table, epsilon=1.0)
    assert len(seen) == sum(n > 1 for n in sizes)
    assert private.ledger.epsilon_spent() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 1.0),
        ("selection_share", 0.0),
        ("rounds", 0),
        ("degree", 1),
        ("largest_marginal", 0),
        ("hearsay", 0.0),
        ("learning_rate", float("inf")),
        ("draws", 0),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        MargNet(**{field: value})
