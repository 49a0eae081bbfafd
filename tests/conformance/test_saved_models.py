"""What every generator's saved model must keep: it travels, and it is whole or refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dpsynth.errors import FileError
from dpsynth.registry import GENERATORS
from dpsynth.synthesis import Synthesis
from tests.conformance.short import narrow
from tests.conformance.test_generators import NAMES, NEURAL, fit, mixed

ELSEWHERE = """
import sys, warnings
from dpsynth import load
for name in sys.argv[1:]:
    model = load(f"models/{name}")
    print(name, model.receipt.epsilon_spent, model.sample(20).frame.to_csv(index=False).encode())
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_or_altered_model_is_refused(name: str, tmp_path: Path) -> None:
    """100 cuts and 200 altered bytes, at random (seed 0)."""
    path = tmp_path / "model"
    fit(name, mixed(60)).save(path)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for i in range(300):
        position = int(rng.integers(len(content)))
        altered = bytearray(content)
        altered[position] ^= int(rng.integers(1, 256))
        path.write_bytes(content[:position] if i % 3 == 0 else altered)
        with pytest.raises(FileError):
            Synthesis.load(path)
    path.write_bytes(content)
    assert Synthesis.load(path).generator == narrow(name)


def test_models_load_in_another_process_and_folder(tmp_path: Path) -> None:
    names = [name for name in GENERATORS if name not in NEURAL]
    wanted = []
    for name in names:
        model = fit(name, mixed(60))
        model.save(tmp_path / "models" / name)
        text = model.sample(20).frame.to_csv(index=False).encode()
        wanted.append(f"{name} {model.receipt.epsilon_spent} {text}")
    found = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *names],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines() == wanted
