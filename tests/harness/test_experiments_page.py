"""experiments/README.md: every file and key is there, counts are right, the example loads."""

import re
import tomllib
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from dpsynth.data.datasets.sources import shared_folder
from dpsynth.errors import FileError
from dpsynth.harness.config import AuditSettings, DatasetChoice, Experiment, Limits
from dpsynth.harness.sweep import make_plan

FOLDER = Path(__file__).parents[2] / "experiments"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
FILES = sorted(FOLDER.glob("*.toml"))
PROFILES = [
    (path, profile)
    for path in FILES
    for profile in ("full", *tomllib.loads(path.read_text(encoding="utf-8")).get("profile", {}))
]


@pytest.mark.parametrize(("path", "profile"), PROFILES, ids=lambda v: getattr(v, "name", v))
def test_the_page_counts_the_cells_of_every_profile(path: Path, profile: str) -> None:
    if find_spec("torch") is None or find_spec("statsmodels") is None:
        pytest.skip("the page counts cells of an installation with torch and statsmodels")
    experiment = Experiment.load(path, profile=profile)
    files = [experiment.folder / d.path for d in experiment.datasets if d.path]
    if not all(file.exists() for file in files):
        pytest.skip("scripts/write_public_tables.py has not been run")
    try:
        kinds = [cell.kind for cell in make_plan(experiment).cells]
    except FileError:
        try:
            shared_folder()
        except FileError as absence:
            pytest.skip(str(absence))
        raise
    counted = f"{len(kinds)} ({kinds.count('release')} releases, {kinds.count('audit')} audits)"
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| `{path.name}` |")]
    assert [counted in line for line in lines if f"`{profile}`" in line.split("|")[2]] == [True]


def test_the_page_explains_every_key() -> None:
    explained = set(re.findall(r"^\| `\[?([\w.]+)\]?` \|", PAGE, re.M))
    top = {f.name for f in fields(Experiment)} - {"folder", "limits"}
    sections = {"audit": AuditSettings, "limits": Limits}
    nested = {f"{name}.{f.name}" for name, cls in sections.items() for f in fields(cls)}
    choices = {f.name for f in fields(DatasetChoice)} | {"label", "accountant", "only"}
    assert top | nested | choices | {"profile.NAME"} <= explained


def test_the_example_of_the_page_loads(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert example
    file = tmp_path / "example.toml"
    file.write_text(example[1], encoding="utf-8")
    assert [g.label for g in Experiment.load(file).generators] == ["mst", "mst, more picks"]
    assert Experiment.load(file, profile="smoke").epsilons == (1.0,)
