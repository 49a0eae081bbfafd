"""Saved models: a zip of manifest.json, schema.toml, receipt.json and arrays/*.npy; no pickle.

Reading one runs no code that the file chooses: the generator is looked up in the registry, arrays
hold plain numbers, and every part is checked against the manifest's checksum before it is parsed.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping
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
        "parts": {name: sha256(content).hexdigest() for name, content in parts.items()},
    }
    parts[_MANIFEST] = json.dumps(manifest, indent=1).encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as bundle:
        for name in sorted(parts):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, parts[name])
    write_atomically(path, archive.getvalue())


def read(path: str | Path, *, generator: "type[Generator] | None") -> "Synthesis":
    """Return the model saved at `path`; see `Synthesis.load`."""
    from dpsynth.data.schema import Schema
    from dpsynth.privacy.receipt import Receipt
    from dpsynth.synthesis import Synthesis

    manifest, parts = _read_parts(path)
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


def _read_parts(path: str | Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and every part that it lists, checked."""
    try:
        with zipfile.ZipFile(path) as bundle:
            names = bundle.namelist()
            if _MANIFEST not in names:
                raise FileError(path, "not a saved model (it has no manifest.json)")
            manifest = json.loads(bundle.read(_MANIFEST))
            _check_manifest(path, manifest, names)
            parts = {name: bundle.read(name) for name in manifest["parts"]}
    except FileNotFoundError:
        raise FileError(path, "no such file") from None
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    except (zipfile.BadZipFile, ValueError) as error:
        raise FileError(path, f"not a saved model, or damaged ({error})") from error
    for name, content in parts.items():
        if sha256(content).hexdigest() != manifest["parts"][name]:
            raise FileError(path, f"damaged: the checksum of {name} does not match")
    return manifest, parts


def _check_manifest(path: str | Path, manifest: Any, names: list[str]) -> None:
    keys = {"format": str, "generator": str, "parameters": dict, "parts": dict}
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise FileError(path, f"not a saved model of the format {FORMAT!r}")
    for key, kind in keys.items():
        if not isinstance(manifest.get(key), kind):
            raise FileError(path, f"damaged: the manifest's {key!r} is missing or mistyped")
    seed = manifest.get("sampling_seed")
    if not (seed is None or (isinstance(seed, int) and seed >= 0)):
        raise FileError(path, "damaged: the manifest's 'sampling_seed' is mistyped")
    skipped = manifest.get("skipped", 0)  # older files have none
    if not (isinstance(skipped, int) and skipped >= 0):
        raise FileError(path, "damaged: the manifest's 'skipped' is mistyped")
    if {*manifest["parts"], _MANIFEST} != set(names) or len(names) != len(set(names)):
        raise FileError(path, "damaged: its parts are not those that the manifest lists")
    if not {"schema.toml", "receipt.json"} <= set(names):
        raise FileError(path, "damaged: it has no schema.toml or no receipt.json")


def _arrays(parts: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    found = {}
    for name, content in parts.items():
        match = re.fullmatch(r"arrays/(.+)\.npy", name)
        if match:
            found[match[1]] = np.load(io.BytesIO(content), allow_pickle=False)
    return found


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
