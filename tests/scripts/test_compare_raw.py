"""The comparison of whole pipelines: the same raw records for everyone, judged on one binning."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
from compare_peers import Bout
from compare_raw import RawBout, main
from peers.contenders import RAW
from peers.running import PeerError

from dpsynth.harness.config import DatasetChoice
from dpsynth.harness.fingerprint import load_dataset

pytest.importorskip("statsmodels")


@pytest.fixture(scope="module")
def bout() -> RawBout:
    dataset = load_dataset(DatasetChoice(name="randhie"), Path())
    return RawBout(bout=Bout(dataset=dataset, seed=0, scored=("tvd_1way", "tvd_2way")))


def test_the_task_holds_raw_records_and_declared_facts(bout: RawBout, tmp_path: Path) -> None:
    task = bout.task(tmp_path)
    assert json.loads(json.dumps(task)) == task
    frame = pd.read_csv(task["records"])
    assert len(frame) == task["rows"] == 16_152
    lpi = next(of for of in task["columns"] if of["name"] == "lpi")
    assert lpi == {
        "name": "lpi",
        "missing": False,
        "categories": [],
        "whole": False,
        "lower": 0.0,
        "upper": 8.0,
    }
    # Raw, and not mid-points of 32 bins.
    assert frame["lpi"].nunique() > 500


def test_the_records_themselves_score_best(bout: RawBout, tmp_path: Path) -> None:
    task, made = bout.task(tmp_path), tmp_path / "made.csv"
    frame = pd.read_csv(task["records"])
    frame.to_csv(made, index=False)
    assert bout.judge(made)["scores"]["tvd_2way"] == 0.0
    frame.assign(lpi=frame["lpi"].sample(frac=1, random_state=0).to_numpy()).to_csv(
        made, index=False
    )
    scores = bout.judge(made)["scores"]
    assert scores["tvd_1way"] == 0.0
    assert scores["tvd_2way"] > 0.01
    frame.assign(idp="x").to_csv(made, index=False)
    with pytest.raises(PeerError, match="column 'idp' has 'x'"):
        bout.judge(made)


@pytest.mark.slow
def test_ours_runs_and_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "raw.jsonl"
    words = ["--data", "randhie", "--seeds", "1", "--only", "ours/tree", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["compare_raw.py", *words])
    main()
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row["status"] == "done"
    assert row["scores"]["tvd_2way"] < row["independent"]["tvd_2way"] * 1.5
    main()
    assert len(out.read_text().splitlines()) == 1
    assert "ours/tree" in capsys.readouterr().out
    assert {contender.project for contender in RAW} == {"ours", "dpmm", "smartnoise"}
