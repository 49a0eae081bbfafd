"""Releases of others: judged like a store's own, marked, kept, or refused in a sentence."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.files import save_file
from dpsynth.errors import DpsynthError, InvalidValueError
from dpsynth.harness.cell import run_cell
from dpsynth.harness.config import Experiment
from dpsynth.harness.external import Claim, Judge
from dpsynth.harness.progress import Progress
from dpsynth.harness.release import generation_seed, split
from dpsynth.harness.store import UNVERIFIED, Store, read
from dpsynth.harness.sweep import Plan, make_plan, run_sweep, to_plain
from dpsynth.report.html import write_report
from dpsynth.synthesis import build_generator, synthesize
from tests.tables import coded_table, dependent_codes

TABLE = coded_table(dependent_codes(400, (4, 3), rng=np.random.default_rng(0)), (4, 3))
EXPERIMENT = """
name = "x"
datasets = [{name = "mine", path = "data.csv", schema = "schema.toml"}]
generators = ["independent"]
epsilons = [1]
seeds = 2
metrics = ["tvd_1way", "tvd_2way", "tstr_auc"]
attacks = [
    "linkability",
    {name = "linkability", label = "on one alone", only = ["independent"]},
    {name = "membership", shadows = 8, releases = 4, rows = 20},
]
"""


def planned(folder: Path) -> Plan:
    TABLE.frame.to_csv(folder / "data.csv", index=False)
    (folder / "schema.toml").write_text(TABLE.schema.to_toml())
    path = folder / "experiment.toml"
    path.write_text(EXPERIMENT)
    return make_plan(Experiment.load(path))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with a plan of which nothing has run."""
    plan, store = planned(tmp_path), Store(tmp_path / "store")
    store.write_plan(to_plain(plan.experiment), [c.id for c in plan.cells], [])
    return store


def claim(**changes) -> Claim:
    return Claim(**{"generator": "theirs", "dataset": "mine", "epsilon": 2.0, **changes})


def test_it_is_judged_as_a_cell_of_the_experiment_would_be(store: Store, tmp_path: Path) -> None:
    (cell,) = [c for c in planned(tmp_path).cells if c.seed == 0]
    own = {r.metric: r for r in run_cell(cell).rows if r.kind == "utility"}
    train, _ = split(TABLE, 0.5, cell.stream("split", "mine"))
    made = synthesize(
        train,
        generator=build_generator("independent", {}),
        epsilon=1.0,
        seed=generation_seed(cell),
        delta=1e-9,
    ).sample()
    save_file(made, tmp_path / "made.csv")
    judge = Judge(store, folder=tmp_path)
    found = judge.judge(tmp_path / "made.csv", claim(epsilon=1.0))
    theirs = {r.metric: r for r in found.rows if r.kind == "utility"}
    assert {m: (r.value, r.holdout, r.identity) for m, r in theirs.items()} == {
        m: (r.value, r.holdout, r.identity) for m, r in own.items()
    }
    assert judge.split("mine", 0)[0].frame.equals(train.frame)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_it_is_marked_and_outlives_a_sweep(store: Store, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"made{suffix}"
    save_file(TABLE, file)
    judge = Judge(store, folder=tmp_path)
    first = judge.judge(file, claim(source="a friend"))
    again = judge.judge(file, claim(source="a friend"))
    assert again.cell == first.cell
    assert judge.judge(file, claim(source="a stranger")).cell != first.cell
    store.write_plan(store.experiment(), [], [])
    rows = read(store.path)
    assert set(rows["mode"]) == {UNVERIFIED}
    assert set(rows["generator"]) == {"theirs"}
    assert rows["epsilon_spent"].isna().all()
    assert set(rows.loc[rows["kind"] == "attack", "metric"]) == {"linkability"}
    assert first.receipt is None
    assert first.settings["generator"]["parameters"]["source"] == "a friend"
    page = write_report(store.path, tmp_path / "report").read_text(encoding="utf-8")
    assert "<b>Claim not verified:</b> 2 of the cells" in page
    assert "theirs (not verified)" in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generator": "independent"}, "no generator of the experiment has"),
        ({"generator": " "}, "a name"),
        ({"dataset": "mien"}, "'mine'"),
        ({"seed": 5}, "0, 1"),
        ({"epsilon": 0.0}, "above 0"),
        ({"epsilon": float("inf")}, "finite"),
        ({"delta": 1.0}, "below 1"),
    ],
)
def test_a_claim_that_does_not_fit_is_one_sentence(
    store: Store, tmp_path: Path, changes: dict, said: str
) -> None:
    save_file(TABLE, tmp_path / "made.csv")
    with pytest.raises(DpsynthError, match=said):
        Judge(store, folder=tmp_path).judge(tmp_path / "made.csv", claim(**changes))
    assert store.imported() == []


def test_records_that_do_not_fit_the_schema_leave_no_cell(store: Store, tmp_path: Path) -> None:
    frame = TABLE.frame
    wrong = [frame.iloc[:0], frame.iloc[:, :1], frame.map(lambda v: "never heard of")]
    for i, records in enumerate(wrong):
        pd.DataFrame(records).to_csv(tmp_path / f"{i}.csv", index=False)
        with pytest.raises(DpsynthError):
            Judge(store, folder=tmp_path).judge(tmp_path / f"{i}.csv", claim())
    with pytest.raises(DpsynthError, match="no such file"):
        Judge(store, folder=tmp_path).judge(tmp_path / "none.csv", claim())
    assert store.imported() == []


@pytest.mark.parametrize("others", [[], ["breast_cancer"]])
def test_other_records_than_the_stores_are_refused(
    store: Store, tmp_path: Path, others: list[str]
) -> None:
    experiment = store.experiment()
    experiment["datasets"] += [{"name": name} for name in others]
    store.write_plan(experiment, [], [])
    save_file(TABLE, tmp_path / "made.csv")
    judge = Judge(store, folder=tmp_path)
    judge.judge(tmp_path / "made.csv", claim())
    TABLE.frame.iloc[:300].to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(DpsynthError, match="other records"):
        judge.judge(tmp_path / "made.csv", claim(seed=1))
    for name in others:
        judge.split(name, 0)


def test_a_later_plan_may_not_call_a_generator_as_imported_records_are(
    store: Store, tmp_path: Path
) -> None:
    save_file(TABLE, tmp_path / "made.csv")
    Judge(store, folder=tmp_path).judge(tmp_path / "made.csv", claim())
    before = store.plan()
    path = tmp_path / "experiment.toml"
    path.write_text(EXPERIMENT.replace('["independent"]\ne', '[{name="mst", label="theirs"}]\ne'))
    wanted = make_plan(Experiment.load(path))
    with pytest.raises(InvalidValueError, match="'theirs'"):
        next(run_sweep(wanted, store, progress=Progress(io.StringIO())))
    assert store.plan() == before
