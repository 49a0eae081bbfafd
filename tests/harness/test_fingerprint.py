"""A change of code that can change a row changes the fingerprint; any other does not."""

import shutil
from pathlib import Path

import pytest

import dpsynth
from dpsynth.harness.fingerprint import code_hash

ROOT = Path(dpsynth.__file__).parent


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the package's sources that `code_hash` reads."""
    copy = tmp_path / "dpsynth"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(dpsynth, "__file__", str(copy / "__init__.py"))
    return copy


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        *[(f"harness/{name}.py", True) for name in ("attacks", "cell", "claims", "references")],
        ("generators/marginal/mst.py", True),
        ("privacy/noise.py", True),
        ("harness/store.py", False),
        ("report/html.py", False),
        ("cli/options.py", False),
    ],
)
def test_what_computes_rows_counts(package: Path, name: str, counts: bool) -> None:
    before = code_hash({})
    file = package / name
    file.write_bytes(file.read_bytes() + b"\n# changed\n")
    assert (code_hash({}) != before) is counts


def test_a_new_file_of_the_harness_counts(package: Path) -> None:
    before = code_hash({})
    (package / "harness" / "new.py").write_text("")
    assert code_hash({}) != before
