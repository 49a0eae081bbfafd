"""The autoencoder reserves its whole plan first, learns dependences, and keeps the 1-way laws."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.data.encoding import Codec
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.neural.vae import DpVae
from tests.generators.planted import SIZES, fit, pair_error, planted_table

TABLE = planted_table()
SMALL = DpVae(steps=3, hidden=8, latent=2)


@pytest.mark.slow
def test_the_whole_plan_is_reserved_before_anything_is_drawn() -> None:
    _, private, seen = fit(SMALL, TABLE, epsilon=1.0)
    labels = [entry.label for entry in private.ledger.entries]
    assert labels == [*(f"marginal c{i}" for i in range(len(SIZES))), "dpsgd"]
    first, *others = [entry.cost for entry in private.ledger.entries]
    assert first == private.ledger.spent, "the plan is paid for as a whole, at its first entry"
    assert not any(others)
    assert private.ledger.epsilon_spent() <= 1.0
    assert private.ledger.epsilon_spent() > 0.9
    assert len(seen) == len(labels)


@pytest.mark.slow
def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE, epsilon=8.0)
    model, _, _ = fit(DpVae(), TABLE, epsilon=8.0)
    assert pair_error(TABLE, model) < 0.5 * pair_error(TABLE, floor)


@pytest.mark.slow
def test_one_way_laws_are_those_measured() -> None:
    # Three steps have taught the network nothing yet; its columns come from the marginals.
    model, _, _ = fit(SMALL, TABLE, epsilon=20.0)
    known = Codec(schema=TABLE.schema).encode(TABLE)
    drawn = model.sample_codes(20_000, rng=np.random.default_rng(0))
    for i, size in enumerate(SIZES):
        real, made = (np.bincount(c[:, i], minlength=size) / len(c) for c in (known, drawn))
        assert 0.5 * np.abs(real - made).sum() < 0.02


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 1.0),
        ("average_decay", 0.0),
        ("clipping_norm", 0.0),
        ("learning_rate", float("nan")),
        ("hidden", 0),
        ("latent", 0),
        ("steps", 0),
        ("sample_rate", 0.0),
        ("sample_rate", 1.5),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        DpVae(**{field: value})
