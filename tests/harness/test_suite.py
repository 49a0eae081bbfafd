"""The suites: what they run changes with their version alone, and the page says how many cells."""

import re
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest

from dpsynth.errors import UnknownNameError
from dpsynth.harness import suite as module
from dpsynth.harness.suite import ALL, PROFILES, SUITES, load_suites
from dpsynth.harness.sweep import make_plan
from dpsynth.registry import ATTACKS, DATASETS, GENERATORS, METRICS

PAGE = (Path(__file__).parents[2] / "experiments" / "README.md").read_text(encoding="utf-8")

# A file that changes needs a new version in its name, and its line here.
WRITTEN = {
    ("marginals", 1): "bf29e9c43d922e5e",
    ("neural", 1): "abf9bcdd28295d0b",
    ("audit", 2): "55fc6f84dcfdd905",
}


@pytest.mark.parametrize("name", SUITES)
def test_what_a_suite_runs_changes_with_its_version_alone(name: str) -> None:
    text = (Path(module.__file__).parent / "suites" / f"{name}.toml").read_bytes()
    (suite,) = load_suites(name, profile="paper")
    assert WRITTEN[name, suite.version] == sha256(text).hexdigest()[:16]


@pytest.mark.parametrize("profile", PROFILES)
def test_all_names_in_suites_are_registered(profile: str) -> None:
    suites = load_suites(ALL, profile=profile)
    assert [s.name for s in suites] == list(SUITES)
    assert len({s.store for s in suites}) == len(SUITES)
    for e in (s.experiment for s in suites):
        assert {d.name for d in e.datasets} <= set(DATASETS)
        assert {g.name for g in e.generators} <= set(GENERATORS)
        assert {m.name for m in e.metrics} <= set(METRICS)
        assert {a.name for a in e.attacks} <= set(ATTACKS)


@pytest.mark.parametrize("name", SUITES)
def test_the_page_counts_the_cells_of_the_smoke_profile(name: str) -> None:
    if find_spec("torch") is None or find_spec("statsmodels") is None:
        pytest.skip("the page counts cells of an installation with torch and statsmodels")
    (suite,) = load_suites(name, profile="smoke")
    cells = len(make_plan(suite.experiment).cells)
    assert re.search(rf"^\| `{name}` \| {suite.version} \| `smoke` \|.*\| {cells} \|", PAGE, re.M)


def test_smoke_needs_no_data_but_what_packages_bring() -> None:
    for suite in load_suites(ALL, profile="smoke"):
        assert {d.name for d in suite.experiment.datasets} == {"randhie"}


def test_a_name_that_is_none_is_one_sentence() -> None:
    with pytest.raises(UnknownNameError, match="marginals"):
        load_suites("marginal", profile="smoke")
    with pytest.raises(UnknownNameError, match="paper"):
        load_suites("neural", profile="papr")
