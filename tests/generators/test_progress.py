"""What watchers of training are told, and that watching changes nothing."""

import io
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

import dpsynth
from dpsynth.cli import training as display
from dpsynth.cli.training import TrainingDisplay
from dpsynth.generators import progress
from dpsynth.generators.base import Generator
from dpsynth.generators.neural.anchored import Anchored
from dpsynth.generators.neural.dpgan import DpGan
from dpsynth.generators.neural.vae import DpVae
from dpsynth.generators.progress import Progress, watched
from tests.generators.planted import fit, planted_table

TABLE = planted_table(500)
SMALL = DpVae(steps=12, hidden=8, latent=2)


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PAUSE", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "generator",
    [
        SMALL,
        DpGan(steps=12, hidden=8, latent=2, batch=16, replays=3),
        Anchored(steps=12, features=20),
    ],
    ids=lambda generator: generator.name,
)
def test_watchers_hear_of_every_step_and_change_nothing(
    generator: Generator, every_step: None
) -> None:
    told: list[Progress] = []
    with watched(told.append):
        model, private, _ = fit(generator, TABLE, epsilon=3.0)
    unwatched, _, _ = fit(generator, TABLE, epsilon=3.0)
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(array, unwatched.arrays()[name])
    numbers = [[x for x in astuple(p) if not isinstance(x, str)] for p in told]
    assert np.isfinite(numbers).all()
    assert all(p.gradient_norm and p.trial_loss is not None for p in told[12:])
    replays = [(p.step, p.steps, p.epsilon) for p in told if p.phase == "replays"]
    each, trained = getattr(generator, "replays", 0), told[11].epsilon
    assert replays == [(step + 1, each, trained) for step in range(each)] * 4
    assert told[-1].seconds_left == 0.0
    told = told[:12]
    assert {p.phase for p in told} == {"training"}
    assert [p.step for p in told] == list(range(1, 13))
    assert {p.steps for p in told} == {12}
    epsilons = [p.epsilon for p in told]
    assert epsilons == sorted(epsilons)
    spent = private.ledger.epsilon_spent()
    if isinstance(generator, DpGan):  # what follows training is chosen by the records, too
        assert 0 < epsilons[0] < epsilons[-1] < spent
    else:
        assert 0 < epsilons[0] < epsilons[-1] == pytest.approx(spent)
    assert told[-1].seconds_left == 0.0
    assert all(p.gradient_norm for p in told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("generator", "steps"),
    [
        (DpGan(steps=12, hidden=8, latent=2, batch=16, replays=3), 12 + 4 * 3),
        (Anchored(steps=12, features=20), 12),
    ],
    ids=["dpgan", "anchored"],
)
def test_of_training_that_a_checkpoint_does_not_keep_only_public_facts_are_told(
    generator: Generator, steps: int, every_step: None, tmp_path: Path
) -> None:
    told: list[Progress] = []
    dpsynth.synthesize(
        TABLE,
        generator=generator,
        epsilon=3.0,
        seed=3,
        progress=told.append,
        checkpoint=tmp_path / "c",
    )
    assert len(told) == steps
    assert {(p.trial_loss, p.gradient_norm) for p in told} == {(None, None)}
    assert told[-1].step == told[-1].steps
    assert told[-1].seconds_left == 0.0


@pytest.mark.slow
def test_the_front_door_takes_a_watcher() -> None:
    told: list[Progress] = []
    dpsynth.synthesize(TABLE, generator=SMALL, epsilon=3.0, seed=3, progress=told.append)
    assert told[-1].step == 12


def reported(step: int) -> Progress:
    return Progress(
        step=step, steps=50, trial_loss=2.5, gradient_norm=0.125, epsilon=0.75, seconds_left=8.0
    )


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(display, "monotonic", lambda: now[0])
    stream = io.StringIO()
    with TrainingDisplay(stream).showing() as watcher:
        for step in range(1, 51):
            now[0] += 1.0
            watcher(reported(step))
    lines = stream.getvalue().splitlines()
    assert lines == [
        f"training: step {step} of 50, loss on trial rows 2.5, noisy gradient 0.125, "
        "epsilon so far 0.75, about 8 s left"
        for step in (20, 40)
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_what_nobody_may_see_is_left_out(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(display, "_LINES_APART", 0.0)
    stream = Terminal() if terminal else io.StringIO()
    with TrainingDisplay(stream).showing() as watcher:
        watcher(replace(reported(5), trial_loss=None, gradient_norm=None))
    said = stream.getvalue()
    assert "None" not in said
    assert "loss" not in said
    assert "gradient" not in said
    assert ("ε 0.75" if terminal else "step 5 of 50, epsilon so far 0.75, about 8 s left") in said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "said"), [(io.StringIO(), "epsilon so far 0.7501,"), (Terminal(), "ε 0.751")]
)
def test_epsilon_is_shown_rounded_up(
    monkeypatch: pytest.MonkeyPatch, stream: Any, said: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(display, "_LINES_APART", 0.0)
    with TrainingDisplay(stream).showing() as watcher:
        watcher(replace(reported(5), epsilon=0.75001))
    assert said in stream.getvalue()


def test_on_a_terminal_there_is_a_bar_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    stream: Any = Terminal()
    with TrainingDisplay(stream).showing() as watcher:
        for step in (1, 25, 50, 1):
            watcher(reported(step))
    shown = stream.getvalue()
    assert "50/50" in shown
    assert "trial loss 2.5, gradient 0.125, ε 0.75" in shown


def test_replays_have_a_bar_and_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(display, "_LINES_APART", 0.0)
    told = [reported(50), *(replace(reported(step), phase="replays") for step in (1, 50))]
    shown = []
    for stream in (Terminal(), io.StringIO()):
        with TrainingDisplay(stream).showing() as watcher:
            for progress_of in told:
                watcher(progress_of)
        shown.append(stream.getvalue())
    last = shown[0][shown[0].rindex("training") :]
    assert last.count("50/50") == 2, "one bar below the other"
    assert "replays" in last
    assert "distance 2.5, gradient 0.125, ε 0.75" in last
    assert shown[1].splitlines()[-1] == (
        "replays: step 50 of 50, distance from what the critic was told 2.5, gradient 0.125, "
        "epsilon so far 0.75, about 8 s left"
    )


def test_a_terminal_stays_clean_where_nothing_is_trained() -> None:
    stream: Any = Terminal()
    with TrainingDisplay(stream).showing():
        pass
    assert stream.getvalue() == ""
