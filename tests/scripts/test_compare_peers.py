"""The comparison with peers, on stand-ins for a peer: what goes wrong becomes a row."""

import sys
from pathlib import Path
from typing import Any

import compare_peers
import numpy as np
import pytest
from peers import contenders, results, running
from peers.contenders import Contender

from dpsynth.harness.config import DatasetChoice
from dpsynth.harness.fingerprint import load_dataset
from tests.tables import coded_table
from tests.third_party.adapters import CODES, adapter
from tests.third_party.test_process import gone, wait_for

WELL = """
import json, os, shutil, sys
os.chdir(sys.argv[1])
shutil.copy("train_codes.parquet", "synthetic_codes.parquet")
json.dump({"versions": {"copy": "1"}}, open("response.json", "w"))
"""
CRASH = "raise RuntimeError('no such | thing')"
HANG = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(%r, "w").write(str(child.pid))
time.sleep(600)
"""
OUTSIDE = adapter("codes = codes + 9999\n" + CODES)


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a maker of contenders whose runner is the code given."""
    monkeypatch.setattr(contenders, "HERE", tmp_path)
    monkeypatch.setattr(running, "prepare", lambda _: Path(sys.executable))

    def make(code: str) -> Contender:
        (tmp_path / "run_stand_in.py").write_text(code)
        (tmp_path / "stand_in.txt").write_text("")
        return Contender(project="stand_in", mechanism="copy")

    return make


def options(tmp_path: Path, *words: str) -> Any:
    out = ["--out", str(tmp_path / "kept" / "peers.jsonl"), "--data", "breast_cancer"]
    return compare_peers.parse([*out, "--seeds", "2", *words])


@pytest.mark.slow
def test_a_copy_is_without_error_and_is_not_run_twice(peer: Any, tmp_path: Path) -> None:
    args, well = options(tmp_path), peer(WELL)
    rows = compare_peers.compare(args, [well])
    copies = [row for row in rows if row["contender"] == "stand_in/copy"]
    assert [row["status"] for row in copies] == ["done", "done"]
    for row in copies:
        assert row["scores"]["tvd_3way"] == 0
        assert row["scores"]["tstr_auc"] > 0.9
        assert row["seconds"] > 0
        assert 1 < row["peak_mb"] < 100  # a bare interpreter, not what forked it
        assert row["independent"]["tvd_2way"] > row["holdout"]["tvd_2way"] > 0
    private = [row for row in rows if "on real" in row["contender"]]
    assert {row["contender"] for row in private} == {
        "diffprivlib/logistic_regression, on real",
        "diffprivlib/gaussian_nb, on real",
    }
    with args.out.open("a") as file:
        file.write('{"data": "breast_ca')
    before = args.out.stat().st_mtime_ns
    assert compare_peers.compare(args, [well]) == rows
    assert args.out.stat().st_mtime_ns == before
    crash = peer(CRASH)
    again = compare_peers.compare(args, [crash])
    assert again[0]["status"].endswith("'RuntimeError: no such | thing'")
    assert len(results.load(args.out)) == len(rows) + 2
    table = results.markdown(rows + again)
    assert "| stand_in/copy | 2 of 4 |" in table
    assert "2 of 4 without a result | failed: it ended with exit code 1, having said" in table
    widths = {line.count("|") for line in table.splitlines() if line.startswith("|")}
    assert widths == {10}


def test_what_goes_wrong_is_told_in_a_line(peer: Any, tmp_path: Path) -> None:
    noted, table = tmp_path / "child", coded_table(np.array([[0, 1], [1, 0]]), (2, 2))
    task = {"train": table, "rows": 2, "seed": 0, "target": None, "epsilon": 1.0, "delta": 1e-9}
    with pytest.raises(running.PeerError, match="the integers 0 to 1"):
        running.run(peer(OUTSIDE), task, timeout=60)
    with pytest.raises(running.PeerError, match=r"it left no response\.json"):
        running.run(peer("pass"), task, timeout=60)
    with pytest.raises(running.PeerError, match="no result within 2 s"):
        running.run(peer(HANG % str(noted)), task, timeout=2)
    pid = int(noted.read_text())
    wait_for(lambda: gone(pid))


@pytest.mark.parametrize("delta", [0.0, 1e-9])
def test_pure_privacy_can_be_asked_for(delta: float) -> None:
    task = {"rows": 2, "seed": 0, "target": None, "epsilon": 1.0, "delta": delta}
    order = running._order(Contender(project="ours", mechanism="mst"), task)
    assert (order.rho is None) == (delta == 0)


def test_a_peer_without_a_release_is_a_row() -> None:
    with pytest.raises(running.PeerError, match="no release"):
        running.prepare(Contender(project="x", mechanism="y", absent="no release"))


def test_a_version_changes_with_its_pins(peer: Any, tmp_path: Path) -> None:
    one = peer(WELL)
    before = one.version
    (tmp_path / "stand_in.txt").write_text("other==1")
    assert one.version != before


def test_every_contender_has_a_runner_and_pins() -> None:
    for one in (*contenders.CONTENDERS, *contenders.RAW):
        if not one.absent:
            assert one.runner.exists()
            assert one.environment is None or one.environment.requirements.exists()
    assert len({one.name for one in contenders.CONTENDERS}) == len(contenders.CONTENDERS)


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["independent", "two_stage_label"])
def test_ours_keeps_the_contract(mechanism: str) -> None:
    bout = compare_peers.Bout(
        dataset=load_dataset(DatasetChoice(name="breast_cancer"), Path()), seed=0
    )
    ours = Contender(project="ours", mechanism=mechanism)
    task = {**bout.task(), "epsilon": 1000.0, "delta": 1e-9}
    made = running.run(ours, task, timeout=300)
    assert len(made.table) == len(bout.parts[0])
    # So few records drawn anew are off by .05, a little more or less on another processor.
    assert bout.judge(made.table)["scores"]["tvd_1way"] < 0.08


def test_an_interval_is_students() -> None:
    row = {"data": "d", "epsilon": 1.0, "delta": 0.0, "contender": "c", "status": "done"}
    numbers = [
        {**row, "seed": i, "seconds": s, "peak_mb": 1.0, "scores": {"tvd_1way": s}}
        for i, s in enumerate((1.0, 2.0, 3.0))
    ]
    # t of 2 degrees of freedom at 97.5%: 4.303; standard error 1 / sqrt(3).
    assert "| c | 3 of 3 | 2.0 ± 2.5 | 1 ± 0 | 2.0000 ± 2.4841 |" in results.markdown(numbers)


def test_ratios_are_to_the_best_peer_and_at_half_the_epsilon_too() -> None:
    def row(contender: str, epsilon: float, error: float, area: float) -> dict[str, Any]:
        scores = {"tvd_3way": error, "tstr_auc": area}
        status = "done" if error else "failed"
        return {
            "data": "d",
            "epsilon": epsilon,
            "contender": contender,
            "status": status,
            "scores": scores,
        }

    table = results.ratios(
        [
            row("ours/two_stage", 1.0, 0.30, 0.8),
            row("ours/two_stage", 0.5, 0.36, 0.7),
            row("peer/a", 1.0, 0.50, 0.6),
            row("peer/a", 1.0, 0.30, 0.6),
            row("peer/b", 1.0, 0.80, 0.9),
            row("peer/c", 1.0, 0.0, 0.0),
            row("diffprivlib/x, on real", 1.0, 0.01, 0.99),
        ]
    )
    assert "| d | 1 | 0.3000 | 0.4000 (peer/a, 2 runs) | 0.75 | 0.90 | 0.8000 | 0.9000 |" in table
    assert "| d | 0.5 |" not in table  # no peer there
