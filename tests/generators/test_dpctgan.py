"""Modes are runs of bought histograms, conditions the record's own, codes drawn from the law."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.data.encoding import Codec  # noqa: E402
from dpsynth.data.schema import IntegerColumn, Schema  # noqa: E402
from dpsynth.data.table import Table  # noqa: E402
from dpsynth.errors import InvalidValueError  # noqa: E402
from dpsynth.generators.baselines.independent import Independent  # noqa: E402
from dpsynth.generators.neural.dpctgan import CtganModel, DpCtgan, Layout, _Conditional  # noqa: E402
from dpsynth.generators.neural.modes import Modes  # noqa: E402
from tests.generators.planted import fit, pair_error, planted_table  # noqa: E402
from tests.tables import coded_table  # noqa: E402

TABLE = planted_table()
LAW = np.array([0.2, 0.15, 0.05, 0.01, 0.01, 0.02, 0.2, 0.25, 0.06, 0.05])


def test_a_heavy_code_is_a_mode_and_a_missing_one_stands_alone() -> None:
    modes = Modes.of(LAW, most=4, missing=True)
    assert modes.first.tolist() == [0, 1, 6, 7, 9]
    assert modes.mode.tolist() == [0, 1, 1, 1, 1, 1, 2, 3, 3, 4]
    assert modes.shares(LAW) == pytest.approx([0.2, 0.24, 0.2, 0.31, 0.05])


def test_the_tail_beside_a_heavy_code_is_cut_where_it_tells_most() -> None:
    tail = np.full(40, 0.002)
    tail[19] = 0.04
    modes = Modes.of(np.array([0.882, *tail]), most=4, missing=False)
    assert modes.first.tolist() == [0, 1, 20, 21]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("most", [1, 2, 5, 30])
def test_modes_are_as_many_as_asked_for_and_cover_all_codes(most: int, missing: bool) -> None:
    modes = Modes.of(LAW, most=most, missing=missing)
    assert len(modes.first) == min(most + missing, 10)
    assert modes.first[0] == 0
    assert (np.diff(modes.first) > 0).all()
    assert (modes.mode == len(modes.first) - 1).sum() == 1 or not missing


def test_what_hardly_any_record_has_is_not_cut() -> None:
    assert Modes.of(np.array([0.999, *[0.0001] * 10]), most=8, missing=False).first.tolist() == [
        0,
        1,
    ]


def test_codes_are_drawn_from_the_law_within_their_mode() -> None:
    """50,000 draws, seed 0: a total variation of .004 is what chance leaves, .2 an even draw."""
    modes = Modes.of(LAW, most=2, missing=True)
    rng = np.random.default_rng(0)
    mode = rng.choice(3, size=50_000, p=modes.shares(LAW))
    codes = modes.drawn(LAW, mode, rng=rng)
    assert np.array_equal(modes.mode[codes], mode)
    assert 0.5 * np.abs(np.bincount(codes, minlength=10) / 50_000 - LAW).sum() < 0.01


def test_a_draw_at_the_end_of_all_shares_stays_in_its_mode() -> None:
    class Ending:
        def random(self, n: int) -> Any:
            return np.full(n, 1.0 - 2.0**-53)

    law = np.full(10, 0.1)  # whose sum, added up, is below 1
    modes = Modes.of(law, most=3, missing=False)
    rng: Any = Ending()
    last = modes.drawn(law, np.arange(3), rng=rng)
    assert np.array_equal(last, [*(modes.first[1:] - 1), 9])


def test_a_record_is_judged_beside_its_own_mode_in_a_column_drawn_for_it() -> None:
    modes = (Modes.plain(2), Modes.of(LAW, most=2, missing=False))
    layout = Layout(modes=modes, laws=(np.array([0.5, 0.5]), LAW))
    players = _Conditional(
        DpCtgan(hidden=4), layout, device=torch.device("cpu"), rng=np.random.default_rng(0)
    )
    seen: list[Any] = []

    class Critic(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            seen.append(x)
            return x[:, :1]

    codes = torch.tensor([[1, 3]] * 400)
    players.displeasure(Critic(), codes, torch.Generator().manual_seed(0))
    [row] = seen
    mode = layout.modes[1].mode[3]
    assert mode == 0, "a code is not a mode"
    own = torch.tensor([0.0, 1.0, *np.eye(2)[mode]], dtype=torch.float32)
    assert torch.equal(row[:, :4], own.expand(400, 4))
    condition = row[:, 4:]
    first, second = condition[:, 1].sum(), condition[:, 2 + mode].sum()
    assert condition.sum() == 400 == first + second
    assert 150 < first < 250  # either column, whatever the record holds
    fakes = players.fakes(50, torch.Generator().manual_seed(1))
    assert fakes.shape == (50, 4)
    assert (fakes < 2).all(), "modes, and conditions"
    seen.clear()
    players.displeasure(Critic(), fakes, torch.Generator())
    ones = torch.eye(2)
    assert torch.equal(seen[0][:, :4], torch.cat([ones[fakes[:, 0]], ones[fakes[:, 1]]], 1))
    assert torch.equal(seen[0][:, 4:], torch.eye(4)[2 * fakes[:, 2] + fakes[:, 3]])


@pytest.mark.slow
def test_it_learns_what_independent_columns_miss_without_collapse() -> None:
    floor, _, _ = fit(Independent(), TABLE, epsilon=8.0)
    model, private, _ = fit(DpCtgan(), TABLE, epsilon=8.0)
    assert pair_error(TABLE, model) < 0.75 * pair_error(TABLE, floor)
    drawn = model.sample_codes(4000, rng=np.random.default_rng(0))
    assert len(np.unique(drawn, axis=0)) > 400, "of 1440 possible rows"
    labels = [entry.label for entry in private.ledger.entries]
    assert labels == ["one-way marginals", "dpsgd"]


@pytest.mark.slow
def test_long_ordered_columns_keep_the_laws_measured() -> None:
    rng = np.random.default_rng(0)
    wide = np.clip(rng.normal(20, 6, size=(5000, 1)).astype(int), 0, 39)
    table = coded_table(np.concatenate([wide, wide // 20], axis=1), (40, 2))
    model, _, _ = fit(DpCtgan(steps=3, most_modes=3, hidden=8, replays=3), table, epsilon=20.0)
    drawn = model.sample_codes(20_000, rng=np.random.default_rng(0))
    known = Codec(schema=table.schema).encode(table)
    shares = [np.bincount(c[:, 0], minlength=40) / len(c) for c in (known, drawn)]
    assert 0.5 * np.abs(shares[0] - shares[1]).sum() < 0.05


def test_a_missing_value_is_a_mode_of_its_own() -> None:
    column = IntegerColumn(name="c0", lower=0, upper=19, missing=True)
    values = pd.array([*range(18), *[19] * 30, None, None], dtype="Int64")
    table = Table.from_frame(Schema(columns=(column,)), pd.DataFrame({"c0": values}))
    model, _, _ = fit(DpCtgan(steps=1, most_modes=3, hidden=2, replays=1), table, epsilon=500.0)
    assert isinstance(model, CtganModel)
    assert model.layout.modes[0].first[-1] == 20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("most_modes", 0),
        ("one_way_share", 1.0),
        ("clipping_norm", 0.0),
        ("critic_rate", 0.0),
        ("learning_rate", float("nan")),
        ("critic_steps", 0),
        ("hidden", 0),
        ("latent", 0),
        ("batch", 0),
        ("replays", 0),
        ("replay_batch", 0),
        ("replay_rate", 0.0),
        ("replay_decay", -0.1),
        ("critic_noise", float("inf")),
        ("spectral_norm", 0.0),
        ("temperature", -1.0),
        ("steps", 0),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        DpCtgan(**{field: value})
