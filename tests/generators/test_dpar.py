"""The autoregressive network learns, and is the same in NumPy."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.neural.autoregressive import DpAutoregressive
from dpsynth.generators.neural.nade import Nade, nade_network, nade_outputs
from tests.generators.planted import SIZES, fit, pair_error, planted_table

TABLE = planted_table()
SMALL = DpAutoregressive(steps=3, hidden=8)


@pytest.mark.slow
def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE, epsilon=8.0)
    model, _, _ = fit(DpAutoregressive(), TABLE, epsilon=8.0)
    assert pair_error(TABLE, model) < 0.5 * pair_error(TABLE, floor)


def test_numpy_and_torch_agree_and_no_place_sees_what_comes_later() -> None:
    import torch

    order = (5, 2, 3, 0, 1, 4)
    rng = np.random.default_rng(0)
    laws = [rng.dirichlet(np.ones(size)) for size in SIZES]
    network: Any = nade_network(SIZES, order, hidden=7, generator=torch.Generator().manual_seed(1))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))
    codes = np.stack([rng.integers(0, size, 50) for size in SIZES], axis=1)
    outputs = nade_outputs(network, torch.as_tensor(codes), laws, order)
    trained = Nade.from_arrays("x", Nade.of(network, laws, order).arrays("x"))
    for place in range(len(SIZES)):
        plain = outputs[place].detach().numpy()
        np.testing.assert_allclose(trained.logits(codes, place), plain, atol=1e-4)
        later = codes.copy()
        later[:, list(order[place:])] = 0
        np.testing.assert_array_equal(trained.logits(later, place), trained.logits(codes, place))
        masked = nade_outputs(network, torch.as_tensor(later), laws, order)[place]
        np.testing.assert_allclose(masked.detach().numpy(), plain, atol=1e-6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("one_way_share", 1.0),
        ("average_decay", 0.0),
        ("clipping_norm", 0.0),
        ("learning_rate", float("nan")),
        ("warm_up", 1.0),
        ("hidden", 0),
        ("steps", 0),
        ("sample_rate", 1.5),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        DpAutoregressive(**{field: value})
