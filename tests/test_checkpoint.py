"""A run that is killed at any moment goes on: same bits, same ledger, nothing drawn twice."""

import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")

import dpsynth
from dpsynth.curator.journal import Journal
from dpsynth.errors import DpsynthError, FileError, InvalidValueError, TrainingError
from dpsynth.generators import progress
from dpsynth.generators.base import Generator
from dpsynth.generators.neural import snapshots
from dpsynth.generators.neural.dpgan import DpGan
from dpsynth.generators.neural.vae import DpVae
from dpsynth.generators.progress import Progress
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise
from dpsynth.synthesis import Synthesis
from tests.generators.planted import planted_table

TABLE = planted_table(300)
STEPS = 8
SMALL = DpVae(steps=STEPS, hidden=4, latent=2)


class Killed(BaseException):
    """What no handler of the library catches."""


def run(path: Path, *, seed: int | None = 4, **named: Any) -> Synthesis:
    arguments: dict[str, Any] = {"generator": SMALL, "epsilon": 3.0, "seed": seed}
    return dpsynth.synthesize(TABLE, checkpoint=path, **(arguments | named))


@pytest.fixture(autouse=True)
def snapshots_of_every_third_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 1e6).tolist())
    monkeypatch.setattr(snapshots, "monotonic", lambda: next(clock))
    monkeypatch.setattr(snapshots, "_APART", 5.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Synthesis:
    return run(tmp_path_factory.mktemp("whole") / "c")


def assert_same(found: Synthesis, expected: Synthesis) -> None:
    arrays, wanted = found.model.arrays(), expected.model.arrays()
    assert set(arrays) == set(wanted)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, wanted[name])
    assert found.receipt.to_json() == expected.receipt.to_json()
    assert found.sample(50).frame.equals(expected.sample(50).frame)


def dying(monkeypatch: pytest.MonkeyPatch, cls: type, method: str, nth: int | None) -> list[int]:
    """Let the n-th call of a method, from now, be the process's last, and count them."""
    calls = [0]
    inner = getattr(cls, method)

    def mortal(self: Any, *arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth:
            raise Killed
        return inner(self, *arguments, **named)

    monkeypatch.setattr(cls, method, mortal)
    return calls


def test_a_checkpoint_changes_no_bit_of_an_undisturbed_run(whole: Synthesis) -> None:
    plain = dpsynth.synthesize(TABLE, generator=SMALL, epsilon=3.0, seed=4)
    assert_same(whole, plain)


def test_a_run_that_has_ended_says_whose_model_it_gives(whole: Synthesis, tmp_path: Path) -> None:
    path = tmp_path / "c"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        run(path)
    with pytest.warns(UserWarning, match="records it had then"):
        again = run(path)
    assert_same(again, whole)


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 3, 6, 7, 8, 11, 14])
def test_killed_at_any_draw_it_goes_on_with_the_same_bits(
    nth: int, whole: Synthesis, tmp_path: Path
) -> None:
    # 6 draws of marginals' noise, then 8 of gradients'; killed once more 3 draws later
    path = tmp_path / "c"
    with pytest.MonkeyPatch.context() as patch:
        marginals = nth <= 6
        method = "gaussian" if marginals else "normal"
        dying(patch, ResearchNoise, method, nth if marginals else nth - 6)
        with pytest.raises(Killed):
            run(path)
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, ResearchNoise, "normal", 4)
        with suppress(Killed):
            run(path)
    assert_same(run(path), whole)


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_killed_before_or_after_a_write_it_goes_on_with_the_same_bits(
    nth: int, whole: Synthesis, tmp_path: Path
) -> None:
    path = tmp_path / "c"
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, Journal, "_put", nth)
        with pytest.raises(Killed):
            run(path)
    assert_same(run(path), whole)


def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count the draws of release noise from now on."""
    counts = {"gaussian": 0, "normal": 0}
    for method in counts:
        inner = getattr(ReleaseNoise, method)

        def told(
            self: Any, *given: Any, method: str = method, inner: Any = inner, **named: Any
        ) -> Any:
            counts[method] += 1
            return inner(self, *given, **named)

        monkeypatch.setattr(ReleaseNoise, method, told)
    return counts


@pytest.mark.slow
def test_release_mode_draws_nothing_again_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, ReleaseNoise, "normal", 7)
        with pytest.raises(Killed):
            run(path, seed=None)
    kept = path.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        counts = counted(patch)
        first = run(path, seed=None)
        assert counts["gaussian"] == 0, "the marginals were kept"
        assert 0 < counts["normal"] < STEPS, "some steps were kept"
        again = run(path, seed=None)
        assert counts["normal"] < STEPS, "the model was kept"
    assert path.read_bytes() != kept
    assert again.receipt.to_json() == first.receipt.to_json()
    for name, array in again.model.arrays().items():
        np.testing.assert_array_equal(array, first.model.arrays()[name])
    labels = [entry.label for entry in first.receipt.entries]
    assert labels == ["one-way marginals", "dpsgd"], "each charge stands there once"


@pytest.mark.slow
def test_nothing_is_shown_that_might_be_drawn_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_PAUSE", 0.0)
    told: list[Progress] = []
    path = tmp_path / "c"
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, ReleaseNoise, "normal", 7)
        with pytest.raises(Killed):
            run(path, seed=None, progress=told.append)
    with pytest.MonkeyPatch.context() as patch:
        counts = counted(patch)
        run(path, seed=None)
    steps_kept = STEPS - counts["normal"]
    assert 0 < max(p.step for p in told) <= steps_kept


@pytest.mark.slow
@pytest.mark.parametrize(
    "wild",
    [
        DpVae(steps=STEPS, hidden=4, latent=2, learning_rate=1e30),
        DpGan(steps=STEPS, hidden=4, latent=2, critic_rate=1e38, spectral_norm=1e38),
    ],
    ids=lambda wild: wild.name,
)
def test_a_failure_that_was_told_is_not_tried_again(wild: Generator, tmp_path: Path) -> None:
    path = tmp_path / "c"
    sentences = []
    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            counts = counted(patch)
            with pytest.raises(TrainingError) as failure:
                run(path, seed=None, generator=wild)
        sentences.append((str(failure.value), counts["normal"]))
    assert sentences[0][0] == sentences[1][0]
    assert sentences[1][1] == 0
    assert sentences[0][1] > 0


@pytest.mark.slow
def test_an_altered_file_or_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    run(path)
    content = path.read_bytes()
    others: list[tuple[dict[str, Any], str]] = [
        ({"seed": 5}, "another seed"),
        ({"seed": None}, "another seed"),
        ({"epsilon": 2.0}, "another budget"),
        ({"generator": DpVae(steps=9, hidden=4, latent=2)}, "other parameters"),
    ]
    for other, said in others:
        with pytest.raises(FileError, match=said):
            run(path, **other)
    for at in (40, len(content) // 2, len(content) - 20):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(FileError, match=r"damaged|saved model"):
            run(path)
    path.write_bytes(content[:-1])
    with pytest.raises(FileError):
        run(path)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"generator": "independent"}, "fixed plans"),
        ({"accountant": "zcdp"}, "fixed plans"),
        ({"limits": "seconds"}, "limit on seconds"),
    ],
)
def test_what_could_not_be_gone_on_with_is_refused(
    named: dict[str, Any], said: str, tmp_path: Path
) -> None:
    from dpsynth.generators.limits import Limits

    if "limits" in named:
        named = {"limits": Limits(seconds=5.0)}
    with pytest.raises(InvalidValueError, match=said):
        run(tmp_path / "c", **named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_file_holds_no_record_and_no_draws_of_release_mode(tmp_path: Path) -> None:
    from dpsynth.archive import read_parts

    path = tmp_path / "c"
    with pytest.MonkeyPatch.context() as patch:
        dying(patch, ReleaseNoise, "normal", 7)
        with pytest.raises(Killed):
            run(path, seed=None)
    names = set(read_parts(path))
    assert "noise.json" not in names
    assert not any("generator" in name for name in names), "its state would tell batch sizes"
    assert any("network" in name for name in names)


@pytest.mark.slow
def test_one_file_serves_one_run_at_a_time(tmp_path: Path) -> None:
    path, refusals = tmp_path / "c", []

    def nested(_: Progress) -> None:
        if not refusals:
            with pytest.raises(DpsynthError, match="another run") as refusal:
                run(path)
            refusals.append(refusal)

    run(path, progress=nested)
    assert refusals


_COMMAND = """
import sys
from dpsynth.generators.neural import snapshots
snapshots._APART = 0.1
from dpsynth.cli import main
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_kill_minus_nine(tmp_path: Path) -> None:
    TABLE.frame.to_csv(tmp_path / "d.csv", index=False)
    (tmp_path / "s.toml").write_text(TABLE.schema.to_toml(), encoding="utf-8")
    random = np.random.default_rng(12)

    def command(name: str) -> list[str]:
        words = (
            "synthesize d.csv --schema s.toml --generator dpvae --set steps=400 --epsilon 3 "
            f"--seed 1 --out {name}.csv --model {name}.model --receipt {name}.json "
            f"--checkpoint {name}.ckpt"
        )
        return [sys.executable, "-c", _COMMAND, *words.split()]

    environment = {**os.environ, "PYTHONPATH": str(Path(dpsynth.__file__).parents[1])}
    subprocess.run(command("a"), cwd=tmp_path, env=environment, check=True, capture_output=True)
    kills = 0
    for _ in range(2):
        with subprocess.Popen(
            command("b"), cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL
        ) as process:
            before = os.stat(tmp_path / "b.ckpt").st_mtime_ns if kills else 0
            while process.poll() is None:
                path = tmp_path / "b.ckpt"
                if path.exists() and path.stat().st_mtime_ns != before:
                    break
                time.sleep(0.02)
            time.sleep(float(random.uniform(0.0, 0.5)))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
    subprocess.run(command("b"), cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert kills >= 1
    for kind in ("csv", "json", "model"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
