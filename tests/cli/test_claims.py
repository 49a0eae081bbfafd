"""The verb audit: what it prints beforehand, what it runs, and what it refuses in one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest

from dpsynth.audit.planted.noises import Faulty
from tests.cli.running import runner

SCHEMA = """
[[column]]
name = "a"
kind = "categorical"
categories = ["no", "yes"]
"""
COPY = "cp {input} {output}"


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(SCHEMA)
    (tmp_path / "d.csv").write_text("a\n" + "no\n" * 30 + "yes\n")
    return runner(capsys)


def test_what_it_will_look_at_is_printed_first(say, tmp_path: Path) -> None:
    code, said = say("audit", "mst", "--epsilon", "2", "--runs", "400", "--out", "v.json")
    assert code == 0, said
    before, after = said.split("\naudit", 1)
    for line in ("pairs", "scores", "looks", "alpha", "sha256"):
        assert f"\n{line}" in before
    for line in ("epsilon lower", "mu lower", "largest measurable", "detectable inflation"):
        assert line in after
    report = json.loads((tmp_path / "v.json").read_text())
    assert report["registration"]["sha256"] in before
    assert len(report["registration"]["pairs"]) == 3


def test_a_tool_that_copies_its_input_is_caught(say) -> None:
    code, said = say(
        *("audit", "--command", COPY, "--schema", "s.toml", "--epsilon", "1", "--delta", "0"),
        *("--runs", "50", "--cache", "kept"),
    )
    assert code == 1
    assert "VIOLATED" in said
    assert list(Path("kept").iterdir())


def test_a_table_gives_its_most_exposed_records(say) -> None:
    code, said = say(
        *("audit", "independent", "--epsilon", "1", "--runs", "400"),
        *("--table", "d.csv", "--schema", "s.toml", "--records", "2"),
    )
    assert code == 0, said
    assert "vulnerable record 2" in said


def test_one_run_says_what_it_is(say) -> None:
    code, said = say("audit", "independent", "--epsilon", "4", "--one-run")
    assert code == 0
    assert "not a certificate" in said


def test_one_run_without_noise_contradicts_the_claim(
    say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*, rng: np.random.Generator) -> Faulty:
        return Faulty(rng=rng, spread=0.01)

    monkeypatch.setattr("dpsynth.audit.one_run.ResearchNoise", silent)
    code, said = say("audit", "independent", "--epsilon", "1", "--one-run", "--out", "v.json")
    assert code == 1
    assert "VIOLATED" in said
    report = json.loads((tmp_path / "v.json").read_text())
    assert report["violated"]
    assert report["epsilon_lower"] > 1.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "GENERATOR is None"),
        (("mst", "--command", "x"), "GENERATOR is 'mst'"),
        (("mst", "--runs", "10"), "runs is 10, but it must be at least 50"),
        (("mst", "--alpha", "0"), "alpha is 0.0"),
        (("mst", "--table", "d.csv"), "--schema is None"),
        (("mst", "--table", "no.csv", "--schema", "s.toml"), "no.csv"),
        (("mst", "--table", "d.csv", "--schema", "s.toml", "--records", "99"), "records is 99"),
        (("mst", "--black-box", "--workers", "9"), "workers is 9"),
        (("nosuch",), "unknown generator 'nosuch'"),
        (("os:getcwd",), "--schema is None"),
        (("os:getcwd", "--schema", "s.toml"), "has no attribute 'fit'"),
        (("os:getcwd", "--one-run"), "--one-run"),
        (("mst", "--one-run", "--table", "d.csv", "--schema", "s.toml"), "left out with --one-run"),
        (("mst", "--one-run", "--runs", "300"), "--runs is 300, but it must be left out"),
        (("mst", "--one-run", "--records", "1"), "--records is 1, but it must be left out"),
        (("mst", "--one-run", "--black-box"), "--black-box is True, but it must be left out"),
        (("mst", "--one-run", "--cache", "kept"), "--cache is 'kept', but it must be left out"),
        (("--command", COPY, "--one-run"), "--command is 'cp"),
        (("mst", "--one-run", "--relation", "replace"), "relation is 'replace'"),
        (("mst", "--cache", "kept"), "left out without --black-box"),
        (("mst", "--workers", "2"), "left out without --black-box"),
        (("mst", "--records", "2"), "--records is 2, but it must be left out without --table"),
        (
            ("os:getcwd", "--schema", "s.toml", "--accountant", "gdp"),
            "--accountant is 'gdp', but it must be left out",
        ),
        (("--command", "tool {input}", "--schema", "s.toml"), "says {output}"),
        (("--command", "nosuchtool {input} {output}", "--schema", "s.toml"), "nosuchtool"),
        (("--command", COPY), "--schema is None"),
        (("--command", COPY, "--schema", "s.toml", "--set", "a=1"), "left out for a command"),
        (("--command", "false {input} {output}", "--schema", "s.toml"), "exit code 1"),
    ],
)
def test_mistakes_are_one_sentence(say, arguments: tuple[str, ...], sentence: str) -> None:
    code, said = say("audit", *arguments, "--epsilon", "1")
    assert code == 2, said
    assert sentence in said.splitlines()[-1]
