"""Events and budgets as plain JSON values, and back; floats survive exactly."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import Enum
from math import isfinite
from typing import Any, TypeAlias, TypeVar, cast

from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import (
    ComposedEvent,
    DpSgdEvent,
    Event,
    ExponentialEvent,
    GaussianEvent,
    GdpEvent,
    LaplaceEvent,
    NoiseLaw,
    PureEvent,
    RepeatedEvent,
    StoppingLaw,
    ZcdpEvent,
)

Json: TypeAlias = dict[str, Any]
_Member = TypeVar("_Member", bound=Enum)

_KINDS: Mapping[str, type[Event]] = {
    "gaussian": GaussianEvent,
    "laplace": LaplaceEvent,
    "exponential": ExponentialEvent,
    "pure": PureEvent,
    "zcdp": ZcdpEvent,
    "gdp": GdpEvent,
    "dpsgd": DpSgdEvent,
    "composed": ComposedEvent,
    "repeated": RepeatedEvent,
}
_NAMES: Mapping[type[Event], str] = {kind: name for name, kind in _KINDS.items()}


def canonical_json(value: object) -> str:
    """Return the one text of a JSON value that digests are taken of: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def event_to_json(event: Event) -> Json:
    """Return `event` as a JSON object with its kind and every field.

    Raises:
        UnknownNameError: an event of a class that this file does not know.
    """
    if type(event) not in _NAMES:
        raise UnknownNameError("event", type(event).__name__, _KINDS)
    record: Json = {"kind": _NAMES[type(event)]}
    for field in fields(event):
        if field.name == "failure" and event.failure == 0.0:
            continue  # as it was written before there was such a field: digests stay
        record[field.name] = _field_to_json(field.name, getattr(event, field.name))
    return record


def _field_to_json(name: str, value: Any) -> object:
    match name:
        case "law" | "stopping":
            return str(value)
        case "events" | "run":
            return [event_to_json(part) for part in value]
        case "steps":
            return int(value)
        case _:
            return float(value)  # an int must not give another digest than the equal float


def event_from_json(record: object) -> Event:
    """Return the event that `event_to_json` wrote; it validates itself again.

    Raises:
        UnknownNameError: an unknown kind.
        InvalidValueError: a missing, unknown or ill-typed field, or a value that its rule forbids.
    """
    values = dict(_object("event", record))
    kind_name = str(values.pop("kind", None))
    if kind_name not in _KINDS:
        raise UnknownNameError("event", kind_name, _KINDS)
    kind = _KINDS[kind_name]
    wanted = {field.name for field in fields(kind)}
    if values.keys() | {"failure"} != wanted:
        raise InvalidValueError(f"fields of {kind_name!r}", sorted(values), f"{sorted(wanted)}")
    for name, value in values.items():
        values[name] = _field_from_json(name, value)
    return kind(**values)


def _field_from_json(name: str, value: object) -> object:
    match name:
        case "law":
            return _member(NoiseLaw, name, value)
        case "stopping":
            return _member(StoppingLaw, name, value)
        case "events" | "run":
            return tuple(event_from_json(part) for part in sequence_from_json(name, value))
        case "steps":
            return integer_from_json(name, value)
        case _:
            return float_from_json(name, value)


def budget_to_json(budget: Budget) -> Json:
    """Return `budget` as a JSON object."""
    return {
        "epsilon": float(budget.epsilon),
        "delta": float(budget.delta),
        "relation": budget.relation.value,
        "unit": budget.unit,
        "max_rows_per_unit": budget.max_rows_per_unit,
    }


def budget_from_json(record: object) -> Budget:
    """Return the budget that `budget_to_json` wrote; it validates itself again.

    Raises:
        InvalidValueError: a missing or ill-typed field, or a value that its rule forbids.
    """
    values = _object("budget", record)
    wanted = {field.name for field in fields(Budget)}
    if set(values) != wanted:
        raise InvalidValueError("fields of 'budget'", sorted(values), f"{sorted(wanted)}")
    return Budget(
        epsilon=float_from_json("epsilon", values["epsilon"]),
        delta=float_from_json("delta", values["delta"]),
        relation=_member(Neighbouring, "relation", values["relation"]),
        unit=text_from_json("unit", values["unit"]),
        max_rows_per_unit=integer_from_json("max_rows_per_unit", values["max_rows_per_unit"]),
    )


def object_from_text(field: str, text: str) -> Json:
    """Return the JSON object in `text`.

    Raises:
        InvalidValueError: the text is not one JSON object.
    """
    try:
        value: object = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except ValueError as error:
        raise InvalidValueError(field, text[:40], f"valid JSON ({error})") from error
    return _object(field, value)


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def float_from_json(field: str, value: object) -> float:
    """Return a finite number; anything else is an InvalidValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise InvalidValueError(field, value, "a finite number")
    return float(value)


def integer_from_json(field: str, value: object) -> int:
    """Return an integer; anything else is an InvalidValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValueError(field, value, "an integer")
    return value


def text_from_json(field: str, value: object) -> str:
    """Return a string; anything else is an InvalidValueError."""
    if not isinstance(value, str):
        raise InvalidValueError(field, value, "a string")
    return value


def sequence_from_json(field: str, value: object) -> Sequence[object]:
    """Return a list; anything else is an InvalidValueError."""
    if not isinstance(value, list):
        raise InvalidValueError(field, value, "a list")
    return cast("list[object]", value)


def _object(field: str, value: object) -> Json:
    if not isinstance(value, dict):
        raise InvalidValueError(field, value, "a JSON object")
    return cast("Json", value)


def _member(kind: type[_Member], field: str, value: object) -> _Member:
    try:
        return kind(value)
    except ValueError as error:
        allowed = " or ".join(repr(member.value) for member in kind)
        raise InvalidValueError(field, value, allowed) from error
