"""The verb tune: private records under the ledger, public ones by trials, and never the reverse."""

from pathlib import Path
from typing import Any

import pytest

from dpsynth.privacy.events import RepeatedEvent, StoppingLaw
from dpsynth.privacy.receipt import Receipt
from dpsynth.synthesis import Synthesis
from tests.cli.running import runner
from tests.generators.planted import planted_table


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    table = planted_table(400)
    table.frame.to_csv("r.csv", index=False)
    Path("s.toml").write_text(table.schema.to_toml())
    Path("g.toml").write_text("noise_weight = [0.3, 0.6]\n")
    both = ["--schema", "s.toml", "--generator", "mwem", "--grid", "g.toml", "--epsilon", "3"]
    given = runner(capsys)
    return lambda *more: given("tune", *more, *both, "--set", "rounds=2", "--seed", "1")


def test_private_records_are_tuned_under_the_ledger(run: Any) -> None:
    written = ["--out", "m.dps", "--receipt", "r.json"]
    code, said = run("r.csv", "--mean-runs", "1.5", "--law", "geometric", *written)
    assert code == 0, said
    assert "all runs together" in said
    receipt = Receipt.from_json(Path("r.json").read_text())
    event = receipt.entries[0].event
    assert isinstance(event, RepeatedEvent)
    assert (event.mean_runs, event.stopping) == (1.5, StoppingLaw.GEOMETRIC)
    assert len(receipt.entries) == 1
    assert len(Synthesis.load("m.dps").sample(7)) == 7


@pytest.mark.parametrize("places", [("--out", "p"), ("--out", "m.dps", "--receipt", "p")])
def test_a_place_that_cannot_be_written_is_refused_before_the_runs(
    run: Any, places: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("p").mkdir()
    monkeypatch.setattr("dpsynth.tuning.random_stopping.tune", None)
    code, said = run("r.csv", *places)
    assert code == 2
    assert said.startswith("dpsynth: p: ")


@pytest.mark.parametrize(
    "option", [("--trials", "9"), ("--utility", "tvd_1way"), ("--target", "c0")]
)
def test_naive_tuning_is_refused_with_its_reason(run: Any, option: tuple[str, str]) -> None:
    code, said = run("r.csv", *option, "--out", "m.dps")
    assert code == 2
    assert option[0] in said
    assert "which one wins tells of them" in said
    assert not Path("m.dps").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "records"),
        (("r.csv", "--public", "r.csv"), "records"),
        (("--public", "r.csv", "--mean-runs", "4"), "--mean-runs"),
        (("--public", "r.csv", "--law", "poisson"), "--law"),
        (("--public", "r.csv", "--simulated", "50"), "records"),
        (("--simulated", "50", "--receipt", "r.json"), "--receipt"),
        (("--simulated", "1"), "rows"),
    ],
)
def test_other_mixtures_are_refused(run: Any, arguments: tuple[str, ...], named: str) -> None:
    code, said = run(*arguments, "--out", "m.dps")
    assert code == 2
    assert named in said


def test_a_simulated_table_needs_the_schema_alone(run: Any) -> None:
    pytest.importorskip("optuna", reason="the extra 'tuning' is not installed")
    Path("r.csv").unlink()
    code, said = run("--simulated", "300", "--trials", "2", "--out", "p.toml")
    assert code == 0, said
    assert "tuned on simulated records: tvd_2way" in Path("p.toml").read_text()
    lines = said.rstrip().splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["trial 1 of 2", "trial 2 of 2"]
    assert all("best so far" in line for line in lines[:2])
    assert lines[-1].endswith("on simulated records.")


def test_a_metric_of_prediction_is_told_what_to_predict(run: Any) -> None:
    pytest.importorskip("optuna", reason="the extra 'tuning' is not installed")
    asked = ("--public", "r.csv", "--trials", "1", "--out", "p.toml", "--utility", "tstr_auc")
    code, said = run(*asked)
    assert code == 2
    assert "tstr_auc" in said
    code, said = run(*asked, "--target", "c5", "--above", "0")
    assert code == 0, said
    assert "tstr_auc" in Path("p.toml").read_text()


def test_public_records_are_tuned_by_trials(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna", reason="the extra 'tuning' is not installed")
    chosen = ["--utility", "tvd_1way", "--out", "p.toml"]
    code, said = run("--public", "r.csv", "--trials", "2", *chosen)
    assert code == 0, said
    head = Path("p.toml").read_text()
    assert "tvd_1way" in head
    assert "simulated epsilon of 3, best of 2 trials" in head
    common = ["synthesize", "r.csv", "--schema", "s.toml", "--epsilon", "1", "--out", "o.csv"]
    given = runner(capsys)
    taken = [*common, "--parameters", "p.toml", "--seed", "0", "--model", "m.dps"]
    code, said = given(*taken, "--generator", "mwem")
    assert code == 0, said
    generator: Any = Synthesis.load("m.dps").generator
    assert generator.rounds == 2
    assert generator.noise_weight in (0.3, 0.6)
    code, said = given(*taken, "--generator", "aim")
    assert code == 2
    assert "'mwem', whose parameters are in p.toml" in said
