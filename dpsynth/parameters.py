"""Objects from the parameters that a person wrote in a TOML file or on a command line."""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from dpsynth.errors import InvalidValueError, UnknownNameError

T = TypeVar("T")


def construct(
    cls: type[T],
    parameters: Mapping[str, Any],
    *,
    owner: str,
    given: Mapping[str, Any] | None = None,
) -> T:
    """Return the frozen dataclass `cls` made from `parameters`, checked against its types.

    Args:
        cls: a dataclass.
        parameters: field -> plain value, as TOML or JSON has them.
        owner: what the user calls the thing, for messages.
        given: fields that the program supplies; the user may not.

    Raises:
        UnknownNameError: a key that is no field; close matches are named.
        InvalidValueError: a value that is missing, of the wrong type, or refused by the class.
    """
    supplied = dict(given or {})
    known: dict[str, Field[Any]] = {
        f.name: f
        for f in fields(cls)  # pyright: ignore[reportArgumentType]
        if f.init and f.name not in supplied
    }
    check_keys(parameters, known, kind=f"parameter of {owner}")
    for name, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and name not in parameters:
            raise InvalidValueError(f"{owner}: {name}", None, "given")
    checked = {
        name: convert(value, _type_of(cls, known[name]), field=f"{owner}: {name}")
        for name, value in parameters.items()
    }
    return cls(**checked, **supplied)


def convert(value: Any, kind: Any, *, field: str) -> Any:
    """Return the plain `value` as the type `kind`.

    Raises:
        InvalidValueError: it is of another type; the sentence names the field and the value.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        complaint, _, path = str(error).partition(" - at ")
        inner = path.strip("`").removeprefix("$")
        for index in re.findall(r"\[(\d+)\]", inner):
            value = value[int(index)]
        raise InvalidValueError(f"{field}{inner}", value, _rule(complaint, kind)) from None


def check_keys(given: Iterable[str], known: Iterable[str], *, kind: str) -> None:
    """Raise UnknownNameError for the first of `given` that is not in `known`."""
    names = list(known)
    for key in given:
        if key not in names:
            raise UnknownNameError(kind, key, names)


def _type_of(cls: type[Any], field: Field[Any]) -> Any:
    """Return the field's type; Any where it is a name that exists for type checkers only."""
    if not isinstance(field.type, str):
        return field.type
    try:
        return eval(field.type, dict(vars(sys.modules[cls.__module__])))
    except NameError:
        return Any


def _rule(complaint: str, kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in get_args(kind))
    match = re.match(r"Expected `(.+?)`", complaint)
    if match is None:
        return complaint[:1].lower() + complaint[1:]
    words = {
        "int": "an integer",
        "float": "a number",
        "str": "a text",
        "bool": "true or false",
        "array": "a list",
        "object": "a table",
        "null": "left out",
    }
    return " or ".join(words.get(part.strip(), part.strip()) for part in match[1].split("|"))
