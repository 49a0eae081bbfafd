"""Saved models: a zip of manifest.json, schema.toml, receipt.json and arrays/*.npy; no pickle.

Reading one runs no code that the file chooses: the generator is looked up in the registry, arrays
hold plain numbers and texts, and the file's seal (`archive`) and every part's checksum are checked
before it is parsed. Checksums inside a file protect against accidents, not against an adversary.
"""

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.archive import read_parts, sealed
from dpsynth.atomic import write_atomically
from dpsynth.errors import DpsynthError, FileError, PrivacyError, UnknownNameError
from dpsynth.parameters import construct
from dpsynth.registry import GENERATORS

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator
    from dpsynth.synthesis import Synthesis

FORMAT = "dpsynth model 1"
_MANIFEST = "manifest.json"
_MISFITS = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    AssertionError,
)
"""What parts that do not fit together may raise where they are put together."""


def write(synthesis: "Synthesis", path: str | Path) -> None:
    """Write `synthesis` to `path`; see `Synthesis.save`."""
    write_atomically(path, packed(synthesis))


def packed(synthesis: "Synthesis") -> bytes:
    """Return the bytes of a saved model."""
    parts = {
        "schema.toml": synthesis.schema.to_toml().encode(),
        "receipt.json": synthesis.receipt.to_json().encode(),
    }
    for name, array in synthesis.model.arrays().items():
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array), allow_pickle=False)
        parts[f"arrays/{name}.npy"] = buffer.getvalue()
    manifest = {
        "format": FORMAT,
        "generator": synthesis.generator.name,
        "parameters": asdict(synthesis.generator),
        "sampling_seed": synthesis.sampling_seed,
        "skipped": synthesis.skipped,
    }
    return bundled(manifest, parts)


def bundled(manifest: Mapping[str, Any], parts: Mapping[str, bytes]) -> bytes:
    """Return an archive of `parts` with a manifest that has the checksum of each."""
    sums = {name: sha256(content).hexdigest() for name, content in parts.items()}
    listed = json.dumps({**manifest, "parts": sums}, indent=1).encode()
    return sealed({**parts, _MANIFEST: listed})


def read(
    path: str | Path,
    *,
    generator: "type[Generator] | None" = None,
    content: bytes | None = None,
) -> "Synthesis":
    """Return the model saved at `path`, or in `content`, a part of it; see `Synthesis.load`."""
    from dpsynth.data.schema import Schema
    from dpsynth.privacy.receipt import Receipt
    from dpsynth.synthesis import Synthesis

    manifest, parts = unbundled(path, _check_manifest, content=content)
    name = manifest["generator"]
    if generator is None and name not in GENERATORS:
        raise UnknownNameError("generator", name, GENERATORS)
    cls = generator or GENERATORS.get(name)
    try:
        schema = Schema.from_toml(parts["schema.toml"].decode())
        return Synthesis(
            model=cls.model.from_arrays(schema, _arrays(path, parts)),
            receipt=Receipt.from_json(parts["receipt.json"].decode()),
            generator=construct(cls, manifest["parameters"], owner=name),
            sampling_seed=manifest["sampling_seed"],
            skipped=manifest.get("skipped", 0),
        )
    except PrivacyError:
        raise
    except FileError:
        raise
    except (DpsynthError, *_MISFITS) as error:
        raise FileError(path, f"not a valid {name} model ({_reason(error)})") from error


def unbundled(
    path: str | Path,
    check: Callable[[str | Path, Any, list[str]], None],
    *,
    content: bytes | None = None,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest of an archive and every part that it lists, checked.

    Args:
        path: the file, for errors too.
        check: path, manifest, names of parts -> raises FileError where they do not fit.
        content: its bytes, where they are part of another file.

    Raises:
        FileError: no such file, or one that is damaged or not of its kind.
    """
    parts = read_parts(path, within=content)
    if _MANIFEST not in parts:
        raise FileError(path, "not a saved model (it has no manifest.json)")
    try:
        manifest = json.loads(parts[_MANIFEST])
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"damaged: its manifest is no JSON ({error})") from error
    check(path, manifest, list(parts))
    if {*manifest["parts"], _MANIFEST} != set(parts):
        raise FileError(path, "damaged: its parts are not those that the manifest lists")
    del parts[_MANIFEST]
    for name, part in parts.items():
        if sha256(part).hexdigest() != manifest["parts"][name]:
            raise FileError(path, f"damaged: the checksum of {name} does not match")
    return manifest, parts


def _check_manifest(path: str | Path, manifest: Any, names: list[str]) -> None:
    keys = {"generator": str, "parameters": dict, "parts": dict}
    check_head(path, manifest, format_name=FORMAT, keys=keys)
    seed = manifest.get("sampling_seed")
    if not (seed is None or (isinstance(seed, int) and seed >= 0)):
        raise FileError(path, "damaged: the manifest's 'sampling_seed' is mistyped")
    skipped = manifest.get("skipped", 0)  # older files have none
    if not (isinstance(skipped, int) and skipped >= 0):
        raise FileError(path, "damaged: the manifest's 'skipped' is mistyped")
    if not {"schema.toml", "receipt.json"} <= set(names):
        raise FileError(path, "damaged: it has no schema.toml or no receipt.json")


def check_head(
    path: str | Path, manifest: Any, *, format_name: str, keys: Mapping[str, Any]
) -> None:
    """Raise FileError unless a manifest is of a format, and has these keys of these types."""
    found = manifest.get("format") if isinstance(manifest, dict) else None
    _check_format(path, found, format_name)
    for key, kind in keys.items():
        if not isinstance(manifest.get(key), kind):
            raise FileError(path, f"damaged: the manifest's {key!r} is missing or mistyped")


def _check_format(path: str | Path, found: Any, format_name: str) -> None:
    if found == format_name:
        return
    kind, _, known = format_name.rpartition(" ")
    pattern = re.escape(kind) + r" (\d{1,9})"
    version = re.fullmatch(pattern, found) if isinstance(found, str) else None
    if version and int(version[1]) > int(known):
        rule = "which this version of dpsynth does not know; a newer one reads it"
        raise FileError(path, f"saved in the format {found!r}, {rule}")
    raise FileError(path, f"not a saved model of the format {format_name!r}")


def _arrays(path: str | Path, parts: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    found = {}
    for name, content in parts.items():
        match = re.fullmatch(r"arrays/(.+)\.npy", name)
        if match:
            _check_array(path, name, content)
            found[match[1]] = np.load(io.BytesIO(content), allow_pickle=False)
    return found


def _check_array(path: str | Path, name: str, content: bytes) -> None:
    """Refuse an array that is not as long as it says, before any memory is made for it."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
    shape, _, dtype = (header or np.lib.format.read_array_header_2_0)(stream)
    if dtype.kind not in "biufU":
        raise FileError(path, f"not a valid model ({name} holds neither numbers nor texts)")
    if prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise FileError(path, f"damaged: {name} is not as long as it says")


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
