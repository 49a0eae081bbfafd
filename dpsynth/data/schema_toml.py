"""Schemas as TOML: the keys that a file may have, reading them, and writing them.

The standard library reads TOML but does not write it. A schema needs texts, numbers, truth values
and flat lists only, so the few lines here write it, and no dependency is needed.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeAlias, cast

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.errors import SchemaError, UnknownNameError, shown

TomlTable: TypeAlias = Mapping[str, Any]

KINDS: Mapping[str, type[Column]] = {
    "categorical": CategoricalColumn,
    "integer": IntegerColumn,
    "float": FloatColumn,
}

TOP_KEYS = ("public_rows", "unit", "max_rows_per_unit", "inferred")


def read(text: str) -> tuple[dict[str, Any], tuple[Column, ...]]:
    """Return the top-level keys and the columns of a schema written in TOML.

    Raises:
        SchemaError: not TOML, a required key that is missing, a value of the wrong type.
        UnknownNameError: a key that nothing answers to.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(None, str(error), "the text must be valid TOML") from error
    except (ValueError, RecursionError) as error:
        rule = "neither thousands of digits nor hundreds of lists within lists are read"
        raise SchemaError(None, "this TOML", rule) from error
    _check_keys("key of the schema", document, (*TOP_KEYS, "column"))
    tables: Any = document.pop("column", [])
    if not isinstance(tables, list):
        raise SchemaError(None, "column", "each column is a table that starts with [[column]]")
    listed = cast("list[object]", tables)
    return document, tuple(_read_column(table, i) for i, table in enumerate(listed, start=1))


def _read_column(value: object, position: int) -> Column:
    if not isinstance(value, dict):
        raise SchemaError(None, value, "each column is a table that starts with [[column]]")
    table = cast("TomlTable", value)
    name = table.get("name")
    if not isinstance(name, str):
        raise SchemaError(None, name, f"column {position} needs a name, which is a text")
    _check_keys(f"key of schema column {shown(name)}", table, _all_keys(table.get("kind")))
    if "kind" not in table:
        raise SchemaError(name, None, f"kind must be one of {', '.join(KINDS)}")
    kind = table["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownNameError(f"kind of schema column {shown(name)}", str(kind), KINDS)
    column = KINDS[kind]
    for field in fields(column):
        if field.default is MISSING and field.name not in table:
            raise SchemaError(name, None, f"a column of kind {kind!r} needs the key {field.name!r}")
    return column(**{key: value for key, value in table.items() if key != "kind"})


def _all_keys(kind: object) -> tuple[str, ...]:
    """Return the keys of a column of `kind`; those of every kind while it is unknown."""
    known = [KINDS[kind]] if isinstance(kind, str) and kind in KINDS else KINDS.values()
    return ("kind", *dict.fromkeys(f.name for column in known for f in fields(column)))


def _check_keys(kind: str, table: TomlTable, known: Iterable[str]) -> None:
    names = tuple(known)
    for key in table:
        if key not in names:
            raise UnknownNameError(kind, key, names)


def write(top: TomlTable, columns: Iterable[Column]) -> str:
    """Return TOML for a schema; keys that are None are left out."""
    blocks = [_write_keys(top)]
    names = {column: kind for kind, column in KINDS.items()}
    for column in columns:
        keys = {"name": column.name, "kind": names[type(column)]}
        keys |= {f.name: getattr(column, f.name) for f in fields(column)}
        blocks.append("[[column]]\n" + _write_keys(keys))
    return "\n".join(blocks)


def _write_keys(keys: TomlTable) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in keys.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON and TOML quote texts alike, except that TOML wants the delete character escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(_value(item) for item in cast('tuple[object, ...]', value))}]"
    return repr(value)
