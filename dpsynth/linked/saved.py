"""Saved linked models: a zip of two saved models, the schemas and the receipt of both."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.atomic import write_atomically
from dpsynth.data.columns import FloatColumn, IntegerColumn
from dpsynth.data.linked_schema import LinkedSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import DpsynthError, FileError, PrivacyError, UnknownNameError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.privacy.receipt import Receipt
from dpsynth.saved import bundled, check_head, packed, unbundled
from dpsynth.saved import read as read_model

if TYPE_CHECKING:
    from dpsynth.linked.synthesis import LinkedSynthesis

FORMAT = "dpsynth linked model 1"
_NEEDED = {"events.toml", "receipt.json", "starts.zip", "transitions.zip"}


def write(synthesis: "LinkedSynthesis", path: str | Path) -> None:
    """Write `synthesis` to `path`; see `LinkedSynthesis.save`."""
    schema = synthesis.schema
    parts = {
        "events.toml": schema.events.to_toml().encode(),
        "receipt.json": synthesis.receipt.to_json().encode(),
        "starts.zip": packed(synthesis.units),
        "transitions.zip": packed(synthesis.events),
    }
    if schema.units is not None:
        parts["units.toml"] = schema.units.to_toml().encode()
    if schema.gap is not None:
        parts["gap.toml"] = Schema(columns=(schema.gap,)).to_toml().encode()
    manifest = {
        "format": FORMAT,
        "time": schema.time,
        "max_events": schema.max_events,
        "numbers": synthesis.numbers.tolist(),
    }
    write_atomically(path, bundled(manifest, parts))


def read(path: str | Path) -> "LinkedSynthesis":
    """Return the model saved at `path`; see `LinkedSynthesis.load`."""
    from dpsynth.linked.synthesis import LinkedSynthesis

    manifest, parts = unbundled(path, _check)
    try:
        schema = _schema(manifest, parts)
        units = read_model(path, content=parts["starts.zip"])
        events = read_model(path, content=parts["transitions.zip"])
        fits = units.schema == schema.starts and events.schema == schema.transitions
        if not fits or not isinstance(events.model, GraphicalSyntheticModel):
            raise FileError(path, "damaged: its models are not those of its schemas")
        return LinkedSynthesis(
            schema=schema,
            units=units,
            events=events,
            numbers=_numbers(schema, manifest["numbers"]),
            receipt=Receipt.from_json(parts["receipt.json"].decode()),
        )
    except (FileError, PrivacyError, UnknownNameError):
        raise
    except (DpsynthError, KeyError, ValueError, TypeError) as error:
        raise FileError(path, f"not a valid linked model ({str(error).rstrip('.')})") from error


def _schema(manifest: dict[str, Any], parts: dict[str, bytes]) -> LinkedSchema:
    read = {name: Schema.from_toml(parts[name].decode()) for name in parts if ".toml" in name}
    gap = read["gap.toml"].columns[0] if "gap.toml" in read else None
    if gap is not None and not isinstance(gap, IntegerColumn | FloatColumn):
        raise TypeError("the gap is no number")
    return LinkedSchema(
        events=read["events.toml"],
        units=read.get("units.toml"),
        time=manifest["time"],
        max_events=manifest["max_events"],
        gap=gap,
    )


def _numbers(schema: LinkedSchema, shares: list[float]) -> NDArray[np.float64]:
    found = np.array(shares, dtype=np.float64)
    if found.shape != (schema.starts.column(schema.number).size,) or not (found >= 0).all():
        raise ValueError("shares of numbers of events that are none")
    return found


def _check(path: str | Path, manifest: Any, names: list[str]) -> None:
    keys = {"time": str | None, "max_events": int, "numbers": list, "parts": dict}
    check_head(path, manifest, format_name=FORMAT, keys=keys)
    if not set(names) >= _NEEDED:
        raise FileError(path, "damaged: a model, a schema or the receipt is missing")
