"""The verb drift: exit codes, what it prints and writes, and mistakes in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dpsynth
from dpsynth.privacy.receipt import Receipt
from tests.cli.running import runner
from tests.tables import coded_table, dependent_codes

SIZES = (4, 3, 2)


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in a folder with a model, a batch like its records and one that is not."""
    monkeypatch.chdir(tmp_path)
    codes = dependent_codes(4000, SIZES, rng=np.random.default_rng(0))
    train, same = coded_table(codes[:2000], SIZES), coded_table(codes[2000:], SIZES)
    dpsynth.synthesize(train, generator="mst", epsilon=1.0, seed=0).save("model")
    same.frame.to_csv("same.csv", index=False)
    same.frame.assign(c0=3 - same.frame["c0"]).to_csv("other.csv", index=False)
    return runner(capsys)


def test_exit_codes_and_files(say, tmp_path: Path) -> None:
    asked = ["--epsilon", "1", "--seed", "0"]
    code, said = say("drift", "model", "same.csv", *asked)
    assert code == 0, said
    assert "no drift found: p = " in said
    files = ["--out", "drift.json", "--receipt", "r.json"]
    code, said = say("drift", "model", "other.csv", *asked, *files)
    assert code == 1, said
    assert "DRIFTED" in said
    assert "NOT FOR RELEASE" in said
    found = json.loads((tmp_path / "drift.json").read_text())
    assert found["drifted"]
    assert found["changes"][0]["columns"] == ["c0"]
    receipt = Receipt.from_json((tmp_path / "r.json").read_text())
    assert receipt.epsilon_spent <= 1.0
    assert say("drift", "model", "other.csv", "--epsilon", "1")[0] == 1  # release mode


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing", "same.csv", "--epsilon", "1"], "nothing: no such file"),
        (["model", "none.csv", "--epsilon", "1"], "none.csv"),
        (["model", "same.csv", "--epsilon", "0"], "epsilon is 0.0"),
        (["model", "same.csv", "--epsilon", "1", "--alpha", "2"], "alpha is 2.0"),
        (["model", "same.csv", "--epsilon", "1", "--out", "."], "this is a folder"),
        (["same.csv", "same.csv", "--epsilon", "1"], "not a saved model"),
    ],
)
def test_a_mistake_is_exit_code_2(say, arguments: list[str], sentence: str) -> None:
    code, said = say("drift", *arguments)
    assert code == 2
    assert sentence in said
