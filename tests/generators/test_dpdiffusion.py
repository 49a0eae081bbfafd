"""Diffusion: independent columns before training, dependences after it."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.data.encoding import Codec
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.neural.diffusion import DiffusionModel, DpDiffusion, _loss, _network
from dpsynth.generators.neural.noising import Noising
from dpsynth.generators.neural.perceptron import Perceptron
from tests.generators.planted import SIZES, fit, pair_error, planted_table

TABLE = planted_table()
LAWS = tuple(np.full(n, 1 / n) for n in SIZES)


def untrained(walk: bool = True) -> tuple[Noising, Any]:
    import torch

    noising = Noising(laws=LAWS, ordered=(walk,) * len(SIZES), steps=6)
    return noising, _network(sum(SIZES), 8, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("walk", [True, False])
def test_an_untrained_network_draws_independent_columns(walk: bool) -> None:
    """20,000 rows, seed 1: cells of a pair within 5 standard errors of the product (alpha 1e-4)."""
    noising, network = untrained(walk)
    model = DiffusionModel(
        schema=TABLE.schema,
        total=1.0,
        noising=noising,
        denoiser=Perceptron.of(network),
        shifts=np.zeros((6, sum(SIZES))),
    )
    codes = model.sample_codes(20_000, rng=np.random.default_rng(1)).astype(int)
    for i, j in ((0, 1), (2, 4)):
        cells = SIZES[i] * SIZES[j]
        shares = np.bincount(codes[:, i] * SIZES[j] + codes[:, j], minlength=cells) / 20_000
        assert np.abs(shares - 1 / cells).max() < 5 * np.sqrt(1 / cells / 20_000)


def test_a_loss_is_the_mean_of_its_draws_and_of_one_record_alone() -> None:
    import torch

    noising, network = untrained()
    codes = torch.zeros(2000, len(SIZES), dtype=torch.int64)
    few, many = (
        _loss(noising, draws)(network, codes, torch.Generator().manual_seed(1)).detach()
        for draws in (1, 8)
    )
    assert few.shape == many.shape == (2000,)
    assert float(many.mean()) == pytest.approx(float(few.mean()), rel=0.05)
    assert float(many.var()) < 0.25 * float(few.var())  # 1/8, with room


@pytest.mark.slow
@pytest.mark.parametrize("walk", [True, False])
def test_it_learns_what_independent_columns_miss_and_keeps_the_columns(walk: bool) -> None:
    floor, _, _ = fit(Independent(), TABLE, epsilon=8.0)
    model, _, _ = fit(DpDiffusion(walk=walk), TABLE, epsilon=8.0)
    assert pair_error(TABLE, model) < 0.6 * pair_error(TABLE, floor)
    known = Codec(schema=TABLE.schema).encode(TABLE)
    drawn = model.sample_codes(20_000, rng=np.random.default_rng(0))
    for i, size in enumerate(SIZES):
        real, made = (np.bincount(c[:, i], minlength=size) / len(c) for c in (known, drawn))
        assert 0.5 * np.abs(real - made).sum() < 0.03


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 1.0),
        ("diffusion_steps", 0),
        ("draws", 0),
        ("hidden", 0),
        ("average_decay", 1.0),
        ("clipping_norm", 0.0),
        ("learning_rate", float("nan")),
        ("steps", 0),
        ("sample_rate", 1.5),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        DpDiffusion(**{field: value})
