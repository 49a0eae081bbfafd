"""Registries list without importing, resolve lazily and name close matches."""

from importlib.metadata import EntryPoint
from unittest.mock import patch

import pytest

from dpsynth.errors import UnknownNameError
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
    with pytest.raises(UnknownNameError, match="unknown module 'no_such_module'"):
        TOY.get("no_such_module:Thing")


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
