"""Modes come from bought histograms, conditions from the record itself, cuts keep columns' laws."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'neural' is not installed")

from dpsynth.data.encoding import Codec  # noqa: E402
from dpsynth.errors import InvalidValueError  # noqa: E402
from dpsynth.generators.baselines.independent import Independent  # noqa: E402
from dpsynth.generators.neural.dpctgan import DpCtgan, Layout, _Conditional  # noqa: E402
from dpsynth.generators.neural.modes import Modes, blocks  # noqa: E402
from tests.generators.planted import fit, pair_error, planted_table  # noqa: E402
from tests.tables import coded_table  # noqa: E402

TABLE = planted_table()
LAW = np.array([0.2, 0.15, 0.05, 0.01, 0.01, 0.02, 0.2, 0.25, 0.06, 0.05])


def test_modes_are_runs_around_the_peaks_and_a_missing_code_stands_alone() -> None:
    modes = Modes.of(LAW, most=2, missing=True)
    assert modes.first.tolist() == [0, 4, 9]
    assert modes.mode.tolist() == [0] * 4 + [1] * 5 + [2]
    assert modes.lengths.tolist() == [4, 5, 1]
    assert blocks([modes], [LAW])[0] == pytest.approx([0.41, 0.54, 0.05])


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("most", [1, 2, 5, 30])
def test_codes_come_back_from_modes_and_numbers(most: int, missing: bool) -> None:
    modes = Modes.of(LAW, most=most, missing=missing)
    assert len(modes.first) <= most + missing
    assert (np.abs(modes.numbers) <= 1.0).all()
    back = modes.code(modes.mode, modes.numbers, modes.even_cuts())
    assert back.tolist() == list(range(10))
    for number in (-1.0, 1.0):  # the ends stay within their mode
        found = modes.code(modes.mode, np.full(10, number), modes.even_cuts())
        assert np.array_equal(modes.mode[found], modes.mode)


def test_fitted_cuts_give_codes_their_shares_in_order() -> None:
    modes = Modes.of(LAW, most=2, missing=True)
    rng = np.random.default_rng(0)
    mode = rng.choice(3, size=50_000, p=blocks([modes], [LAW])[0])
    number = np.tanh(rng.normal(0.4, 0.3, size=50_000))  # nothing like the law
    codes = modes.code(mode, number, modes.fitted_cuts(LAW, mode, number))
    assert 0.5 * np.abs(np.bincount(codes, minlength=10) / 50_000 - LAW).sum() < 0.01
    inside = mode == 1
    order = np.argsort(number[inside])
    assert (np.diff(codes[inside][order]) >= 0).all()


def test_a_record_is_judged_beside_its_own_mode_in_a_column_drawn_for_it() -> None:
    layout = Layout(modes=(Modes.plain(2), Modes.of(LAW, most=2, missing=False)))
    laws = np.concatenate(blocks(layout.modes, [np.array([0.5, 0.5]), LAW]))
    players = _Conditional(
        DpCtgan(hidden=4),
        layout,
        laws,
        device=torch.device("cpu"),
        rng=np.random.default_rng(0),
    )
    seen: list[Any] = []

    class Critic(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            seen.append(x)
            return x[:, :1]

    codes = torch.tensor([[1, 7]] * 400)
    players.displeasure(Critic(), codes, torch.Generator().manual_seed(0))
    [row] = seen
    mode, number = layout.modes[1].mode[7], layout.modes[1].numbers[7]
    own = [0.0, 1.0, *np.eye(2)[mode], number]
    assert torch.allclose(row[:, :5], torch.tensor(own, dtype=torch.float32))
    condition = row[:, 5:]
    first, second = condition[:, 1].sum(), condition[:, 2 + mode].sum()
    assert condition.sum() == 400 == first + second
    assert 150 < first < 250  # either column, whatever the record holds
    fakes = players.fakes(50, torch.Generator().manual_seed(1))
    assert fakes.shape == (50, 4)
    assert ((fakes[:, 0] < 2) & (fakes[:, 1] < 10) & (fakes[:, 2] < 2)).all()


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
        ("spectral_norm", 0.0),
        ("temperature", -1.0),
        ("steps", 0),
    ],
)
def test_hyperparameters_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        DpCtgan(**{field: value})
