"""What a black-box audit can run: an object with `fit` and `sample`, a program, or a function.

Each turns records into synthetic records and may fail. A failure is an outcome like any other: a
program that crashes more often with a record than without it tells of the record.
"""

import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from inspect import getsourcefile, signature
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, final

from dpsynth.data.files import load_file, save_file
from dpsynth.data.table import Table
from dpsynth.errors import DpsynthError, FailedRunError, FileError, InvalidValueError

if TYPE_CHECKING:
    from pandas import DataFrame


class CrashError(FailedRunError):
    """A run that gave no records."""


class MisfitError(FailedRunError):
    """A run whose records are not of the schema."""


class Subject(ABC):
    """Something that turns records into synthetic records."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As reports call it."""

    @property
    @abstractmethod
    def parallel(self) -> str:
        """How runs may go side by side.

        "processes" where it can be pickled, "threads" where it runs outside of this process anyway,
        else "none".
        """

    @property
    @abstractmethod
    def identity(self) -> str:
        """What results depend on besides records, budget and seed: code or command."""

    @abstractmethod
    def release(self, table: Table, *, rows: int, seed: int) -> Table:
        """Return synthetic records.

        Args:
            table: the records.
            rows: how many to draw, the same in both worlds: the true number is secret.
            seed: of whatever can be seeded from outside.

        Raises:
            CrashError: no records.
            MisfitError: records that are not of the schema.
        """


@final
@dataclass(frozen=True, kw_only=True)
class FitSample(Subject):
    """Objects of other libraries with `fit(frame)` and `sample(rows)`.

    Args:
        factory: "module:factory" or a callable that returns a fresh object; it is given `seed=`
            where it has such a parameter. Else its runs must be independent by themselves.
    """

    factory: str | Callable[..., Any]

    @property
    def name(self) -> str:
        if isinstance(self.factory, str):
            return self.factory
        return getattr(self.factory, "__qualname__", type(self.factory).__name__)

    @property
    def parallel(self) -> str:
        return "processes" if isinstance(self.factory, str) else "none"

    @property
    def identity(self) -> str:
        made = self._make()
        try:
            source = getsourcefile(made if isinstance(made, type) else made.__code__)  # type: ignore[arg-type]
        except (TypeError, AttributeError):
            source = None
        content = Path(source).read_bytes() if source else b""
        return f"{self.name} {sha256(content).hexdigest()}"

    def _make(self) -> Callable[..., Any]:
        if not isinstance(self.factory, str):
            return self.factory
        module, _, attribute = self.factory.partition(":")
        try:
            made = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            rule = f"the name of a factory as module:attribute ({error})"
            raise InvalidValueError("generator", self.factory, rule) from None
        if not callable(made):
            raise InvalidValueError("generator", self.factory, "something that can be called")
        return made

    def release(self, table: Table, *, rows: int, seed: int) -> Table:
        make = self._make()
        try:
            takes_seed = "seed" in signature(make).parameters
        except (TypeError, ValueError):
            takes_seed = False
        try:
            made = make(seed=seed) if takes_seed else make()
            made.fit(table.frame.copy())
            frame: DataFrame = made.sample(rows)
        except Exception as error:
            raise CrashError(type(error).__name__, str(error)) from error
        return _fitted(lambda: Table.from_frame(table.schema, frame))


@final
@dataclass(frozen=True, kw_only=True)
class Program(Subject):
    """A command that turns a CSV into a CSV.

    Args:
        command: words as a shell splits them, {input} and {output} among them; {seed}, {epsilon}
            and {rows} are filled in where they stand. No shell runs it.
        epsilon: the claim.
        timeout: seconds after which a run counts as crashed.

    Raises:
        InvalidValueError: no {input} or no {output}, or nothing that can be run.
    """

    command: str
    epsilon: float
    timeout: float = 600.0

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            raise InvalidValueError("command", self.command, f"a command ({error})") from None
        for place in ("{input}", "{output}"):
            if not any(place in word for word in words):
                raise InvalidValueError("command", self.command, f"one that says {place}")
        if which(words[0]) is None:
            raise FileError(words[0], "no program of this name can be run")

    @property
    def name(self) -> str:
        return self.command

    @property
    def parallel(self) -> str:
        return "threads"

    @property
    def identity(self) -> str:
        files = [Path(which(word) or word) for word in shlex.split(self.command)]
        hashes = [sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()]
        return " ".join([self.command, *hashes])

    def release(self, table: Table, *, rows: int, seed: int) -> Table:
        with TemporaryDirectory() as folder:
            given, made = Path(folder, "input.csv"), Path(folder, "output.csv")
            save_file(table, given)
            filled = {"input": given, "output": made, "seed": seed, "rows": rows}
            filled["epsilon"] = f"{self.epsilon:g}"
            words = shlex.split(self.command)
            for place, value in filled.items():
                words = [word.replace(f"{{{place}}}", str(value)) for word in words]
            try:
                subprocess.run(words, check=True, capture_output=True, timeout=self.timeout)
            except subprocess.CalledProcessError as error:
                said = error.stderr.decode(errors="replace").strip().splitlines()
                text = said[-1] if said else "nothing on standard error"
                raise CrashError(f"exit code {error.returncode}", text) from error
            except (subprocess.SubprocessError, OSError) as error:
                raise CrashError(type(error).__name__, str(error)) from error
            if not made.is_file():
                raise CrashError("no output", self.command)
            return _fitted(lambda: load_file(made, table.schema))


@final
@dataclass(frozen=True, kw_only=True)
class Mechanism(Subject):
    """A function of a table and a seed, such as a fit of a generator of this library.

    Args:
        label: as reports call it.
        function: (table, seed) -> synthetic table.
        code: of what results depend on: code and settings.
    """

    label: str
    function: Callable[..., Table]
    code: str

    @property
    def name(self) -> str:
        return self.label

    @property
    def parallel(self) -> str:
        return "none"

    @property
    def identity(self) -> str:
        return f"{self.label} {self.code}"

    def release(self, table: Table, *, rows: int, seed: int) -> Table:
        del rows  # the model says how many
        try:
            return self.function(table, seed)
        except Exception as error:
            raise CrashError(type(error).__name__, str(error)) from error


def _fitted(load: Callable[[], Table]) -> Table:
    try:
        return load()
    except DpsynthError as error:
        raise MisfitError(type(error).__name__, str(error)) from error
