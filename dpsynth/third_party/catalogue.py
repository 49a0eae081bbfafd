"""The third parties that this package knows how to run: one folder of data each.

peers/NAME/peer.toml         the Pythons that it runs on, its mechanisms, a remark
peers/NAME/requirements.txt  every package of its environment, pinned
peers/NAME/adapter.py        the program that its environment's Python runs; never imported here
"""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, final

from dpsynth.errors import UnknownNameError
from dpsynth.third_party.environments import Environment, environments_folder

PEERS = Path(__file__).parent / "peers"


@final
@dataclass(frozen=True, kw_only=True)
class Peer:
    """One third party.

    Args:
        name: what the command line and experiments call it.
        folder: its files.
    """

    name: str
    folder: Path

    @property
    def requirements(self) -> Path:
        """The pins of its environment."""
        return self.folder / "requirements.txt"

    @property
    def adapter(self) -> Path:
        """The program that keeps the contract."""
        return self.folder / "adapter.py"

    @property
    def pythons(self) -> tuple[str, ...]:
        """The Pythons that its pins were made for, as "3.11", the best first."""
        return tuple(self._told["pythons"])

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What can be asked of it."""
        return tuple(self._told["mechanisms"])

    @property
    def remark(self) -> str:
        """What to know of it, in a line."""
        return self._told["remark"]

    def check_mechanism(self, name: str) -> None:
        """Raise UnknownNameError for a mechanism that it does not have."""
        if name not in self.mechanisms:
            raise UnknownNameError(f"mechanism of {self.name}", name, self.mechanisms)

    def environment(self, folder: Path | None = None) -> Environment:
        """Return its environment, which may not be made yet.

        Args:
            folder: where environments are; by default `environments_folder`.
        """
        return Environment(
            name=self.name,
            requirements=self.requirements,
            pythons=self.pythons,
            home=(folder or environments_folder()) / self.name,
        )

    def digests(self) -> dict[str, str]:
        """Return what its results depend on: the name of each file, and its SHA-256."""
        files = (self.requirements, self.adapter)
        return {file.name: sha256(file.read_bytes()).hexdigest() for file in files}

    @cached_property
    def _told(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "peer.toml").read_text(encoding="utf-8"))


def known_peers() -> tuple[str, ...]:
    """Return the names of the third parties that have a folder here."""
    return tuple(sorted(file.parent.name for file in PEERS.glob("*/peer.toml")))


def find_peer(name: str) -> Peer:
    """Return the third party called `name`.

    Raises:
        UnknownNameError: none is called so.
    """
    if name not in known_peers():
        raise UnknownNameError("third party", name, known_peers())
    return Peer(name=name, folder=PEERS / name)
