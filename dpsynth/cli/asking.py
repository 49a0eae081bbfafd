"""Conditions, shares and interventions as they are written on the command line."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.errors import FileError, InvalidValueError, UnknownNameError

if TYPE_CHECKING:
    from dpsynth.data.columns import Column
    from dpsynth.data.schema import Schema

_SIGNS = ("=", "!=", ">", "<")


def parse_where(schema: "Schema", texts: Iterable[str]) -> dict[str, Any]:
    """Return the conditions of --where: COLUMN=VALUE, COLUMN>=65, COLUMN=18..65, COLUMN=A|B.

    Raises:
        InvalidValueError: a text that is no condition, or a second one on a column.
        UnknownNameError: a column that the schema lacks.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, rest = _column_of(schema, text, option="--where", signs=_SIGNS)
        if name in found:
            raise InvalidValueError("--where", text, f"the only condition on {name!r}: join by '|'")
        found[name] = _condition(schema.column(name), rest)
    return found


def parse_shares(schema: "Schema", texts: Iterable[str]) -> dict[str, dict[Any, float]]:
    """Return the shares of --share: COLUMN:CONDITION=SHARE, as income:>50K=.5 or age:>=65=.3.

    Raises:
        InvalidValueError: a text of another form.
        UnknownNameError: a column that the schema lacks.
    """
    found: dict[str, dict[Any, float]] = {}
    for text in texts:
        asked, _, share = text.rpartition("=")
        try:
            number = float(share)
        except ValueError:
            raise InvalidValueError("--share", text, "COLUMN:CONDITION=SHARE") from None
        name, condition = _column_of(schema, asked, option="--share", signs=(":",))
        found.setdefault(name, {})[condition[1:]] = number
    return found


def parse_balance(texts: Iterable[str]) -> list[str]:
    """Return the columns of --balance: names, or several joined by commas."""
    return [name.strip() for text in texts for name in text.split(",")]


def parse_do(schema: "Schema", texts: Iterable[str]) -> dict[str, Any]:
    """Return the interventions of --do: COLUMN=VALUE; no value stands for a missing one.

    Raises:
        InvalidValueError: a text of another form.
        UnknownNameError: a column that the schema lacks.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, rest = _column_of(schema, text, option="--do", signs=("=",))
        found[name] = rest[1:] or None
    return found


def read_graph(path: str) -> dict[str, Any]:
    """Return the causal graph in a TOML file: a line for each column, with the list of its causes.

    Raises:
        FileError: a file that is missing or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileError(path, "there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(path, f"the causal graph cannot be read ({error})") from error


def _column_of(
    schema: "Schema", text: str, *, option: str, signs: tuple[str, ...]
) -> tuple[str, str]:
    """Return the column that `text` begins with, and the rest of it, which begins with a sign."""
    names = [n for n in schema.names if text.startswith(n)]
    for name in sorted(names, key=len, reverse=True):
        rest = text[len(name) :].lstrip()
        if rest.startswith(signs):
            return name, rest
    places = [text.find(sign) for sign in signs if sign in text]
    if not places:
        raise InvalidValueError(option, text, f"a column followed by one of {' '.join(signs)}")
    raise UnknownNameError("column of the schema", text[: min(places)].strip(), schema.names)


def _condition(column: "Column", rest: str) -> Any:
    """Return what follows a column's name as `parse_condition` understands it."""
    from dpsynth.data.columns import CategoricalColumn

    if not rest.startswith("="):
        return rest
    value = rest[1:]
    texts = isinstance(column, CategoricalColumn) and value in map(str, column.categories)
    return value.split("|") if "|" in value and not texts else value
