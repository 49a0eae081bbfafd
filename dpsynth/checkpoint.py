"""Checkpoints: a file by which a run that was killed goes on, and spends nothing twice.

It holds what the curator answered and what training led to (`Journal`), at last the fitted model,
beside which stays what an open schema was closed with; all of it private output, so that the file
is as sensitive as the model and no more. It holds no record and no digest of one: that the records
are still the same is for the user to see to, but for their number where it is public. In research
mode it holds the state of the noise as well, as does the seed. Whoever goes on from two copies of
it spends twice what comes after them. An archive sealed against accidents, no pickle.
"""

import secrets
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final
from warnings import warn

import numpy as np

from dpsynth.atomic import check_writable, write_atomically
from dpsynth.data.open_schema import OpenSchema
from dpsynth.errors import FileError, InvalidValueError
from dpsynth.opening import read_schema
from dpsynth.privacy.accountant import ADAPTIVE
from dpsynth.privacy.event_json import budget_to_json, canonical_json, object_from_text
from dpsynth.privacy.receipt import installed_versions
from dpsynth.saved import bundled, check_head, packed, read, unbundled

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.curator.private_columns import PrivateColumns
    from dpsynth.curator.private_data import PrivateData
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.generators.base import Generator as Algorithm
    from dpsynth.generators.limits import Limits
    from dpsynth.preparation.prepare import Preparation
    from dpsynth.synthesis import Synthesis

FORMAT = "dpsynth checkpoint 2"
_MODEL = "model"
_PLURAL = ("parameters", "versions")


def checkpoint_at(
    path: str | Path | None,
    data: "DataFrame | Table | str | Path",
    schema: "Schema | OpenSchema | str | Path | None",
    generator: "Algorithm",
    *,
    accountant: str | None,
    seed: int | None,
    by: "Preparation",
    limits: "Limits",
) -> "Checkpoint":
    """Return the checkpoint of a run, after refusing what could not be gone on with.

    Args:
        path: its file; None: nothing is kept.
        data, schema, accountant: as of `synthesize`.
        generator, seed, by, limits: as of `Checkpoint`.

    Raises:
        InvalidValueError: an accountant under which something is bought before the fit, an open
            schema whose price is not part of a plan, or a limit on time, under which a second run
            would ask for something else.
        FileError: the file cannot be written.
    """
    if path is None:
        return Checkpoint(None, generator, seed=seed, by=by, limits=limits)
    adaptive = (accountant or generator.accountant) in ADAPTIVE
    opened = isinstance(read_schema(data, schema), OpenSchema)
    if adaptive or (opened and not generator.needs_plan):
        rule = "left out but for fixed plans (DP-SGD, 'pld', 'rdp'; DP-SGD alone of open schemas)"
        raise InvalidValueError("checkpoint", str(path), rule)
    if limits.seconds is not None:
        raise InvalidValueError("checkpoint", str(path), "left out with a limit on seconds")
    check_writable(path)
    return Checkpoint(path, generator, seed=seed, by=by, limits=limits)


@final
class Checkpoint:
    """The file of one run, which no other goes on with while it is entered.

    Args:
        path: the file; made when missing. None: nothing is kept.
        generator: the algorithm, as it was asked for.
        seed: of research mode; None in release mode.
        by: how an open schema is closed.
        limits: of the run; they may change the algorithm.
    """

    def __init__(
        self,
        path: str | Path | None,
        generator: "Algorithm",
        *,
        seed: int | None,
        by: "Preparation",
        limits: "Limits",
    ) -> None:
        self._path, self._generator, self._seed = path, generator, seed
        self._preparation, self._limits = by, limits
        self._held = ExitStack()
        self._terms_kept: Mapping[str, Any] = {}
        self._parts: Mapping[str, bytes] = {}
        self._number = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def keep_columns(self, columns: "PrivateColumns") -> None:
        """Keep what is bought of raw columns, and what is asked at the door behind them.

        Args:
            columns: of which nothing was asked yet.

        Raises:
            FileError: a file that is damaged, in use, or of another run.
            LedgerError: rows of units were sampled.
        """
        if self._path is not None:
            terms = self._terms(columns, self._generator) | {
                "preparation": asdict(self._preparation),
                "limit on memory": self._limits.memory_mb,
            }
            self._begin(self._path, terms)
            columns.keep_in(self._parts, self._write)

    def fitted(
        self,
        private: "PrivateData",
        generator: "Algorithm",
        sampling_seed: int | None,
        *,
        rng: np.random.Generator,
    ) -> "Synthesis":
        """Return `generator` fitted to what is behind a door, going on from the file.

        Args:
            private: the door, of which nothing was asked yet but what `keep_columns` keeps.
            generator: the algorithm, within its limits.
            sampling_seed: as of `fitted_to`.
            rng: source of what is post-processing; that of release mode is the file's.

        Raises:
            FileError: a file that is damaged, in use, or of another run.
            LedgerError: rows of units were sampled.
        """
        from dpsynth.synthesis import fitted_to

        if self._path is None:
            return fitted_to(private, generator, sampling_seed, rng=rng)
        prepared = bool(self._terms_kept)
        if not prepared:
            self._begin(self._path, self._terms(private, generator))
        if _MODEL in self._parts:
            # The file cannot know whether the records are still the same.
            ended = f"{self._path}: the model of a run that has ended, of the records it had then"
            warn(f"{ended}; delete the file to fit anew.", stacklevel=2)
            return read(self._path, generator=type(generator), content=self._parts[_MODEL])
        door = private if prepared else private.kept_in(self._parts, self._write)
        stream = rng if self._seed is not None else _stream(self._number)
        synthesis = fitted_to(door, generator, sampling_seed, rng=stream)
        # An open schema is closed anew before the model can be asked for: from its answers.
        before = self._parts if prepared else {}
        self._write({**before, _MODEL: packed(synthesis)})
        return synthesis

    def _begin(self, path: str | Path, terms: Mapping[str, Any]) -> None:
        terms = object_from_text("terms", canonical_json(terms))
        self._held.enter_context(_locked(path))
        self._parts, self._number = _begun(path, terms)
        self._terms_kept = terms

    def _write(self, parts: Mapping[str, bytes]) -> None:
        assert self._path is not None
        self._parts = dict(parts)
        head = {**_head(self._terms_kept), "stream": self._number}
        write_atomically(self._path, bundled(head, parts))

    def _terms(
        self, door: "PrivateData | PrivateColumns", generator: "Algorithm"
    ) -> dict[str, Any]:
        """Return what a run must agree in with the one that it goes on with."""
        return {
            "schema": door.schema.to_toml(),
            "budget": budget_to_json(door.budget),
            "accountant": door.ledger.accountant.name,
            "generator": generator.name,
            "parameters": asdict(generator),
            "seed": self._seed,
            "versions": installed_versions(),
            "public number of records": door.public_rows,
        }


def _stream(number: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(int(number, 16)))


def _head(terms: Mapping[str, Any]) -> dict[str, Any]:
    note = "as sensitive as the model that it leads to, which holds private outputs only"
    return {"format": FORMAT, "note": note, "terms": dict(terms)}


def _begun(path: str | Path, terms: Mapping[str, Any]) -> tuple[dict[str, bytes], str]:
    """Return the parts that an earlier run kept, and the seed of its post-processing."""
    if not Path(path).exists():
        return {}, secrets.token_hex(16)
    manifest, parts = unbundled(path, _check)
    for name, value in terms.items():
        if manifest["terms"].get(name) != value:
            which = f"other {name}" if name in _PLURAL else f"another {name}"
            raise FileError(path, f"it was begun with {which}; nothing was spent")
    return parts, manifest["stream"]


def _check(path: str | Path, manifest: Any, names: list[str]) -> None:
    del names
    keys = {"terms": dict, "stream": str, "parts": dict}
    check_head(path, manifest, format_name=FORMAT, keys=keys)


@contextmanager
def _locked(path: str | Path) -> Generator[None]:
    """Keep a second run from the same file: both would draw, and the file would know of one.

    The lock ends with the process, however that ends.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    beside = Path(path).absolute().with_name(f".{Path(path).name}.lock")
    beside.parent.mkdir(parents=True, exist_ok=True)
    with beside.open("wb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FileError(path, "another run is going on with it") from None
        yield
