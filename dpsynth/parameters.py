"""Objects from the parameters that a person wrote in a TOML file or on a command line."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from dpsynth.errors import InvalidValueError, UnknownNameError

T = TypeVar("T")


def construct(cls: type[T], parameters: Mapping[str, Any], *, owner: str) -> T:
    """Return the frozen dataclass `cls` made from `parameters`, checked against its types.

    Args:
        cls: a dataclass.
        parameters: field -> plain value.
        owner: what the user calls the thing, for messages.

    Raises:
        UnknownNameError: a key that is no field; close matches are named.
        InvalidValueError: a value of the wrong type, or one that the class refuses.
    """
    from dataclasses import fields

    import msgspec

    known = [f.name for f in fields(cls) if f.init]  # pyright: ignore[reportArgumentType]
    check_keys(parameters, known, kind=f"parameter of {owner}")
    try:
        return msgspec.convert(dict(parameters), cls)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InvalidValueError):
            raise error.__cause__ from None
        raise mistyped(error, parameters, owner=owner) from None


def check_keys(given: Iterable[str], known: Iterable[str], *, kind: str) -> None:
    """Raise UnknownNameError for the first of `given` that is not in `known`."""
    names = list(known)
    for key in given:
        if key not in names:
            raise UnknownNameError(kind, key, names)


def mistyped(error: Exception, raw: Any, *, owner: str) -> InvalidValueError:
    """Return a sentence for msgspec's complaint about `raw`: field, value and rule."""
    text = str(error)
    complaint, _, path = text.partition(" - at ")
    path = path.strip("`").removeprefix("$").removeprefix(".")
    value = raw
    for key, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        value = value[int(index)] if index else value[key]
    match = re.fullmatch(r"Expected `(.+?)`(?:, got `.+`)?", complaint)
    if match:
        return InvalidValueError(f"{owner}: {path}" if path else owner, value, _kind(match[1]))
    missing = re.fullmatch(r"Object missing required field `(.+)`", complaint)
    if missing:
        return InvalidValueError(f"{owner}: {missing[1]}", None, "given")
    return InvalidValueError(f"{owner}: {path}", value, complaint[:1].lower() + complaint[1:])


def _kind(name: str) -> str:
    words = {
        "int": "an integer",
        "float": "a number",
        "str": "a text",
        "bool": "true or false",
        "array": "a list",
        "object": "a table",
        "null": "left out",
    }
    return " or ".join(words.get(part.strip(), part.strip()) for part in name.split("|"))
