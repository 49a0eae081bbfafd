"""The bench of the marginal mechanisms: its jobs on tiny tables, and its tables of them."""

from pathlib import Path

import bench_marginal
import marginal_jobs
import numpy as np
import pandas as pd
import pytest
from bench_marginal import Bench
from peers.running import PeerError

from tests.tables import coded_schema, coded_table


def test_the_parts_of_a_fit_sum_to_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, method in (
        (marginal_jobs.CellCounter, "count_anew"),
        (marginal_jobs.Codec, "encode"),
    ):
        monkeypatch.setattr(owner, method, getattr(owner, method))  # put back after the test
    pd.DataFrame({"c0": [0, 1] * 20, "c1": [0, 2] * 20}).to_parquet(tmp_path / "r.parquet")
    (tmp_path / "s.toml").write_text(coded_schema((2, 3)).to_toml())
    found = marginal_jobs.rows(
        records=str(tmp_path / "r.parquet"), schema=str(tmp_path / "s.toml"), generator="mst"
    )
    assert set(found) == {"read", "encode", "count", "rest"}
    assert all(seconds > 0 for seconds in found.values())


def test_a_job_is_a_process_whose_last_line_is_read(tmp_path: Path) -> None:
    found, seconds, peak = bench(tmp_path).job("wide", columns=3, number=20, generator="uniform")
    assert 0 < found["fit"] < seconds
    assert 30 < peak < 1000
    with pytest.raises(PeerError, match="unknown generator 'nobody'"):
        bench(tmp_path).job("wide", columns=3, number=20, generator="nobody")


def test_a_table_says_the_load_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise PeerError("no result within 1 s")

    monkeypatch.setattr(Bench, "job", lost)
    (text,) = bench_marginal.tables(bench(tmp_path), ["wide"])
    assert "| mst | no result within 1 s |  |  |" in text
    assert "Load of the machine" in text


def test_a_command_within_limits_that_fails_is_a_line_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_marginal, "LIMITS", (("--max-memory", "10"), ("--max-seconds", "9")))
    monkeypatch.setattr(Bench, "bout", lambda _: ThreeColumns())
    low, _, fine, _ = bench_marginal.ceilings(bench(tmp_path)).rows
    assert low[:2] == ("--max-memory 10", "two_stage")
    assert "memory_mb is 10" in low[2]
    assert 0.1 < float(fine[2]) < 60
    assert float(fine[4]) == 0.25


def test_samples_are_timed_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "bout", lambda _: ThreeColumns())
    ((rows, seconds, _, a_minute),) = bench_marginal.sampling(bench(tmp_path)).rows
    assert rows == "10"
    assert float(seconds) * int(a_minute) == pytest.approx(600, rel=0.1)
    assert len(pd.read_parquet(tmp_path / "rows.parquet")) == 10


class ThreeColumns:
    """A bout of 100 records of three columns, whose judge always says .25."""

    parts = (coded_table(np.random.default_rng(0).integers(0, 2, (100, 3)), (2, 2, 2)),)

    @staticmethod
    def judge(_: object) -> dict[str, dict[str, float]]:
        return {"scores": {"tvd_3way": 0.25}}


def bench(folder: Path) -> Bench:
    return Bench(
        data="randhie", rows=(10,), columns=3, fits=1, timeout=60, peers=False, folder=folder
    )
