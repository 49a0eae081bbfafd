"""What may be tried: a public list of values, or a range, for each hyperparameter."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast, final

from dpsynth.data.schema_toml import write_keys
from dpsynth.errors import FileError, InvalidValueError
from dpsynth.parameters import check_keys, construct
from dpsynth.synthesis import build_generator

if TYPE_CHECKING:
    from dpsynth.generators.base import Generator

_MOST_CANDIDATES = 1000


@final
@dataclass(frozen=True, kw_only=True)
class Range:
    """All numbers from `low` to `high`; integers where both ends are.

    Args:
        low: least value.
        high: largest value, above `low`.
        log: whether the logarithm is searched evenly.

    Raises:
        InvalidValueError: ends out of order, or not above 0 for a logarithm.
    """

    low: int | float
    high: int | float
    log: bool = False

    def __post_init__(self) -> None:
        if not (isfinite(self.low) and isfinite(self.high) and self.low < self.high):
            raise InvalidValueError("high", self.high, f"a finite number above low ({self.low})")
        if self.log and self.low <= 0:
            raise InvalidValueError("low", self.low, "above 0 where log is true")

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


Values: TypeAlias = Sequence[Any] | Range
Grid: TypeAlias = Mapping[str, Values]


def read_grid(path: str | Path) -> Grid:
    """Return the grid in a TOML file: `name = [values]`, or `name = {low = .., high = ..}`.

    Raises:
        FileError: no such file, or no TOML.
        InvalidValueError, UnknownNameError: a value that is neither a list nor a range.
    """
    return parse_grid(_toml(path))


def parse_grid(record: Mapping[str, Any], fixed: Mapping[str, Any] | None = None) -> Grid:
    """Return the grid that plain values state; errors as of `read_grid`.

    Args:
        record: hyperparameter -> its values.
        fixed: other hyperparameters, which all candidates share.
    """
    if not record:
        raise InvalidValueError("grid", dict(record), "at least one hyperparameter")
    for name in record.keys() & (fixed or {}).keys():
        raise InvalidValueError("grid", name, "of hyperparameters that are not fixed beside it")
    return {name: _values(name, stated) for name, stated in record.items()}


def _values(name: str, stated: Any) -> Values:
    if isinstance(stated, Range):
        return stated
    if isinstance(stated, Mapping):
        return construct(Range, cast("Mapping[str, Any]", stated), owner=f"grid: {name}")
    if not isinstance(stated, list | tuple) or not stated:
        raise InvalidValueError(f"grid: {name}", stated, "a list of values, or a range low, high")
    return tuple(cast("Sequence[Any]", stated))


def candidates_of(
    name: str, grid: Grid, fixed: Mapping[str, Any] | None = None
) -> "tuple[Generator, ...]":
    """Return the generator called `name` with every combination of the values of `grid`.

    Args:
        name: of the registry, or module:Class.
        grid: lists alone.
        fixed: hyperparameters that all candidates share.

    Raises:
        InvalidValueError: a range, too many combinations, or a value that the generator refuses.
        UnknownNameError: no such generator or hyperparameter.
    """
    for field, values in grid.items():
        if isinstance(values, Range):
            rule = "a list of values: ranges are for tuning on public records"
            raise InvalidValueError(f"grid: {field}", values, rule)
    lists = cast("dict[str, Sequence[Any]]", dict(grid))
    count = prod(map(len, lists.values()))
    if count > _MOST_CANDIDATES:
        raise InvalidValueError("grid", f"{count} candidates", f"at most {_MOST_CANDIDATES}")
    chosen = (dict(zip(lists, values, strict=True)) for values in product(*lists.values()))
    return tuple(build_generator(name, {**(fixed or {}), **settings}) for settings in chosen)


def stated(grid: Grid) -> str:
    """Return the grid in words, for a receipt."""
    return "; ".join(f"{name} from {_words(values)}" for name, values in grid.items())


def _words(values: Values) -> str:
    if isinstance(values, Range):
        return f"{values.low} to {values.high}"
    return ", ".join(map(str, values))


def read_parameters(path: str | Path, generator: str) -> dict[str, Any]:
    """Return the hyperparameters that `dpsynth tune` wrote for `generator`.

    Raises:
        FileError: no such file, or not one that it wrote.
        InvalidValueError: they are another generator's.
    """
    record = _toml(path)
    check_keys(record, ("generator", "parameters"), kind=f"key of {path}")
    parameters = record.get("parameters", {})
    if not isinstance(parameters, dict) or not isinstance(record.get("generator"), str):
        raise FileError(path, "it must have generator = 'NAME' and a table [parameters]")
    if record["generator"] != generator:
        rule = f"{record['generator']!r}, whose parameters are in {path}"
        raise InvalidValueError("generator", generator, rule)
    return cast("dict[str, Any]", parameters)


def parameters_toml(generator: str, parameters: Mapping[str, Any], remark: str) -> str:
    """Return the text that `read_parameters` reads, with a remark at its head."""
    head = f"# {remark}\n" + write_keys({"generator": generator})
    return head + "\n[parameters]\n" + write_keys(parameters)


def _toml(path: str | Path) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise FileError(path, f"not valid TOML ({error})") from error
