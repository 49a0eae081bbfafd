"""What marginals of three attributes miss is found; where there is nothing, nothing is added."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.generators.base import Generator
from dpsynth.generators.marginal.aim import Aim
from dpsynth.generators.marginal.mst import Mst
from dpsynth.generators.marginal.privbayes import PrivBayes
from dpsynth.generators.marginal.two_stage import TwoStage
from dpsynth.generators.neural.anchored import Anchored
from dpsynth.generators.neural.chain_model import ChainModel
from dpsynth.generators.neural.interactions import Interactions
from tests.generators.planted import fit
from tests.tables import coded_table

COLUMNS = 9
PARITY = [2, 3, 4, 5]
THREE_WAY = (Mst(), Aim(), TwoStage(), PrivBayes(degree=2))


def parity_table(rows: int, *, seed: int, planted: bool = True) -> Table:
    """Fair coins, c1 mostly a copy of c0, and c5 nine times of ten the parity of c2, c3 and c4."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, (rows, COLUMNS))
    codes[:, 1] = np.where(rng.random(rows) < 0.7, codes[:, 0], codes[:, 1])
    if planted:
        flipped = rng.random(rows) < 0.1
        codes[:, 5] = codes[:, 2] ^ codes[:, 3] ^ codes[:, 4] ^ flipped
    return coded_table(codes, [2] * COLUMNS)


def parity_error(table: Table, generator: Generator, *, seed: int) -> float:
    """Total variation of the marginal of the four attributes."""
    model, _, _ = fit(generator, table, epsilon=3.0, seed=seed)
    known = Codec(schema=table.schema).encode(table).astype(np.int64)
    made = model.sample_codes(len(known), rng=np.random.default_rng(1)).astype(np.int64)
    laws = [np.bincount(c[:, PARITY] @ [8, 4, 2, 1], minlength=16) / len(c) for c in (known, made)]
    return 0.5 * float(np.abs(laws[0] - laws[1]).sum())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_parity_of_three_is_beyond_three_way_marginals(seed: int) -> None:
    table = parity_table(50_000, seed=1000 + seed)
    found = parity_error(table, Anchored(), seed=seed)
    assert found < 0.05
    assert min(parity_error(table, g, seed=seed) for g in THREE_WAY) > 0.3


@pytest.mark.slow
def test_without_one_there_is_no_advantage() -> None:
    table = parity_table(50_000, seed=1000, planted=False)
    errors = {g.name: parity_error(table, g, seed=0) for g in (Anchored(), *THREE_WAY)}
    assert max(errors.values()) < 0.02


@pytest.mark.slow
def test_where_noise_explains_all_the_model_is_left_as_it_was() -> None:
    # So little is left for DP-SGD that no interaction of this table can stand out.
    table = parity_table(400, seed=5, planted=False)
    model, private, _ = fit(Anchored(marginal_share=0.99, false_features=1e-6), table, epsilon=1.0)
    assert isinstance(model, ChainModel)
    assert isinstance(model.correction, Interactions)
    assert not any(np.any(w) for w in model.correction.weights)
    assert [e.label for e in private.ledger.entries] == ["graphical model", "dpsgd"]
    assert 0.9 < private.ledger.epsilon_spent() <= 1.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("marginal_share", 1.0),
        ("features", 0),
        ("sample_rate", 0.0),
        ("steps", 0),
        ("clipping_norm", float("inf")),
        ("noise_in_logits", 0.0),
        ("false_features", float("nan")),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        Anchored(**{field: value})
