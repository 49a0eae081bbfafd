"""DP-MERF: two purchases, a label with embeddings of its own, dependences from one embedding."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.curator.embedding import TURN, EmbeddingQuery
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.neural import merf
from dpsynth.generators.neural.merf import DpMerf
from tests.generators.planted import SIZES, fit, pair_error, planted_table

TABLE = planted_table()
SMALL = DpMerf(features=100, steps=200, hidden=32, draws=80)


def test_the_embedding_is_bought_once_and_the_columns_beside_it() -> None:
    _, private, seen = fit(SMALL, TABLE, epsilon=1.0)
    assert private.ledger.entries[0].label == "mean embedding"
    assert isinstance(seen[0].query, EmbeddingQuery)
    assert len(seen) == 1 + len(SIZES)
    assert private.ledger.entries[0].cost == pytest.approx(0.7 * private.ledger.spent, rel=1e-6)
    assert private.ledger.epsilon_spent() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("label", [None, "c1"])
def test_it_learns_what_independent_columns_miss(label: str | None) -> None:
    floor, _, _ = fit(Independent(), TABLE)
    model, _, _ = fit(DpMerf(features=100, steps=200, hidden=32, draws=80, label=label), TABLE)
    assert pair_error(TABLE, model) < 0.6 * pair_error(TABLE, floor)


def test_neighbouring_codes_turn_alike() -> None:
    phases = SMALL._phases(TABLE.schema, rng=np.random.default_rng(0))
    steps = np.diff(phases[:4], axis=0)  # angles: they wrap
    assert np.abs((steps - steps[0]).astype(np.int16)).max() <= 1  # one speed a feature
    assert np.abs(steps.astype(np.int16)).max() > 1000


def test_a_label_must_be_there_and_nothing_is_spent_before() -> None:
    with pytest.raises(UnknownNameError, match="colour"):
        fit(DpMerf(label="colour"), TABLE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 0.0),
        ("features", 0),
        ("bandwidth", 0.0),
        ("hearsay", float("nan")),
        ("learning_rate", -1.0),
        ("steps", 0),
        ("draws", 0),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        DpMerf(**{field: value})


@pytest.mark.parametrize(("label", "free"), [(None, 6), ("c1", 5)])
def test_each_pair_turns_as_many_features(label: str | None, free: int) -> None:
    chosen = DpMerf(features=60, label=label)
    turning = chosen._turning(TABLE.schema.domain, rng=np.random.default_rng(0)).astype(int)
    assert (turning.sum(axis=0) == 2).all()
    together = turning @ turning.T
    pairs = together[np.triu_indices(len(SIZES), 1)]
    assert set(pairs[pairs > 0]) == {60 * 2 // (free * (free - 1))}
    assert (together.diagonal() > 0).sum() == free


@pytest.mark.parametrize("label", [None, "c1"])
def test_the_misfit_is_the_distance_of_embeddings(label: str | None) -> None:
    """Laws that are sure of one row each: their embedding is the sum over rows, by hand."""
    import torch

    domain, rng = TABLE.schema.domain, np.random.default_rng(0)
    phases = rng.integers(0, TURN, (sum(SIZES), 7)).astype(np.uint16)
    phases[: SIZES[0], :3] = 0  # at rest, so that features differ in how many attributes they have
    rows = np.stack([rng.integers(0, size, 5) for size in SIZES], axis=1)
    starts = np.cumsum([0, *SIZES[:-1]])
    waves = np.exp(2j * np.pi * phases[starts + rows].sum(axis=1, dtype=np.float64) / TURN)
    own = np.ones((1, 5))
    if label is not None:
        phases[starts[1] : starts[2]] = 0
        waves = np.exp(2j * np.pi * phases[starts + rows].sum(axis=1, dtype=np.float64) / TURN)
        own = np.eye(SIZES[1])[rows[:, 1]].T
    mean = own @ waves / 5
    answer = np.stack([mean.real, mean.imag]) + 0.5
    query = EmbeddingQuery(phases=phases, label=label)
    loss = merf._misfit(domain, query, answer, 0.1, torch.device("cpu"))
    laws = {
        a: torch.as_tensor(np.eye(size, dtype=np.float32)[rows[:, i]])
        for i, (a, size) in enumerate(domain.sizes.items())
    }
    assert float(loss(laws)) == pytest.approx(0.5 * 0.25 * answer.size / 0.01, rel=1e-4)
