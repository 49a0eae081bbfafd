"""The autoencoder learns dependences, and names what is out of range."""

from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.neural.vae import DpVae
from tests.generators.planted import fit, pair_error, planted_table

TABLE = planted_table()
SMALL = DpVae(steps=3, hidden=8, latent=2)


@pytest.mark.slow
def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE, epsilon=8.0)
    model, _, _ = fit(DpVae(), TABLE, epsilon=8.0)
    assert pair_error(TABLE, model) < 0.5 * pair_error(TABLE, floor)


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
