"""The third parties that come with the package: complete, pinned, and small."""

import ast
from pathlib import Path
from re import fullmatch

import pytest

from dpsynth.errors import UnknownNameError
from dpsynth.third_party.catalogue import find_peer, known_peers

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", known_peers())
def test_everything_is_pinned(name: str) -> None:
    peer = find_peer(name)
    lines = peer.requirements.read_text().splitlines()
    assert all(fullmatch(r"[\w.-]+==[\w.+!]+", line) for line in lines)
    assert len({line.partition("=")[0].lower() for line in lines}) == len(lines)
    assert {"pandas", "numpy"} <= {line.partition("=")[0] for line in lines}
    assert not any(line.lower().startswith(("nvidia", "triton")) for line in lines)
    assert all(fullmatch(r"3\.\d+", version) for version in peer.pythons)
    assert peer.mechanisms
    assert set(peer.digests()) == {"requirements.txt", "adapter.py"}


@pytest.mark.parametrize("name", known_peers())
def test_an_adapter_has_at_most_thirty_lines(name: str) -> None:
    """Lines of code: a description at its top and blank lines are not counted."""
    source = find_peer(name).adapter.read_text()
    first = ast.parse(source).body[0]
    assert isinstance(first, ast.Expr)
    code = source.splitlines()[first.end_lineno :]
    assert sum(bool(line.strip()) for line in code) <= 30


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dpmm'"):
        find_peer("dpm")
    with pytest.raises(UnknownNameError, match="mechanism of dpmm 'mts'; did you mean 'mst'"):
        find_peer("dpmm").check_mechanism("mts")
    with pytest.raises(UnknownNameError):
        find_peer("../peers/dpmm")


def test_the_page_tells_of_all_of_them() -> None:
    page = (ROOT / "docs" / "third_party.md").read_text(encoding="utf-8")
    for name in known_peers():
        assert all(f"`env:{name}/{mechanism}`" in page for mechanism in find_peer(name).mechanisms)
