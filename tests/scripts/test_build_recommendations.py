"""Scores of a store take the place of those of the same keys, and of no others."""

import sys
from pathlib import Path

import build_recommendations
import pandas as pd
import pytest

from dpsynth.cli import main
from dpsynth.errors import InvalidValueError
from dpsynth.recommendation.benchmark import FOLDER

EXPERIMENT = """
name = "one cell"
datasets = ["randhie"]
generators = ["independent"]
epsilons = [1]
seeds = 1
holdout = {holdout}
metrics = ["tvd_1way", "tvd_2way"]
"""


def swept(folder: Path, *, holdout: float = 0.2) -> Path:
    pytest.importorskip("statsmodels", reason="the extra 'datasets' is not installed")
    text = EXPERIMENT.format(holdout=holdout)
    (folder / "one.toml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["sweep", str(folder / "one.toml"), "--out", str(folder / "store"), "--workers", "1"])
    assert not ended.value.code
    return folder / "store"


def built(monkeypatch: pytest.MonkeyPatch, out: Path, *options: str) -> pd.DataFrame:
    monkeypatch.setattr(sys, "argv", ["build", *options, "--out", str(out)])
    build_recommendations.main()
    return pd.read_csv(out / "scores.csv")


@pytest.mark.slow
def test_an_update_replaces_what_the_store_has_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(swept(tmp_path))
    alone = built(monkeypatch, tmp_path, store)
    assert len(alone) == 1
    found = built(monkeypatch, tmp_path, store, "--update")
    known = pd.read_csv(FOLDER / "scores.csv")
    assert found.columns.tolist() == known.columns.tolist()
    keys = ["dataset", "generator", "epsilon", "delta"]
    changed = found.merge(known, on=keys, how="outer", suffixes=("", "_known"), indicator=True)
    assert set(changed["_merge"]) == {"both"}
    other = changed["tvd_2way"] != changed["tvd_2way_known"]
    [row] = changed[other].to_dict("records")
    assert (row["dataset"], row["generator"], row["epsilon"]) == ("randhie", "independent", 1.0)
    assert row["tvd_2way"] == alone["tvd_2way"][0]
    facts = [(f / "datasets.csv").read_text() for f in (tmp_path, FOLDER)]
    assert facts[0] == facts[1]


@pytest.mark.slow
def test_an_update_from_another_hold_out_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(swept(tmp_path, holdout=0.5))
    with pytest.raises(InvalidValueError, match="rows of randhie"):
        built(monkeypatch, tmp_path, store, "--update")
