"""Kinds of constraints as schema files name them: which keys each has, reading and writing them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeAlias, cast

from dpsynth.data.constraints import (
    Combinations,
    Constraint,
    Determines,
    Forbidden,
    Ordered,
    Within,
)
from dpsynth.errors import DpsynthError, SchemaError, UnknownNameError

CONSTRAINTS: Mapping[str, type[Constraint]] = {
    "forbidden": Forbidden,
    "within": Within,
    "determines": Determines,
    "combinations": Combinations,
    "ordered": Ordered,
}


CheckKeys: TypeAlias = Callable[[str, Mapping[str, Any], Iterable[str]], None]


def read_constraint(value: object, position: int, check_keys: CheckKeys) -> Constraint:
    """Return the constraint that a table of TOML describes.

    Args:
        value: what stands there.
        position: of the table among those of constraints, from 1.
        check_keys: refuses keys that nothing answers to.

    Raises:
        SchemaError, UnknownNameError: no table, or not the keys and values of its kind.
    """
    where = f"constraint {position}"
    if not isinstance(value, dict):
        raise SchemaError(None, value, "each constraint is a table that starts with [[constraint]]")
    table = cast("Mapping[str, Any]", value)
    kind = table.get("kind")
    if kind is None:
        raise SchemaError(None, where, f"it needs a kind, one of {', '.join(CONSTRAINTS)}")
    if not isinstance(kind, str) or kind not in CONSTRAINTS:
        raise UnknownNameError(f"kind of {where}", str(kind), CONSTRAINTS)
    cls = CONSTRAINTS[kind]
    check_keys(f"key of {where}", table, ("kind", *(f.name for f in _fields(cls))))
    for field in _fields(cls):
        if field.default is MISSING and field.name not in table:
            raise SchemaError(None, where, f"a constraint {kind!r} needs the key {field.name!r}")
    try:
        return cls(**{key: value for key, value in table.items() if key != "kind"})
    except DpsynthError as error:
        error.add_note(f"in {where}")
        raise


def constraint_keys(constraint: Constraint) -> dict[str, Any]:
    """Return the keys under which `read_constraint` gives an equal constraint back."""
    cls = type(constraint)
    kinds = {known: kind for kind, known in CONSTRAINTS.items()}
    own = {f.name: getattr(constraint, f.name) for f in _fields(cls)}
    tables = {key: dict(own[key]) for key in ("when", "then") if key in own}
    return {"kind": kinds[cls], **own, **tables}


def _fields(cls: type[Constraint]) -> "tuple[Field[Any], ...]":
    return fields(cast("Any", cls))
