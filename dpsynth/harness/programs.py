"""Generators of an experiment that are programs of someone else's: "env:NAME/MECHANISM", or a
command of the user's own."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from dpsynth.errors import FileError, InvalidValueError, ThirdPartyError
from dpsynth.harness.checksum import file_hash
from dpsynth.parameters import convert
from dpsynth.third_party.catalogue import Peer, find_peer

ENVIRONMENT, COMMAND = "env:", "command:"


@final
@dataclass(frozen=True, kw_only=True)
class Program:
    """What runs in place of a generator, as far as results depend on it.

    Args:
        name: "env:NAME/MECHANISM" or "command:WORDS".
        files: file -> SHA-256 of its pins and adapter, or of the files that its command names.
    """

    name: str
    files: dict[str, str]

    @property
    def is_ours(self) -> bool:
        """Whether its adapter and its environment come from this package, and not from a user."""
        return self.name.startswith(ENVIRONMENT)

    @property
    def mechanism(self) -> str:
        """What the program is asked for; nothing where a command says it all."""
        return _parts(self.name)[1] if self.is_ours else ""

    def command(self, folder: Path) -> list[str]:
        """Return its words, but for the folder of the request.

        Args:
            folder: where relative paths of a command start.

        Raises:
            ThirdPartyError: its environment is not made, or its files are others by now.
            FileError: a file that its command names and that cannot be read.
        """
        if find_program(self.name, folder) != self:  # changed since, or others on this host
            raise ThirdPartyError(
                label_of(self.name), "the cell was planned with other files of it"
            )
        if not self.is_ours:
            first, *rest = _words(self.name)
            first = _found(first, folder) if "/" in first else first  # else it is on the PATH
            return [first, *(_found(word, folder) for word in rest)]
        peer = _peer(self.name)
        return [str(peer.environment().python), str(peer.adapter)]


def is_program(name: str) -> bool:
    """Return whether a generator's name stands for a program of someone else's."""
    return name.startswith((ENVIRONMENT, COMMAND))


def label_of(name: str) -> str:
    """Return what rows call a generator when nobody says otherwise."""
    return name.removeprefix(ENVIRONMENT).removeprefix(COMMAND)


def named_program(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a generator's table with a command, if it has one, as its name.

    Raises:
        InvalidValueError: a command beside a name, or what only this package's generators have.
    """
    plain = dict(table)
    if "command" in plain:
        if "name" in plain:
            raise InvalidValueError("generators: name", plain["name"], "left out beside a command")
        plain["name"] = COMMAND + convert(plain.pop("command"), str, field="generators: command")
    if isinstance(plain.get("name"), str) and is_program(plain["name"]):
        for key in ("accountant", "preparation"):
            if key in plain:
                rule = f"left out for {plain['name']!r}, which keeps its own accounts"
                raise InvalidValueError(f"generators: {key}", plain[key], rule)
    return plain


def check_program(name: str, parameters: Mapping[str, Any]) -> None:
    """Check that `name` stands for a program, and that its parameters can be told to it.

    Raises:
        UnknownNameError: a third party or mechanism that nobody knows.
        InvalidValueError: no command, one of quotes that do not close, or a parameter that JSON has
            no word for.
    """
    for key, value in parameters.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            rule = "a value that JSON has a word for"
            raise InvalidValueError(f"{label_of(name)}: {key}", value, rule) from None
    if name.startswith(ENVIRONMENT):
        _peer(name)
    else:
        _words(name)


def find_program(name: str, folder: Path) -> Program:
    """Return the program called `name`, as it is now.

    Args:
        name: as of `Program`.
        folder: where relative paths of a command start.

    Raises:
        ThirdPartyError: its environment is not made, or was made from other pins.
        FileError: a file that its command names and that cannot be read.
    """
    if name.startswith(ENVIRONMENT):
        peer = _peer(name)
        peer.environment().check_ready()
        return Program(name=name, files=peer.digests())
    words = _words(name)
    named = {word: folder / word for word in words[1:] if (folder / word).is_file()}
    # The first word is a program of the system's, unless it is a path.
    if "/" in words[0]:
        named[words[0]] = folder / words[0]
    scripts = [word for word in words[1:] if word.endswith(".py") and word not in named]
    if scripts:
        raise FileError(folder / scripts[0], "no such file")
    return Program(name=name, files={word: file_hash(path) for word, path in named.items()})


def _peer(name: str) -> Peer:
    who, mechanism = _parts(name)
    peer = find_peer(who)
    peer.check_mechanism(mechanism)
    return peer


def _parts(name: str) -> tuple[str, str]:
    who, _, mechanism = name.removeprefix(ENVIRONMENT).partition("/")
    return who, mechanism


def _words(name: str) -> list[str]:
    command = name.removeprefix(COMMAND)
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        rule = "a program and its words, as a shell reads them"
        raise InvalidValueError("generators: command", command, rule)
    return words


def _found(word: str, folder: Path) -> str:
    """Return a word as a path from anywhere, where it names a file of the experiment's folder."""
    path = folder / word
    return str(path.absolute()) if path.is_file() else word
