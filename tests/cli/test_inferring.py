"""Intervals and gains on the command line: tables, JSON, and a sentence for each mistake."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dpsynth.data.files import save_file
from dpsynth.synthesis import synthesize
from tests.cli.running import runner
from tests.inference.law import MEANS, SCHEMA, SLOPE, fit, records


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(SCHEMA.to_toml())
    fit(2000, seed=0, epsilon=5.0).save(tmp_path / "m.model")
    return runner(capsys)


def test_a_saved_model_says_what_it_knows(say, tmp_path: Path) -> None:
    asked = ["--slopes-of", "visits", "--on", "age", "--out", "i.json"]
    code, said = say("infer", "m.model", *asked)
    assert code == 0, said
    found = {i["quantity"]: i for i in json.loads((tmp_path / "i.json").read_text())}
    slope, mean = found["slope of visits on age"], found["mean of visits"]
    # Seed 0: within twice the half-width of an interval at 95%.
    assert abs(slope["value"] - SLOPE) < slope["upper"] - slope["lower"] < 0.5
    assert abs(mean["value"] - MEANS["visits"]) < mean["upper"] - mean["lower"] < 1
    assert len(said.splitlines()) == 2 + len(found)
    assert all(quantity in said for quantity in found)


def test_copies_are_drawn_and_combined(say, tmp_path: Path) -> None:
    code, said = say("sample", "m.model", "--copies", "4", "--rows", "200", "--out", "c.csv")
    assert code == 0, said
    names = [f"c-{i}.csv" for i in range(1, 5)]
    assert sorted(path.name for path in tmp_path.glob("c*.csv")) == names
    assert "all of them together" in said
    code, one_fit = say("infer", *names, "--schema", "s.toml", "--slopes-of", "visits")
    assert code == 0, one_fit
    assert "slope of visits on spare" in one_fit
    assert "do not tell" in one_fit
    code, apart = say("infer", *names, "--schema", "s.toml", "--apart", "--rows", "2000")
    assert code == 0, apart
    assert "mean of age" in apart
    assert apart.splitlines()[1] != one_fit.splitlines()[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["m.model", "--slopes-of", "visits"], "measured together"),
        (["m.model", "--slopes-of", "visit"], "did you mean 'visits'"),
        (["m.model", "--slopes-of", "kind"], "it must be a numeric column"),
        (["m.model", "--on", "age"], "left out without a column to explain"),
        (["m.model", "--schema", "s.toml"], "left out with a saved model"),
        (["m.model", "c.csv"], "one saved model, or several"),
        (["none.model"], "none.model"),
        (["c.csv", "d.csv"], "--schema is None, but it must be given with copies"),
        (["c.csv", "d.csv", "--schema", "s.toml", "--apart"], "--rows is None"),
        (["c.csv", "d.csv", "--schema", "s.toml", "--rows", "9"], "left out without --apart"),
        (["c.csv", "c.csv", "--schema", "s.toml"], "copies is 2, but it must be at least 3"),
    ],
)
def test_mistakes_are_one_sentence(say, tmp_path: Path, words: list[str], told: str) -> None:
    save_file(records(20, rng=np.random.default_rng(0)), tmp_path / "c.csv")
    code, said = say("infer", *words)
    assert code == 2
    assert told in said
    assert len(said.splitlines()) == 1


def test_copies_take_no_conditions_and_need_measurements(say, tmp_path: Path) -> None:
    asked = ["--copies", "4", "--out", "c.csv"]
    code, said = say("sample", "m.model", *asked, "--where", "age=2")
    assert code == 2
    assert "--where is 'age=2', but it must be left out with --copies" in said
    code, said = say("sample", "m.model", "--copies", "2", "--out", "c.csv")
    assert code == 2
    assert "at least 3" in said
    table = records(50, rng=np.random.default_rng(0))
    synthesize(table, generator="residual", epsilon=1.0, seed=0).save(tmp_path / "r.model")
    for verb in (["sample", "r.model", *asked], ["infer", "r.model"]):
        code, said = say(*verb)
        assert code == 2
        assert "noisy measurements" in said
    assert not list(tmp_path.glob("c*.csv"))


def test_a_gain_is_claimed_only_where_there_is_one(say, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for name, rows in (("few", 40), ("many", 3000), ("unseen", 1500)):
        save_file(records(rows, rng=rng), tmp_path / f"{name}.csv")
    noise = records(40, rng=rng)
    save_file(noise, tmp_path / "noise.csv")
    aim = ["--schema", "s.toml", "--target", "age", "--above", "2", "--metric", "tvd_1way"]
    held = [*aim, "--holdout", "unseen.csv", "--augment"]
    code, said = say("evaluate", "few.csv", "many.csv", *held, "--out", "e.json")
    assert code == 0, said
    assert ": a gain." in said
    record = json.loads((tmp_path / "e.json").read_text())
    assert record["augmentation"]["claimed"] is True
    assert record["augmentation"]["lower"] > 0
    assert record["scores"][0]["metric"] == "tvd_1way"
    code, said = say("evaluate", "many.csv", "noise.csv", *held)
    assert code == 0, said
    assert "no gain is claimed." in said
    for words in (aim, held[:2] + held[-3:]):
        code, said = say("evaluate", "few.csv", "many.csv", *words, "--augment")
        assert code == 2
        assert "--augment" in said
        assert "given with --target and a --holdout" in said
    private = ["--schema", "s.toml", "--private", "--epsilon", "1", "--augment"]
    code, said = say("evaluate", "few.csv", "many.csv", *private)
    assert code == 2
    assert "left out with --private" in said
