"""Schemas as TOML: the keys that a file may have, reading them, and writing them.

The standard library reads TOML but does not write it. A schema needs texts, numbers, truth values,
lists and tables in one line only, so the few lines here write it, and no dependency is needed.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeAlias, cast

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.constraints import (
    Combinations,
    Constraint,
    Determines,
    Forbidden,
    Ordered,
    Within,
)
from dpsynth.errors import DpsynthError, SchemaError, UnknownNameError

TomlTable: TypeAlias = Mapping[str, Any]

KINDS: Mapping[str, type[Column]] = {
    "categorical": CategoricalColumn,
    "integer": IntegerColumn,
    "float": FloatColumn,
}

CONSTRAINTS: Mapping[str, type[Constraint]] = {
    "forbidden": Forbidden,
    "within": Within,
    "determines": Determines,
    "combinations": Combinations,
    "ordered": Ordered,
}

TOP_KEYS = ("public_rows", "unit", "max_rows_per_unit", "inferred", "on_violation")


def read(text: str) -> tuple[dict[str, Any], tuple[Column, ...], tuple[Constraint, ...]]:
    """Return the top-level keys, the columns and the constraints of a schema written in TOML.

    Raises:
        SchemaError: not TOML, a required key that is missing, a value of the wrong type.
        UnknownNameError: a key that nothing answers to.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(None, str(error), "the text must be valid TOML") from error
    _check_keys("key of the schema", document, (*TOP_KEYS, "column", "constraint"))
    columns = _tables(document, "column")
    constraints = _tables(document, "constraint")
    return (
        document,
        tuple(_read_column(table, i) for i, table in enumerate(columns, start=1)),
        tuple(_read_constraint(table, i) for i, table in enumerate(constraints, start=1)),
    )


def _tables(document: dict[str, Any], key: str) -> list[object]:
    tables: Any = document.pop(key, [])
    if not isinstance(tables, list):
        raise SchemaError(None, key, f"each {key} is a table that starts with [[{key}]]")
    return cast("list[object]", tables)


def _read_constraint(value: object, position: int) -> Constraint:
    where = f"constraint {position}"
    if not isinstance(value, dict):
        raise SchemaError(None, value, "each constraint is a table that starts with [[constraint]]")
    table = cast("TomlTable", value)
    kind = table.get("kind")
    if kind is None:
        raise SchemaError(None, where, f"it needs a kind, one of {', '.join(CONSTRAINTS)}")
    if not isinstance(kind, str) or kind not in CONSTRAINTS:
        raise UnknownNameError(f"kind of {where}", str(kind), CONSTRAINTS)
    cls = CONSTRAINTS[kind]
    _check_keys(f"key of {where}", table, ("kind", *(f.name for f in _fields(cls))))
    for field in _fields(cls):
        if field.default is MISSING and field.name not in table:
            raise SchemaError(None, where, f"a constraint {kind!r} needs the key {field.name!r}")
    try:
        return cls(**{key: value for key, value in table.items() if key != "kind"})
    except DpsynthError as error:
        error.add_note(f"in {where}")
        raise


def _fields(cls: type[Constraint]) -> tuple[Field[Any], ...]:
    return fields(cast("Any", cls))


def _read_column(value: object, position: int) -> Column:
    if not isinstance(value, dict):
        raise SchemaError(None, value, "each column is a table that starts with [[column]]")
    table = cast("TomlTable", value)
    name = table.get("name")
    if not isinstance(name, str):
        raise SchemaError(None, name, f"column {position} needs a name, which is a text")
    _check_keys(f"key of schema column {name!r}", table, _all_keys(table.get("kind")))
    if "kind" not in table:
        raise SchemaError(name, None, f"kind must be one of {', '.join(KINDS)}")
    kind = table["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownNameError(f"kind of schema column {name!r}", str(kind), KINDS)
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


def write(top: TomlTable, columns: Iterable[Column], constraints: Iterable[Constraint] = ()) -> str:
    """Return TOML for a schema; keys that are None are left out."""
    blocks = [_write_keys(top)]
    names = {column: kind for kind, column in KINDS.items()}
    for column in columns:
        keys = {"name": column.name, "kind": names[type(column)]}
        keys |= {f.name: getattr(column, f.name) for f in fields(column)}
        blocks.append("[[column]]\n" + _write_keys(keys))
    kinds = {cls: kind for kind, cls in CONSTRAINTS.items()}
    for constraint in constraints:
        cls = type(constraint)
        own = {f.name: getattr(constraint, f.name) for f in _fields(cls)}
        tables = {key: dict(own[key]) for key in ("when", "then") if key in own}
        blocks.append("[[constraint]]\n" + _write_keys({"kind": kinds[cls], **own, **tables}))
    return "\n".join(blocks)


def _write_keys(keys: TomlTable) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in keys.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON and TOML quote texts alike, except that TOML wants the delete character escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return f"{{ {', '.join(f'{_value(key)} = {_value(item)}' for key, item in items)} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(_value(item) for item in cast('tuple[object, ...]', value))}]"
    return repr(value)
