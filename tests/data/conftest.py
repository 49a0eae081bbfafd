"""Fixtures of the tests of records."""

from pathlib import Path

import pytest

from tests.doors import Doors


@pytest.fixture
def doors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doors:
    return Doors(tmp_path, monkeypatch, capsys)
