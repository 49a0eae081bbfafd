"""The verb recommend: what it prints beside a name, what it writes, what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dpsynth.registry import DATASETS
from tests.cli.running import runner


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in a folder with the schema of digits, which is no registered measurement."""
    monkeypatch.chdir(tmp_path)
    schema = DATASETS.get("digits")().table.schema
    (tmp_path / "s.toml").write_text(schema.to_toml(), encoding="utf-8")
    return runner(capsys)


def test_a_recommendation_comes_with_its_regret_and_warnings(say, tmp_path: Path) -> None:
    metrics = ("--metric", "workload_error", "--metric", "tvd_1way")
    code, said = say("recommend", "s.toml", "--epsilon", "1", *metrics, "--out", "advice.json")
    assert code == 0, said
    assert "no data set like this: 65 columns" in said
    assert "(rows not looked at)" in said
    assert max(map(len, said.splitlines())) <= 80
    written = json.loads((tmp_path / "advice.json").read_text(encoding="utf-8"))
    assert [r["metric"] for r in written] == ["workload_error", "tvd_1way"]
    for found in written:
        assert f"\n{found['metric']} (low is best): {found['generator']}\n" in said
        (line,) = [
            t for t in said.splitlines() if t.startswith(f"{found['metric']}  ") and "facts" in t
        ]
        assert float(line.split()[3]) == pytest.approx(found["regret"]["mean"], abs=6e-5)
        assert 0 <= found["regret"]["lower"] <= found["regret"]["mean"] <= found["regret"]["upper"]


def test_limits_and_mistakes(say) -> None:
    code, said = say("recommend", "s.toml", "--epsilon", "1", "--max-seconds", "0.0001")
    assert code == 0
    assert "(low is best): none can be used" in said
    assert "two_stage: not here: expected to take" in said
    code, said = say("recommend", "s.toml", "--epsilon", "1", "--metric", "workload_eror")
    assert (code, "did you mean 'workload_error'" in said) == (2, True)
    code, said = say("recommend", "s.toml", "--epsilon", "1", "--rows", "0")
    assert (code, "--rows is 0" in said) == (2, True)
