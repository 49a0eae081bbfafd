"""The verbs that judge: what they print, what they write, and their exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest

from dpsynth.cli.judging import _print_scores
from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.evaluation.evaluate import Evaluation
from dpsynth.registry import METRICS
from tests.cli.running import runner
from tests.tables import coded_table, dependent_codes

SHAPE = (40, 30, 20, 20)


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in a folder with train.csv, control.csv and their schema."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("train", 0), ("control", 1), ("other", 2)):
        table = coded_table(dependent_codes(200, SHAPE, rng=np.random.default_rng(seed)), SHAPE)
        table.frame.to_csv(tmp_path / f"{name}.csv", index=False)
        (tmp_path / "s.toml").write_text(table.schema.to_toml())

    return runner(capsys)


def test_evaluate_prints_each_score_beside_its_references(say, tmp_path: Path) -> None:
    code, said = say(
        *("evaluate", "train.csv", "control.csv", "--schema", "s.toml", "--metric", "tvd_2way"),
        *("--holdout", "control.csv", "--out", "scores.json"),
    )
    assert code == 0, said
    assert "no privacy guarantee" in said
    assert "indep." in said
    (score,) = json.loads((tmp_path / "scores.json").read_text())
    assert score["metric"] == "tvd_2way"
    # what was scored is the hold-out, so the two differ by the sampling of the reference alone
    assert score["value"] == pytest.approx(score["holdout"], abs=0.05)
    assert score["value"] < score["independent"]


def test_a_target_alone_is_positive_at_what_is_nearest_to_half(say, tmp_path: Path) -> None:
    frame = pd.DataFrame({"kind": list("aaabbbbbbb"), "n": range(10), "same": 1})
    schema = Schema(
        columns=(
            CategoricalColumn(name="kind", categories=("a", "b", "c")),
            IntegerColumn(name="n", lower=0, upper=9),
            IntegerColumn(name="same", lower=0, upper=9),
        )
    )
    frame.sample(400, replace=True, random_state=0).to_csv(tmp_path / "r.csv", index=False)
    (tmp_path / "k.toml").write_text(schema.to_toml())
    words = ("evaluate", "r.csv", "r.csv", "--schema", "k.toml", "--holdout", "r.csv")
    for target, sentence in (("kind", "positive at 'a'"), ("n", "positive above 4")):
        code, said = say(*words, "--metric", "tstr_auc", "--target", target)
        assert code == 0, said
        assert sentence in said
    code, said = say(*words, "--metric", "tstr_auc", "--target", "same")
    assert code == 2
    assert "two values" in said


def test_lines_of_scores_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    values = (-0.00012345678, 1.2345678e-12, 0.000123456, 987.654321, -1234.5678)
    numbers = dict(zip(("value", "lower", "upper", "holdout", "independent"), values, strict=True))
    bounds = {f"{r}_{end}": 0.0 for r in ("holdout", "independent") for end in ("lower", "upper")}
    name = max(METRICS, key=len)
    score = Evaluation(metric=name, identity="", higher_is_better=True, **numbers, **bounds)
    _print_scores([score])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == [name, "-0.00012", "1.23e-12", "0.000123", "987.7", "-1235", "high"]


def test_evaluate_compares_groups(say, tmp_path: Path) -> None:
    code, said = say(
        *("evaluate", "train.csv", "control.csv", "--schema", "s.toml", "--metric", "tvd_1way"),
        *("--holdout", "control.csv", "--sensitive", "c3", "--out", "scores.json"),
    )
    assert code == 0, said
    assert "Between groups: tvd gap" in said
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["scores"][0]["metric"] == "tvd_1way"
    assert written["subgroups"]["groups"][0]["real"] > 0


def test_private_evaluation_is_charged_and_says_so(say, tmp_path: Path) -> None:
    files = ("evaluate", "train.csv", "control.csv", "--schema", "s.toml", "--private")
    code, said = say(*files, "--epsilon", "5", "--seed", "0", "--receipt", "r.json")
    assert code == 0, said
    assert "tvd_3way" in said
    assert "no privacy guarantee" not in said
    receipt = json.loads((tmp_path / "r.json").read_text())
    assert len(receipt["ledger"]["entries"]) == 3
    for wrong in ((), ("--epsilon", "1", "--metric", "tvd_1way"), ("--epsilon", "0")):
        code, said = say(*files, *wrong)
        assert code == 2, said
    code, said = say(*files[:-1], "--epsilon", "1")
    assert code == 2
    assert "--private" in said


def test_audit_prints_its_bounds_together(say, tmp_path: Path) -> None:
    code, said = say(
        *("audit", "independent", "--epsilon", "1", "--runs", "400", "--out", "verdict.json")
    )
    assert code == 0, said
    for line in ("epsilon lower", "epsilon largest measurable", "smallest detectable inflation"):
        assert line in said
    assert "{" not in said, "no raw records on the screen"
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert not verdict["violated"]
    assert verdict["looks"][0]["tests"]
    assert verdict["registration"]["sha256"] in said


@pytest.mark.parametrize(("released", "alarm"), [("train.csv", "YES"), ("other.csv", "no")])
def test_attack_finds_an_outright_copy(say, released: str, alarm: str) -> None:
    code, said = say(
        *("attack", "train.csv", released, "--schema", "s.toml"),
        *("--control", "control.csv", "--attack", "linkability"),
    )
    assert code == 0, said
    (line,) = [text for text in said.splitlines() if text.startswith(" linkability")]
    assert line.split()[-1] == alarm
    assert ("Yes: linkability succeeds" in said) == (alarm == "YES")
    assert "no privacy guarantee" in said


@pytest.mark.parametrize("columns", [40, 80, 117, 118, 200])
def test_attack_cuts_nothing_off_in_a_terminal(
    say, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    code, said = say(
        *("attack", "train.csv", "train.csv", "--schema", "s.toml", "--control", "control.csv"),
        *("--attack", "linkability", "--attack", "ranked_reconstruction", "--out", "page.json"),
    )
    assert code == 0, said
    shown = " ".join(click.unstyle(said).split()).replace(": used", "")
    for record in json.loads(Path("page.json").read_text()):
        used, never, added = (
            "{value:.1f}% ({lower:.1f} to {upper:.1f})".format_map(
                {key: 100 * number for key, number in record[name].items()}
            )
            for name in ("rate", "control", "risk")
        )
        assert f"{record['attack']} {used}" in shown
        assert never in shown
        assert added in shown


def test_attack_answers_three_questions_on_one_page(say, tmp_path: Path) -> None:
    code, said = say(
        *("attack", "train.csv", "train.csv", "--schema", "s.toml", "--control", "control.csv"),
        *("--html", "page.html", "--out", "page.json"),
    )
    assert code == 0, said
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for question in ("be singled out?", "be linked?", "be inferred about a person?"):
        assert question in said
        assert question in page
    found = json.loads((tmp_path / "page.json").read_text())
    assert len(found) == 10
    for record in found:
        label = record["attack"]
        assert label in said
        assert label in page
        assert record["risk"]["lower"] <= record["risk"]["value"] <= record["risk"]["upper"]
    assert any(record["alarm"] for record in found)
    assert page.count(">YES<") == sum(record["alarm"] for record in found)
    assert "<script" not in page


def test_attack_refuses_controls_that_are_none(say, tmp_path: Path) -> None:
    def attack(train: str, control: str) -> tuple[int, str]:
        return say("attack", train, "other.csv", "--schema", "s.toml", "--control", control)

    lines = (tmp_path / "control.csv").read_text().splitlines()
    (tmp_path / "small.csv").write_text("\n".join(lines[:31]))
    code, said = attack("train.csv", "small.csv")
    assert code == 2
    assert "has 30 records, but 142 are needed" in said
    code, said = attack("train.csv", "train.csv")
    assert code == 2
    assert "200 of the 200 control records are in the training table too" in said


def test_attack_names_the_file_that_does_not_fit_its_schema(say, tmp_path: Path) -> None:
    text = (tmp_path / "other.csv").read_text()
    (tmp_path / "odd.csv").write_text("odd" + text)
    code, said = say(
        *("attack", "train.csv", "odd.csv", "--schema", "s.toml", "--control", "control.csv"),
    )
    assert code == 2
    assert "unknown column" in said
    assert "(in odd.csv)" in said


@pytest.mark.parametrize("where", ["--html", "--out"])
def test_attack_refuses_places_before_it_works(say, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    code, said = say(
        *("attack", "train.csv", "other.csv", "--schema", "s.toml", "--control", "control.csv"),
        *(where, "file/page"),
    )
    assert code == 2
    assert "file" in said


def test_attacks_that_run_the_generator_again_need_it(say) -> None:
    files = ["train.csv", "control.csv", "--schema", "s.toml", "--control", "control.csv"]
    code, said = say("attack", *files, "--attack", "membership")
    assert code == 2
    assert "--generator is None, but it must be given, or --command" in said
    code, said = say("attack", *files, "--generator", "independent")
    assert code == 2
    assert "--epsilon" in said
    code, said = say("attack", *files, "--attack", "likability")
    assert code == 2
    assert "did you mean 'linkability'" in said


@pytest.mark.slow
def test_membership_runs_the_generator_again(say) -> None:
    code, said = say(
        *("attack", "train.csv", "other.csv", "--schema", "s.toml", "--control", "control.csv"),
        *("--attack", "membership", "--generator", "independent", "--epsilon", "1"),
    )
    assert code == 0, said
    assert "membership" in said
