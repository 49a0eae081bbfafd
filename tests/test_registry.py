"""Registries list without importing, resolve lazily and name close matches."""

from importlib.metadata import EntryPoint
from pathlib import Path
from unittest.mock import patch

import pytest

from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.registry import ATTACKS, DATASETS, GENERATORS, METRICS, Registry

TOY = Registry(kind="toy", group="dpsynth.toys", builtin={"json": "json:JSONDecoder"})


def test_resolves_to_the_object() -> None:
    import json

    assert TOY.get("json") is json.JSONDecoder


def test_an_unknown_name_lists_close_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown toy 'jsn'; did you mean 'json'\?"):
        TOY.get("jsn")


def test_a_module_path_stands_for_itself() -> None:
    import json

    assert TOY.get("json:JSONEncoder") is json.JSONEncoder
    assert "json:JSONEncoder" not in TOY
    with pytest.raises(UnknownNameError, match="unknown toy in json 'JSONEncodr'; did you mean"):
        TOY.get("json:JSONEncodr")
    with pytest.raises(UnknownNameError) as unlike:
        TOY.get("json:nothing_like_it")
    assert "__" not in str(unlike.value)


def test_a_module_of_ones_own_that_cannot_be_imported_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_a_slip.py").write_text("x = (\n")
    (tmp_path / "with_a_need.py").write_text("import no_such_need\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name, why in (
        ("no_such_module:Thing", "No module named 'no_such_module'"),
        ("json.no_such_part:Thing", "No module named 'json.no_such_part'"),
        ("with_a_slip:Thing", "SyntaxError: .*with_a_slip.py, line 1"),
        ("with_a_need:Thing", "No module named 'no_such_need'"),
    ):
        with pytest.raises(InvalidValueError, match=f"toy is '{name}', .*PYTHONPATH.*{why}"):
            TOY.get(name)


def test_entry_points_join_but_never_replace_a_builtin() -> None:
    theirs = [
        EntryPoint(name="csv", value="csv:reader", group="dpsynth.toys"),
        EntryPoint(name="json", value="csv:reader", group="dpsynth.toys"),
    ]
    with patch("dpsynth.registry.entry_points", return_value=theirs):
        import csv
        import json

        assert list(TOY) == ["csv", "json"]
        assert TOY.get("csv") is csv.reader
        assert TOY.get("json") is json.JSONDecoder


@pytest.mark.parametrize("registry", [GENERATORS, METRICS, ATTACKS, DATASETS])
def test_every_builtin_line_resolves(registry: Registry) -> None:
    for name in registry.builtin:
        assert registry.get(name) is not None
