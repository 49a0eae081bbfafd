"""Grids and tuned hyperparameters in TOML files, as a person writes them and as they come back."""

from pathlib import Path
from typing import Any

import pytest

from dpsynth.errors import DpsynthError, FileError, InvalidValueError, UnknownNameError
from dpsynth.tuning.grid import Range, parameters_toml, parse_grid, read_grid, read_parameters

AWKWARD: dict[str, Any] = {
    "flag": True,
    "rate": 1e-7,
    "large": 1e22,
    "steps": 300,
    "text": 'two "lines"\nand a \\ and \x7f',
    "widths": [32, 64],
    "by_name": {"a b": 0.5, "c": [True, "x"]},
}


def test_parameters_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(parameters_toml("mwem", {**AWKWARD, "unset": None}, "of 2 trials"))
    assert read_parameters(path, "mwem") == AWKWARD
    assert path.read_text().startswith('# of 2 trials\ngenerator = "mwem"\n\n[parameters]\n')
    with pytest.raises(InvalidValueError, match="'mwem', whose parameters"):
        read_parameters(path, "aim")


def test_a_grid_is_lists_and_ranges(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_text("a = [1, 2]\nb = {low = 1, high = 9, log = true}\nc = {low = 1, high = 2.5}\n")
    grid = read_grid(path)
    assert grid == {
        "a": (1, 2),
        "b": Range(low=1, high=9, log=True),
        "c": Range(low=1, high=2.5),
    }
    assert isinstance(grid["b"], Range)
    assert grid["b"].whole
    assert isinstance(grid["c"], Range)
    assert not grid["c"].whole


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ({}, InvalidValueError),
        ({"a": []}, InvalidValueError),
        ({"a": 3}, InvalidValueError),
        ({"a": {"low": 2, "high": 1}}, InvalidValueError),
        ({"a": {"low": 0, "high": 1, "log": True}}, InvalidValueError),
        ({"a": {"low": 0, "hihg": 1}}, UnknownNameError),
    ],
)
def test_other_grids_are_refused(record: dict[str, Any], error: type[DpsynthError]) -> None:
    with pytest.raises(error):
        parse_grid(record)


@pytest.mark.parametrize(
    "text", ["a = ", "[parameters]\na = 1\n", 'generator = "x"\nparameters = 1']
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(FileError):
        read_parameters(path, "x")
