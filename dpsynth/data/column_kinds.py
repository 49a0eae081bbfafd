"""Kinds of columns as schema files name them: which keys each has, reading and writing them."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeAlias

from dpsynth.data.categorical import CategoricalColumn
from dpsynth.data.clock import Clock
from dpsynth.data.columns import Column
from dpsynth.data.numeric import FloatColumn, IntegerColumn
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.errors import SchemaError

Keys: TypeAlias = Mapping[str, Any]

TIMES = ("date", "datetime", "duration")
_OPENING = ("binning", "atoms")
"""Keys that say how something is to be bought: a column that has one is open."""


def _names(kind: type[Any], *without: str) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind) if f.name not in without)


def _number_keys(kind: type[Any]) -> tuple[str, ...]:
    hidden = ("clock", "whole", *(("decimals",) if kind is IntegerColumn else ()))
    return tuple(dict.fromkeys(_names(kind, *hidden) + _names(OpenNumber, *hidden)))


_TIME_KEYS = tuple(k for k in _number_keys(IntegerColumn) if k != "dtype")
KEYS: Mapping[str, tuple[str, ...]] = {
    "categorical": ("kind", *_names(CategoricalColumn)),
    "integer": ("kind", *_number_keys(IntegerColumn)),
    "float": ("kind", *_number_keys(FloatColumn)),
    "boolean": ("kind", *_names(CategoricalColumn, "categories", "on_invalid", "other")),
    "date": ("kind", "format", *_TIME_KEYS),
    "datetime": ("kind", "resolution", "timezone", "format", *_TIME_KEYS),
    "duration": ("kind", "resolution", *_TIME_KEYS),
    "text": ("kind", *_names(OpenText)),
    "identifier": ("kind", "name"),
}
"""Kind -> its keys."""


def read_column(kind: str, keys: Keys) -> Column | OpenColumn:
    """Return the column of a kind that KEYS knows; errors as of the columns themselves.

    A number or time without both bounds, or with a key that says how to buy something, is open.
    """
    name = keys["name"]
    if kind == "identifier":
        rule = "an identifier is not synthesised: leave the column out, or name it as the unit"
        raise SchemaError(name, kind, rule)
    if kind == "text":
        return OpenText(**keys)
    if kind == "boolean":
        return CategoricalColumn(categories=(False, True), **keys)
    if kind == "categorical":
        for field in fields(CategoricalColumn):
            _check_present(field, name, kind, keys)
        return CategoricalColumn(**keys)
    return _number(kind, keys)


def _check_present(field: "Field[Any]", name: str, kind: str, keys: Keys) -> None:
    if field.default is MISSING and field.name not in keys:
        raise SchemaError(name, None, f"a column of kind {kind!r} needs the key {field.name!r}")


def _number(kind: str, keys: Keys) -> Column | OpenColumn:
    of_clock = ("resolution", "timezone", "format")
    rest = {key: item for key, item in keys.items() if kind not in TIMES or key not in of_clock}
    clock = None
    if kind in TIMES:
        given: dict[str, Any] = {key: keys[key] for key in of_clock if key in keys}
        try:
            clock = Clock(kind=kind, **given)  # pyright: ignore[reportArgumentType]
        except SchemaError as error:
            raise SchemaError(keys["name"], error.value, error.rule) from None
    bounded = "lower" in keys and "upper" in keys
    if not bounded or any(key in keys for key in _OPENING):
        return _open_number(kind, rest, clock)
    if kind == "float":
        return FloatColumn(**rest)
    return IntegerColumn(clock=clock, **rest)


def _open_number(kind: str, keys: Keys, clock: Clock | None) -> OpenNumber:
    for key in ("edges", "pieces"):
        if key in keys:
            rule = f"{key} needs lower and upper, and nothing that is to be bought"
            raise SchemaError(keys["name"], keys[key], rule)
    rest = dict(keys)
    if rest.pop("on_invalid", "clip") != "clip":
        rule = "on_invalid is 'clip' where bounds or bins are to be bought"
        raise SchemaError(keys["name"], keys["on_invalid"], rule)
    return OpenNumber(whole=kind != "float", clock=clock, **rest)


def column_keys(column: Column | OpenColumn) -> dict[str, Any]:
    """Return the keys under which `read_column` gives an equal column back."""
    keys = {f.name: getattr(column, f.name) for f in fields(column)}
    clock: Clock | None = keys.pop("clock", None)
    whole = keys.pop("whole", not isinstance(column, FloatColumn))
    if isinstance(column, CategoricalColumn | OpenText):
        kind = "categorical" if isinstance(column, CategoricalColumn) else "text"
    else:
        kind = clock.kind if clock is not None else "integer" if whole else "float"
    if clock is not None:
        for bound in ("lower", "upper"):
            keys[bound] = None if keys[bound] is None else clock.text(keys[bound])
        clock_keys = [key for key in KEYS[kind] if key in ("resolution", "timezone", "format")]
        keys |= {key: getattr(clock, key) for key in clock_keys}
    if keys.get("edges") is not None:
        keys["bins"] = None
    if not keys.get("pieces", True):
        keys["pieces"] = None
    return {"name": keys.pop("name"), "kind": kind, **keys}
