"""Notebooks run from first cell to last, and are kept without what a run leaves in them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RUNNER = ROOT / "scripts" / "run_notebooks.py"


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_no_outputs_and_no_absolute_paths(path: Path) -> None:
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/", "".join(cell["source"]))


def execute(path: Path) -> "subprocess.CompletedProcess[str]":
    pytest.importorskip("nbclient", reason="the extra 'dev' is not installed")
    command = [sys.executable, str(RUNNER), str(path), "--timeout", "120"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_runs_to_its_end(path: Path) -> None:
    done = execute(path)
    assert done.returncode == 0, done.stderr
    assert f"ok {path.name}" in done.stdout


@pytest.mark.slow
def test_a_failing_cell_is_told(tmp_path: Path) -> None:
    notebook = json.loads(NOTEBOOKS[0].read_text())
    cell = {"cell_type": "code", "id": "x", "metadata": {}, "execution_count": None, "outputs": []}
    notebook["cells"] = [cell | {"source": ["raise RuntimeError('broken on purpose')"]}]
    broken = tmp_path / "broken.ipynb"
    broken.write_text(json.dumps(notebook))
    done = execute(broken)
    assert done.returncode == 1
    assert "broken on purpose" in done.stderr
