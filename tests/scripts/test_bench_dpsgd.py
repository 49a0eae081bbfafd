"""The bench of training steps: every way moves its weights, and the figures are filled."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra 'neural' is not installed")
pytest.importorskip("opacus", reason="the extra 'neural' is not installed")

import bench_dpsgd


@pytest.mark.slow
def test_figures_of_a_small_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    whole = bench_dpsgd.network

    def watched():
        made.append(whole())
        return made[-1]

    monkeypatch.setattr(bench_dpsgd, "network", watched)
    bench_dpsgd.main(["--batches", "16", "--steps", "2", "--out", str(tmp_path / "f.json")])
    found = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert set(found["samples_per_cpu_second"]["16"]) == set(bench_dpsgd.WAYS)
    assert found["share_of_non_private"]["16"]["non-private"] == 1.0
    first = next(whole().parameters()).detach().numpy()
    assert len(made) == len(bench_dpsgd.WAYS)
    for module in made:
        moved = np.abs(next(module.parameters()).detach().numpy() - first).max()
        assert 0 < moved < 1
