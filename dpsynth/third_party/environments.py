"""Environments of Python for third parties: made from pins, in a folder of their own, and removed.

Making one is the only thing here that reaches a package registry. What is used later is used as it
is, or refused.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias, final

from dpsynth.errors import FileError, ThirdPartyError

VARIABLE = "DPSYNTH_ENVIRONMENTS"
CUDA = ("nvidia-", "triton", "cuda-")
_TAIL = 5  # lines of an installer's complaint
State: TypeAlias = Literal["ready", "not made", "unfinished", "made from other pins"]


def environments_folder() -> Path:
    """Return where environments are: as $DPSYNTH_ENVIRONMENTS says, or in the user's cache."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).absolute() / "dpsynth" / "environments"


@final
@dataclass(frozen=True, kw_only=True)
class Environment:
    """The environment of one third party, which may not be made yet.

    Args:
        name: the third party.
        requirements: its pins.
        pythons: the Pythons that the pins are for, as "3.11", the best first.
        home: its folder.
    """

    name: str
    requirements: Path
    pythons: tuple[str, ...]
    home: Path

    @property
    def python(self) -> Path:
        """Its interpreter, once it is ready."""
        return self.home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def state(self) -> State:
        """Whether it can be used."""
        if not self.home.exists():
            return "not made"
        try:
            made_from = self._mark.read_text(encoding="utf-8")
        except OSError:
            return "unfinished"
        if not self.python.exists():
            return "unfinished"
        return "ready" if made_from == self._pins else "made from other pins"

    def check_ready(self) -> None:
        """Raise ThirdPartyError, with what to do, unless it can be used."""
        if self.state != "ready":
            rule = f"{self.state}; `dpsynth env create {self.name}` makes it"
            raise ThirdPartyError(f"environment {self.name}", rule)

    def create(self, *, cuda: bool = False) -> None:
        """Make it from its pins, in place of whatever is there.

        Args:
            cuda: take a build of PyTorch for CUDA where the registry has no other.

        Raises:
            ThirdPartyError: no Python that the pins are for, or a package that does not install;
                the last lines of the installer are told.
            FileError: something else is in its folder, or the place is not writable.
        """
        taken = self.home.exists() and (not self.home.is_dir() or any(self.home.iterdir()))
        if taken and not self._made_here:
            raise FileError(self.home, "it is no environment, so nothing is put in its place")
        uv = shutil.which("uv")
        base = None if uv else find_python(self.pythons, who=self.name)
        try:
            self.home.parent.mkdir(parents=True, exist_ok=True)
            self._mark.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(self.home, f"cannot be written ({error.strerror})") from None
        if uv:
            make = [uv, "venv", "--quiet", "--clear", "--python", self.pythons[0], str(self.home)]
            install = [uv, "pip", "install", "--python", str(self.python)]
        else:
            make = [str(base), "-m", "venv", "--clear", str(self.home)]
            install = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check"]
        pins = ["-r", str(self.requirements)]
        self._call(make)
        if not cuda:
            self._refuse_cuda(install, pins, uv=uv is not None)
        self._call([*install, "--quiet", *pins])
        self._mark.write_text(self._pins, encoding="utf-8")

    def remove(self) -> None:
        """Delete its folder.

        Raises:
            FileError: there is none, or it is something else's.
        """
        if not self.home.exists():
            raise FileError(self.home, "no such environment")
        if not self._made_here:
            raise FileError(self.home, "it is no environment, so it is left alone")
        shutil.rmtree(self.home)

    @property
    def _mark(self) -> Path:
        return self.home / ".made-from"

    @property
    def _made_here(self) -> bool:
        return (self.home / "pyvenv.cfg").exists()

    @property
    def _pins(self) -> str:
        return sha256(self.requirements.read_bytes()).hexdigest()

    def _refuse_cuda(self, install: list[str], pins: list[str], *, uv: bool) -> None:
        if uv:
            report = self._call([*install, "--dry-run", *pins])
            lines = (line.split() for line in report.splitlines())
            names = [words[1].lower() for words in lines if len(words) > 1 and words[0] == "+"]
        else:
            report = self._call([*install, "--quiet", "--dry-run", "--report", "-", *pins], "out")
            names = [item["metadata"]["name"].lower() for item in json.loads(report)["install"]]
        if any(name.startswith(CUDA) for name in names):
            variable = "UV_FIND_LINKS" if uv else "PIP_FIND_LINKS"
            rule = (
                "the registry would give a CUDA build of PyTorch, several GB of it: let the "
                f"installer find one for the CPU ({variable}), or say --cuda"
            )
            raise ThirdPartyError(f"environment {self.name}", rule)

    def _call(self, command: Sequence[str], streams: Literal["both", "out"] = "both") -> str:
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise ThirdPartyError(f"environment {self.name}", str(error)) from None
        if done.returncode:
            lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
            told = [line for line in lines if line and not line.startswith("WARNING")][-_TAIL:]
            rule = f"it does not install: {' | '.join(told) or 'no message'}".rstrip(".")
            raise ThirdPartyError(f"environment {self.name}", rule)
        return done.stdout + (done.stderr if streams == "both" else "")


def find_python(wanted: Sequence[str], *, who: str) -> Path:
    """Return an interpreter of one of the versions `wanted`, the first of them that is here.

    Args:
        wanted: as "3.11".
        who: for whom, for the message.

    Raises:
        ThirdPartyError: none is here.
    """
    for version in wanted:
        if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            return Path(sys.executable)
        found = shutil.which(f"python{version}")
        if found is not None and _answers(found, version):
            return Path(found)
    rule = f"it needs Python {' or '.join(wanted)}, and none is on the PATH"
    raise ThirdPartyError(f"environment {who}", rule)


def _answers(python: str, version: str) -> bool:
    """Return whether it is of that version; a name on the PATH may stand for nothing."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == version
