"""The verbs of env, on environments that nothing is fetched for."""

from pathlib import Path

import pytest

from dpsynth.third_party import catalogue
from dpsynth.third_party.catalogue import known_peers
from tests.cli.running import runner


def test_the_list_names_every_third_party(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = runner(capsys)("env", "list", "--path", str(tmp_path))
    assert code == 0
    for name in known_peers():
        (line,) = [line for line in said.splitlines() if line.startswith(f"{name} ")]
        assert "not made" in line
        assert "mst" in line
    assert "mbi: mbi 2" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.slow
def test_one_is_made_found_ready_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "peers" / "toy"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("")
    (folder / "peer.toml").write_text(
        'pythons = ["3.11", "3.12", "3.13", "3.14"]\nmechanisms = ["mst"]\nremark = "a toy"\n'
    )
    monkeypatch.setattr(catalogue, "PEERS", folder.parent)
    monkeypatch.setenv("DPSYNTH_ENVIRONMENTS", str(tmp_path / "here"))
    run = runner(capsys)
    code, said = run("env", "create", "toy")
    assert (code, f"{tmp_path}/here/toy: ready.\n" in said) == (0, True)
    assert "ready already" in run("env", "create", "toy")[1]
    assert "ready" in run("env", "list")[1]
    assert run("env", "remove", "toy")[0] == 0
    assert list((tmp_path / "here").iterdir()) == []
    code, said = run("env", "remove", "toy")
    assert (code, "no such environment" in said) == (2, True)


def test_an_unknown_name_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = runner(capsys)("env", "create", "dpm")
    assert (code, "did you mean 'dpmm'?" in said) == (2, True)
