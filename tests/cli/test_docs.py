"""Commands in the README and the documents are commands, with options that they have."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from dpsynth.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "experiments" / "README.md", *(ROOT / "docs").rglob("*.md")]
BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def documented(text: str) -> Iterator[list[str]]:
    """Yield the words of each command `dpsynth` in the blocks of a page."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("dpsynth "):
                yield shlex.split(line, comments=True)[1:]


def parsed(words: list[str]) -> None:
    """Parse the words of a command, and run nothing."""
    group: click.Command = cli
    context = click.Context(cli)
    while isinstance(group, click.Group):
        _, command, words = group.resolve_command(context, list(words))
        assert command is not None
        group, context = command, click.Context(command, parent=context)
    group.make_context("", words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_the_documents_are_understood(page: Path) -> None:
    for words in documented(page.read_text(encoding="utf-8")):
        parsed(words)


def test_commands_are_found_and_mistakes_seen() -> None:
    found = [words for page in PAGES for words in documented(page.read_text(encoding="utf-8"))]
    assert len(found) >= 12
    for wrong in ("dpsynth sample m --row 3 --out a.csv", "dpsynth smaple m --out a.csv"):
        (words,) = documented(f"```sh\n{wrong}\n```\n")
        with pytest.raises(click.UsageError):
            parsed(words)
