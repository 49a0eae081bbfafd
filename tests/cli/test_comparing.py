"""compare, split, import and bench, as a person gives them."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import runner
from tests.tables import coded_table, dependent_codes

EXPERIMENT = """
name = "x"
datasets = [{name = "mine", path = "data.csv", schema = "schema.toml"}]
generators = ["independent", "uniform"]
epsilons = [1]
seeds = 2
metrics = ["tvd_1way"]
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    table = coded_table(dependent_codes(400, (4, 3), rng=np.random.default_rng(0)), (4, 3))
    table.frame.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "schema.toml").write_text(table.schema.to_toml())
    (tmp_path / "x.toml").write_text(EXPERIMENT)
    return tmp_path


@pytest.mark.slow
def test_a_store_is_swept_added_to_and_compared(experiment: Path, capsys) -> None:
    run = runner(capsys)
    store, file = str(experiment / "store"), str(experiment / "train.csv")
    assert run("sweep", str(experiment / "x.toml"), "--out", store)[0] == 0
    where = ("--dataset", "mine", "--seed", "1", "--folder", str(experiment))
    code, said = run("split", store, *where, "--out", file)
    assert (code, "REAL training records" in said) == (0, True)
    assert len(Path(file).read_text().splitlines()) == 201
    who = ("--generator", "copy", "--epsilon", "1")
    code, said = run("import", file, "--store", store, *where, *who)
    assert (code, "claim not verified" in said) == (0, True)
    code, said = run("compare", store)
    assert code == 0
    assert "copy (not verified)" in said
    assert (experiment / "store" / "leaderboard" / "leaderboard.html").exists()
    who = ("--generator", "uniform", "--epsilon", "1")
    code, said = run("import", file, "--store", store, *where, *who)
    assert (code, "no generator of the experiment has" in said) == (2, True)
    code, said = run("compare", store, "--metric", "tvd_9way")
    assert (code, "tvd_1way" in said) == (2, True)


def test_bench_counts_and_refuses(capsys, tmp_path: Path) -> None:
    run = runner(capsys)
    code, said = run("bench", "list")
    assert (code, "marginals" in said) == (0, True)
    code, said = run("bench", "run", "all", "--out", str(tmp_path / "s"), "--dry-run")
    assert (code, "more than one suite" in said) == (2, True)
    code, said = run("bench", "run", "marginals", "--dry-run", "--out", str(tmp_path / "s"))
    assert (code, "to run" in said) == (0, True)
    assert not (tmp_path / "s").exists()
    code, said = run("bench", "run", "marginal")
    assert (code, "'marginals'" in said) == (2, True)
    code, said = run("bench", "run", "audit", "--workers", "0")
    assert (code, "--workers is 0" in said) == (2, True)
    there = ("bench", "run", "marginals", "--cluster", "tcp://127.0.0.1:9")
    code, said = run(*there, "--workers", "2", "--out", str(tmp_path / "s"))
    assert (code, "left out with --cluster" in said) == (2, True)
