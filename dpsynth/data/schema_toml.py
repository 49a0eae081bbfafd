"""Schemas as TOML: the keys that a file may have, reading them, and writing them.

The standard library reads TOML but does not write it. A schema needs texts, numbers, truth values,
lists and tables in one line only, so the few lines here write it, and no dependency is needed.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from dpsynth.data.column_kinds import KEYS, column_keys, read_column
from dpsynth.data.columns import Column
from dpsynth.data.constraint_kinds import constraint_keys, read_constraint
from dpsynth.data.constraints import Constraint
from dpsynth.data.open_columns import OpenColumn
from dpsynth.errors import SchemaError, UnknownNameError, shown

TomlTable: TypeAlias = Mapping[str, Any]

TOP_KEYS = ("public_rows", "unit", "max_rows_per_unit", "inferred", "on_violation")

Read: TypeAlias = tuple[dict[str, Any], tuple[Column | OpenColumn, ...], tuple[Constraint, ...]]


def read(text: str) -> Read:
    """Return the top-level keys, the columns and the constraints of a schema written in TOML.

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
    _check_keys("key of the schema", document, (*TOP_KEYS, "column", "constraint"))
    columns, constraints = _tables(document, "column"), _tables(document, "constraint")
    return (
        document,
        tuple(_read_column(table, i) for i, table in enumerate(columns, start=1)),
        tuple(read_constraint(t, i, _check_keys) for i, t in enumerate(constraints, start=1)),
    )


def _tables(document: dict[str, Any], key: str) -> list[object]:
    tables: Any = document.pop(key, [])
    if not isinstance(tables, list):
        raise SchemaError(None, key, f"each {key} is a table that starts with [[{key}]]")
    return cast("list[object]", tables)


def _read_column(value: object, position: int) -> Column | OpenColumn:
    if not isinstance(value, dict):
        raise SchemaError(None, value, "each column is a table that starts with [[column]]")
    table = cast("TomlTable", value)
    name = table.get("name")
    if not isinstance(name, str):
        raise SchemaError(None, name, f"column {position} needs a name, which is a text")
    kind = table.get("kind")
    known = KEYS.get(kind, ()) if isinstance(kind, str) else ()
    _check_keys(f"key of schema column {shown(name)}", table, known or _every_key())
    if kind is None:
        raise SchemaError(name, None, f"kind must be one of {', '.join(KEYS)}")
    if not isinstance(kind, str) or kind not in KEYS:
        raise UnknownNameError(f"kind of schema column {shown(name)}", str(kind), KEYS)
    return read_column(kind, {key: item for key, item in table.items() if key != "kind"})


def _every_key() -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for keys in KEYS.values() for key in keys))


def _check_keys(kind: str, table: TomlTable, known: Iterable[str]) -> None:
    names = tuple(known)
    for key in table:
        if key not in names:
            raise UnknownNameError(kind, key, names)


def write(
    top: TomlTable,
    columns: Iterable[Column | OpenColumn],
    constraints: Iterable[Constraint] = (),
) -> str:
    """Return TOML for a schema; keys that are None are left out."""
    blocks = [write_keys(top)]
    blocks += ["[[column]]\n" + write_keys(column_keys(column)) for column in columns]
    blocks += ["[[constraint]]\n" + write_keys(constraint_keys(one)) for one in constraints]
    return "\n".join(blocks)


def write_keys(keys: TomlTable) -> str:
    """Return the lines of one TOML table; keys that are None are left out."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in keys.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON and TOML quote texts alike, except that TOML wants the delete character escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, cast('Sequence[object]', value)))}]"
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return f"{{ {', '.join(f'{_value(key)} = {_value(item)}' for key, item in items)} }}"
    return repr(value)
