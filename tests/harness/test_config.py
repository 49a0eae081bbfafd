"""Experiments are read strictly: what is misspelt or mistyped is named, with the file."""

from pathlib import Path

import pytest

from dpsynth.errors import DpsynthError, UnknownNameError
from dpsynth.harness.config import AuditSettings, Experiment
from dpsynth.privacy.budget import Neighbouring

LINES = {
    "name": 'name = "x"',
    "datasets": 'datasets = ["randhie"]',
    "generators": 'generators = ["mst", {name = "mwem", label = "short", rounds = 3}]',
    "epsilons": "epsilons = [0.5, 1]",
}


def load(folder: Path, *lines: str, without: str = "", profile: str = "full") -> Experiment:
    kept = [line for key, line in LINES.items() if key != without]
    path = folder / "experiment.toml"
    path.write_text("\n".join([*kept, *lines]))
    return Experiment.load(path, profile=profile)


def test_names_and_tables(tmp_path: Path) -> None:
    found = load(tmp_path, "seeds = 3", 'relation = "replace"', "[audit]", "runs = 500")
    assert [(g.name, g.label, g.parameters) for g in found.generators] == [
        ("mst", "mst", {}),
        ("mwem", "short", {"rounds": 3}),
    ]
    assert found.epsilons == (0.5, 1.0)
    assert found.seeds == (0, 1, 2)
    assert found.relation is Neighbouring.REPLACE
    assert found.audit == AuditSettings(runs=500, alpha=0.05)


def test_a_profile_replaces_what_it_names(tmp_path: Path) -> None:
    lines = ("seeds = 3", "[profile.smoke]", "epsilons = [2]", "seeds = [7]")
    assert load(tmp_path, *lines).seeds == (0, 1, 2)
    smoke = load(tmp_path, *lines, profile="smoke")
    assert (smoke.epsilons, smoke.seeds, len(smoke.generators)) == ((2.0,), (7,), 2)
    with pytest.raises(UnknownNameError, match="unknown profile 'smok'; did you mean 'smoke'"):
        load(tmp_path, *lines, profile="smok")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("epsilns = [1]", "unknown key 'epsilns'; did you mean 'epsilons'?"),
        (
            "[profile.smoke]\nseed = 1",
            "unknown key of profile 'smoke' 'seed'; did you mean 'seeds'",
        ),
        ('epsilons = ["a"]', "epsilons[0] is 'a', but it must be a number"),
        ("epsilons = 1", "epsilons is 1, but it must be a list"),
        ("epsilons = []", "epsilons is []"),
        ("epsilons = [1, 1]", "without repetition"),
        ("epsilons = [0]", "epsilon is 0.0"),
        ("epsilons = [-1]", "epsilon is -1.0"),
        ("epsilons = [nan]", "epsilon is nan"),
        ("epsilons = [inf]", "epsilon is inf"),
        ("deltas = [1]", "delta is 1.0"),
        ('relation = "swap"', "relation is 'swap'"),
        ('generators = ["mts"]', "unknown generator 'mts'; did you mean 'mst'?"),
        ('generators = ["mst", "mst"]', "without repetition"),
        ('metrics = ["tvd_1way", {name = "tvd_1way", seed = 1}]', "without repetition"),
        ('attacks = ["linkability", {name = "linkability", targets = 9}]', "without repetition"),
        ('metrics = [{name = "tvd_1way", label = "a/b"}]', "without '/' in a label"),
        ('datasets = [{name = "a/b", path = "c", schema = "d"}]', "without '/' in a label"),
        ("generators = [{rounds = 3}]", "generators: name"),
        ('metrics = ["tvd"]', "unknown metric 'tvd'"),
        ('attacks = ["singling-out"]', "did you mean 'singling_out'"),
        ('datasets = ["randhi"]', "did you mean 'randhie'"),
        ('datasets = [{name = "mine", path = "a.csv"}]', "datasets: schema"),
        ("holdout = 1", "holdout is 1.0"),
        ("seeds = [-1]", "seeds is -1"),
        ("seeds = 0", "seeds is []"),
        ("name = 3", "name is 3, but it must be a text"),
        ("[audit]\nrun = 500", "did you mean 'runs'"),
        ("[audit]\nruns = 5", "runs is 5"),
        ("[limits]\ntimeout_seconds = 0", "timeout_seconds is 0.0"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_file(tmp_path: Path, line: str, sentence: str) -> None:
    with pytest.raises(DpsynthError) as caught:
        load(tmp_path, line, without=line.partition(" ")[0])
    assert sentence in str(caught.value)
    assert caught.value.__notes__ == [f"in {tmp_path / 'experiment.toml'}"]


@pytest.mark.parametrize("key", LINES)
def test_what_is_required_must_be_given(tmp_path: Path, key: str) -> None:
    with pytest.raises(DpsynthError, match=f"{key} is None, but it must be given"):
        load(tmp_path, without=key)
