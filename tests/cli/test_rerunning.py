"""Attacks that run again what is no generator of this library: a factory, or a command."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import runner
from tests.tables import coded_table, dependent_codes

SHAPE = (20, 20, 20, 20, 20)
FILES = ("train.csv", "train.csv", "--schema", "s.toml", "--control", "control.csv")

# Copies of records, and rows of the same columns drawn apart.
TOOLS = """
import shutil
import sys

class Copies:
    def fit(self, frame):
        self.frame = frame
    def sample(self, n):
        return self.frame.head(n)

class Apart(Copies):
    def __init__(self, seed):
        self.seed = seed
    def sample(self, n):
        import pandas as pd
        columns = {c: self.frame[c].sample(n, replace=True, random_state=self.seed + i)
                   .to_numpy() for i, c in enumerate(self.frame)}
        return pd.DataFrame(columns)

if __name__ == "__main__":
    if sys.argv[1] == "fail":
        sys.exit("no licence")
    if sys.argv[3:] and int(sys.argv[3]) % 5 == 0:
        sys.exit("now and then")
    shutil.copy(sys.argv[1], sys.argv[2])
"""


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in a folder with train.csv, control.csv, their schema and tools."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "rerun_tools", raising=False)
    (tmp_path / "rerun_tools.py").write_text(TOOLS)
    for name, seed in (("train", 0), ("control", 1)):
        table = coded_table(dependent_codes(200, SHAPE, rng=np.random.default_rng(seed)), SHAPE)
        table.frame.to_csv(tmp_path / f"{name}.csv", index=False)
        (tmp_path / "s.toml").write_text(table.schema.to_toml())
    return runner(capsys)


def command(*words: str) -> str:
    return shlex.join([sys.executable, "rerun_tools.py", *words])


@pytest.mark.slow
@pytest.mark.parametrize(("factory", "alarm"), [("Copies", True), ("Apart", False)])
def test_a_factory_is_run_again(say, tmp_path: Path, factory: str, alarm: bool) -> None:
    code, said = say(
        *("attack", *FILES, "--attack", "lira", "--generator", f"rerun_tools:{factory}"),
        *("--out", "found.json"),
    )
    assert code == 0, said
    (found,) = json.loads((tmp_path / "found.json").read_text())
    assert found["alarm"] == alarm
    assert (found["risk"]["lower"] > 0) == alarm


@pytest.mark.slow
def test_a_command_is_run_again(say, tmp_path: Path) -> None:
    code, said = say(
        *("attack", *FILES, "--attack", "lira", "--out", "found.json"),
        *("--command", command("{input}", "{output}")),
    )
    assert code == 0, said
    (found,) = json.loads((tmp_path / "found.json").read_text())
    assert found["alarm"]
    assert found["notes"] == []


@pytest.mark.slow
def test_a_command_that_fails_now_and_then_is_attacked_all_the_same(say, tmp_path: Path) -> None:
    code, said = say(
        *("attack", *FILES, "--attack", "lira", "--out", "found.json", "--html", "page.html"),
        *("--command", command("{input}", "{output}", "{seed}")),
    )
    assert code == 0, said
    (found,) = json.loads((tmp_path / "found.json").read_text())
    assert found["alarm"]
    (note,) = found["notes"]
    assert "of 24 runs gave no records to attack, the first: 'exit code 1: now and then'." in note
    assert note in " ".join(said.split())
    assert "now and then" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--command", command("{input}")), "one that says {output}"),
        (
            ("--command", command("fail", "{input}", "{output}")),
            "9 of 9 shadow runs of the attack 'lira' failed, so that fewer than the 8 needed can "
            "give records; the first failed with 'exit code 1: no licence'.",
        ),
        (
            ("--command", command("{input}", "{output}"), "--generator", "mst"),
            "left out where --generator is given",
        ),
        (("--command", command("{input}", "{output}", "{epsilon}")), "--epsilon is None"),
        (("--command", command("{input}", "{output}"), "--set", "a=1"), "--set"),
        (("--generator", "rerun_tools:Copies", "--set", "a=1"), "--set"),
        (("--generator", "rerun_tools:Nobody"), "Nobody"),
        (("--generator", "rerun_tools:Copies", "--epsilon", "0"), "epsilon"),
    ],
)
def test_mistakes_end_in_a_sentence(say, options: tuple[str, ...], sentence: str) -> None:
    code, said = say("attack", *FILES, "--attack", "lira", *options)
    assert code == 2, said
    assert sentence in said
    assert "Traceback" not in said
