"""--max-seconds and --max-memory of `dpsynth synthesize`: what the fit gets of them."""

from pathlib import Path

import numpy as np
import pytest

from dpsynth import Limits
from dpsynth.errors import NoRecordsError
from tests.cli.running import runner
from tests.tables import coded_table, dependent_codes

SHAPE = (4, 3, 2)
FRONT = ("synthesize", "d.csv", "--schema", "s.toml", "--epsilon", "1", "--out", "o.csv")


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Limits]:
    """Limits of the fits that are asked for in a folder with d.csv and its schema; none is made."""
    monkeypatch.chdir(tmp_path)
    table = coded_table(dependent_codes(200, SHAPE, rng=np.random.default_rng(0)), SHAPE)
    table.frame.to_csv("d.csv", index=False)
    Path("s.toml").write_text(table.schema.to_toml())
    found: list[Limits] = []

    def fit(*_: object, limits: Limits, **__: object) -> None:
        found.append(limits)
        raise NoRecordsError("no fit is needed")

    monkeypatch.setattr("dpsynth.synthesis.synthesize", fit)
    return found


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("1000", 750, 800), ("0.001", 0, 0.0008)],
    ids=["much", "less than it takes to begin"],
)
def test_a_fit_has_what_start_and_writing_leave_of_the_time(
    given: list[Limits], capsys: pytest.CaptureFixture[str], asked: str, least: float, most: float
) -> None:
    code, said = runner(capsys)(*FRONT, "--max-seconds", asked)
    assert code == 2, said
    seconds = given[0].seconds
    assert seconds is not None
    assert least < seconds < most


def test_memory_is_what_was_asked_for(
    given: list[Limits], capsys: pytest.CaptureFixture[str]
) -> None:
    runner(capsys)(*FRONT, "--max-memory", "5000")
    runner(capsys)(*FRONT)
    assert given == [Limits(memory_mb=5000), Limits()]
