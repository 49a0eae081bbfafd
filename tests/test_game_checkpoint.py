"""A killed game or descent goes on: what was bought is kept, what is free is made again."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

import dpsynth
from dpsynth.archive import read_parts
from dpsynth.generators.base import Generator
from dpsynth.generators.neural import replaying, snapshots
from dpsynth.generators.neural.anchored import Anchored
from dpsynth.generators.neural.dpctgan import DpCtgan
from dpsynth.generators.neural.dpgan import DpGan
from dpsynth.generators.neural.replaying import Transcript
from dpsynth.privacy.noise import NoiseSource, ReleaseNoise, ResearchNoise
from dpsynth.synthesis import Synthesis
from tests.generators.planted import planted_table
from tests.test_checkpoint import Killed, assert_same, dying

TABLE = planted_table(300)
STEPS = 8
SIZES: dict[str, Any] = {"steps": STEPS, "hidden": 4, "latent": 2, "batch": 16, "replays": 6}
GAMES = [DpGan(**SIZES), DpCtgan(**SIZES, critic_noise=5.0), DpGan(**SIZES, critic_steps=3)]


def run(path: Path | None, game: Generator, *, seed: int | None = 4) -> Synthesis:
    return dpsynth.synthesize(TABLE, checkpoint=path, generator=game, epsilon=3.0, seed=seed)


@pytest.fixture(autouse=True)
def snapshots_of_every_third_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 1e6).tolist())
    monkeypatch.setattr(snapshots, "monotonic", lambda: next(clock))
    monkeypatch.setattr(snapshots, "_APART", 4.0)


def killed(path: Path, game: Generator, at: tuple[type, str, int], *, seed: int | None = 4) -> None:
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, *at)
        with pytest.raises(Killed):
            run(path, game, seed=seed)


def drawn_to_the_end(path: Path, game: Generator, noise: type[NoiseSource]) -> int:
    """Return how many steps' noise is drawn by a run to its end."""
    with pytest.MonkeyPatch.context() as patch:
        counted = dying(patch, noise, "normal", None)
        run(path, game, seed=4 if noise is ResearchNoise else None)
    return counted[0]


@pytest.mark.parametrize("game", GAMES, ids=["dpgan", "dpctgan", "slow maker"])
def test_killed_three_times_it_ends_with_the_same_bits(game: Generator, tmp_path: Path) -> None:
    path = tmp_path / "c"
    killed(path, game, (ResearchNoise, "normal", 2))  # before there is a snapshot
    killed(path, game, (ResearchNoise, "normal", 6))  # between two of them
    killed(path, game, (Transcript, "revive", 4))  # in replays
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = run(path, game)
    assert_same(found, run(None, game))


@pytest.mark.parametrize("noise", [ResearchNoise, ReleaseNoise])
def test_no_step_that_was_kept_is_drawn_again(noise: type[NoiseSource], tmp_path: Path) -> None:
    game, seed = GAMES[0], 4 if noise is ResearchNoise else None
    killed(tmp_path / "a", game, (noise, "normal", 2), seed=seed)
    assert drawn_to_the_end(tmp_path / "a", game, noise) == STEPS
    killed(tmp_path / "b", game, (noise, "normal", 6), seed=seed)
    assert 0 < drawn_to_the_end(tmp_path / "b", game, noise) < STEPS
    killed(tmp_path / "c", game, (Transcript, "revive", 4), seed=seed)
    assert drawn_to_the_end(tmp_path / "c", game, noise) == 0


def test_a_descent_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    path, descent = tmp_path / "c", Anchored(steps=STEPS)
    killed(path, descent, (ResearchNoise, "normal", 2))
    killed(path, descent, (ResearchNoise, "normal", 6))
    with pytest.MonkeyPatch.context() as patch:  # all steps are kept, the model is not
        patch.setattr("dpsynth.checkpoint.packed", _kill)
        with pytest.raises(Killed):
            run(path, descent)
    assert drawn_to_the_end(path, descent, ResearchNoise) == 0
    with pytest.warns(UserWarning, match="has ended"):
        found = run(path, descent)
    assert_same(found, run(None, descent))


def _kill(*_: object) -> bytes:
    raise Killed


def test_a_long_game_of_which_not_every_step_is_noted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "_MOST", 700)
    game = GAMES[0]
    for nth in (6, 3):
        killed(tmp_path / "c", game, (ResearchNoise, "normal", nth))
    parts = read_parts(tmp_path / "c")
    noted, taken = (
        np.load(io.BytesIO(next(content for name, content in parts.items() if name.endswith(end))))
        for end in ("transcript.steps.npy", "session.taken.npy")
    )
    assert 1 <= len(noted) < taken
    assert_same(run(tmp_path / "c", game), run(None, game))


def test_the_file_tells_no_batch_size_of_release_mode(tmp_path: Path) -> None:
    path = tmp_path / "c"
    killed(path, GAMES[1], (Transcript, "revive", 1), seed=None)
    names = {name.split("/")[-1] for name in read_parts(path)}
    assert "noise.json" not in names
    assert not any(name.startswith("session.generator") for name in names)
    assert {"transcript.steps.npy", "session.taken.npy"} <= names
