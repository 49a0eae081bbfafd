"""Checkpoints: a file by which a run that was killed goes on, and spends nothing twice.

It holds what the curator answered and what training led to (`Journal`), at last the fitted model;
all of it private output, so that the file is as sensitive as the model and no more. It holds no
record and no digest of one: that the records are still the same is for the user to see to. In
research mode it holds the state of the noise as well, as does the seed. Whoever goes on from two
copies of it spends twice what comes after them. An archive sealed against accidents, no pickle.
"""

import secrets
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    from dpsynth.curator.private_data import PrivateData
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table
    from dpsynth.generators.base import Generator as Algorithm
    from dpsynth.generators.limits import Limits
    from dpsynth.synthesis import Synthesis

FORMAT = "dpsynth checkpoint 1"
_MODEL = "model"


def check_resumable(
    path: str | Path,
    data: "DataFrame | Table | str | Path",
    schema: "Schema | OpenSchema | str | Path | None",
    accountant: str,
    limits: "Limits",
) -> None:
    """Refuse a checkpoint for what could not be gone on with, before anything is spent.

    Raises:
        InvalidValueError: an accountant under which something is bought before the fit, an open
            schema, or a limit on time, under which a second run would ask for something else.
        FileError: the file cannot be written.
    """
    if accountant in ADAPTIVE or isinstance(read_schema(data, schema), OpenSchema):
        rule = "left out but for fixed plans (DP-SGD, 'pld', 'rdp') and closed schemas"
        raise InvalidValueError("checkpoint", str(path), rule)
    if limits.seconds is not None:
        raise InvalidValueError("checkpoint", str(path), "left out with a limit on seconds")
    check_writable(path)


def fitted_from(
    path: str | Path,
    private: "PrivateData",
    generator: "Algorithm",
    sampling_seed: int | None,
    *,
    seed: int | None,
    stream: Callable[[int], np.random.Generator],
) -> "Synthesis":
    """Return `generator` fitted to what is behind a door, going on from the file at `path`.

    Args:
        path: the checkpoint; made when missing.
        private: the door, of which nothing was asked yet.
        generator: the algorithm.
        sampling_seed: as of `fitted_to`.
        seed: of research mode; None in release mode.
        stream: from the number that the file has for it to the source of what is post-processing.

    Raises:
        FileError: a file that is damaged, in use, or of another run.
        LedgerError: rows of units were sampled.
    """
    from dpsynth.synthesis import fitted_to

    terms = _terms(private, generator, seed)
    with _locked(path):
        parts, number = _begun(path, terms)
        if _MODEL in parts:
            return read(path, generator=type(generator), content=parts[_MODEL])

        def write(kept: Mapping[str, bytes]) -> None:
            write_atomically(path, bundled({**_head(terms), "stream": number}, kept))

        door = private.kept_in(parts, write)
        synthesis = fitted_to(door, generator, sampling_seed, rng=stream(int(number, 16)))
        write({_MODEL: packed(synthesis)})
    return synthesis


def _terms(private: "PrivateData", generator: "Algorithm", seed: int | None) -> dict[str, Any]:
    """Return what a run must agree in with the one that it goes on with, as JSON has it."""
    terms = {
        "schema": private.schema.to_toml(),
        "budget": budget_to_json(private.budget),
        "accountant": private.ledger.accountant.name,
        "generator": generator.name,
        "parameters": asdict(generator),
        "seed": seed,
        "versions": installed_versions(),
    }
    return object_from_text("terms", canonical_json(terms))


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
            which = f"other {name}" if name.endswith("s") else f"another {name}"
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
