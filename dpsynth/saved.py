"""Saved models: a zip of manifest.json, schema.toml, receipt.json and arrays/*.npy; no pickle.

Reading one runs no code that the file chooses: the generator is looked up in the registry, arrays
hold plain numbers, and every part is checked against the manifest's checksum before it is parsed.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.atomic import write_atomically
from dpsynth.errors import DpsynthError, FileError, PrivacyError, UnknownNameError
from dpsynth.parameters import construct
from dpsynth.registry import GENERATORS

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator
    from dpsynth.synthesis import Synthesis

FORMAT = "dpsynth model 1"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model gives the same bytes, whenever it is saved
_MANIFEST = "manifest.json"


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
    """Return a zip of `parts` with a manifest that has the checksum of each."""
    sums = {name: sha256(content).hexdigest() for name, content in parts.items()}
    listed = json.dumps({**manifest, "parts": sums}, indent=1).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        for name, content in sorted({**parts, _MANIFEST: listed}.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, content)
    return archive.getvalue()


def read(
    path: str | Path, *, generator: "type[Generator] | None" = None, content: bytes | None = None
) -> "Synthesis":
    """Return the model saved at `path`; see `Synthesis.load`.

    Args:
        path: the file, for errors too.
        generator: as of `Synthesis.load`.
        content: its bytes, where they are part of another file.
    """
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
            model=cls.model.from_arrays(schema, _arrays(parts)),
            receipt=Receipt.from_json(parts["receipt.json"].decode()),
            generator=construct(cls, manifest["parameters"], owner=name),
            sampling_seed=manifest["sampling_seed"],
            skipped=manifest.get("skipped", 0),
        )
    except PrivacyError:
        raise
    except (DpsynthError, KeyError, ValueError, TypeError) as error:
        raise FileError(path, f"not a valid {name} model ({_reason(error)})") from error


def unbundled(
    path: str | Path,
    check: Callable[[str | Path, Any, list[str]], None],
    *,
    content: bytes | None = None,
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest of a zip and every part that it lists, checked.

    Args:
        path: the file, for errors too.
        check: path, manifest, names in the zip -> raises FileError where they do not fit.
        content: its bytes, where they are part of another file.

    Raises:
        FileError: no such file, or one that is damaged or not of its kind.
    """
    try:
        with zipfile.ZipFile(path if content is None else io.BytesIO(content)) as bundle:
            names = bundle.namelist()
            if _MANIFEST not in names:
                raise FileError(path, "not a saved model (it has no manifest.json)")
            manifest = json.loads(bundle.read(_MANIFEST))
            check(path, manifest, names)
            check_parts(path, manifest, names)
            parts = {name: bundle.read(name) for name in manifest["parts"]}
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise FileError(path, f"not a saved model, or damaged ({error})") from error
    for name, part in parts.items():
        if sha256(part).hexdigest() != manifest["parts"][name]:
            raise FileError(path, f"damaged: the checksum of {name} does not match")
    return manifest, parts


def _check_manifest(path: str | Path, manifest: Any, names: list[str]) -> None:
    keys = {"generator": str, "parameters": dict, "parts": dict}
    check_head(path, manifest, format_name=FORMAT, keys=keys)
    skipped = manifest.get("skipped", 0)  # older files have none
    if not (isinstance(skipped, int) and skipped >= 0):
        raise FileError(path, "damaged: the manifest's 'skipped' is mistyped")
    if not {"schema.toml", "receipt.json"} <= set(names):
        raise FileError(path, "damaged: it has no schema.toml or no receipt.json")


def check_head(
    path: str | Path, manifest: Any, *, format_name: str, keys: Mapping[str, Any]
) -> None:
    """Raise FileError unless a manifest is of a format, and has these keys of these types."""
    if not isinstance(manifest, dict) or manifest.get("format") != format_name:
        raise FileError(path, f"not a saved model of the format {format_name!r}")
    for key, kind in keys.items():
        if not isinstance(manifest.get(key), kind):
            raise FileError(path, f"damaged: the manifest's {key!r} is missing or mistyped")
    seed = manifest.get("sampling_seed")
    if not (seed is None or (isinstance(seed, int) and seed >= 0)):
        raise FileError(path, "damaged: the manifest's 'sampling_seed' is mistyped")


def check_parts(path: str | Path, manifest: Mapping[str, Any], names: list[str]) -> None:
    """Raise FileError unless a zip has the parts that its manifest lists, and no others."""
    if {*manifest["parts"], _MANIFEST} != set(names) or len(names) != len(set(names)):
        raise FileError(path, "damaged: its parts are not those that the manifest lists")


def _arrays(parts: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    found = {}
    for name, content in parts.items():
        match = re.fullmatch(r"arrays/(.+)\.npy", name)
        if match:
            found[match[1]] = np.load(io.BytesIO(content), allow_pickle=False)
    return found


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
