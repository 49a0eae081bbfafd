"""A schema of which something is still to be bought, and reading either kind of schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast, final

from dpsynth.data import schema_toml
from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.constraints import Constraint
from dpsynth.data.domain import Domain
from dpsynth.data.open_columns import Binning, OpenColumn, OpenNumber, OpenText
from dpsynth.data.open_rules import closed_columns, most_codes, stand_in
from dpsynth.data.presenting import with_dtypes
from dpsynth.data.schema import Schema, schema_text
from dpsynth.errors import DpsynthError, SchemaError

_DTYPES = "dtypes of the frame"
SETTINGS = tuple(f.name for f in fields(Schema) if f.name != "columns")


@final
@dataclass(frozen=True, kw_only=True)
class OpenSchema:
    """What is public about a table before its bounds, categories or bins have been bought.

    Args:
        columns: at least one, in order, names unique; some may be open.
        settings: the other fields of a `Schema`.

    Raises:
        SchemaError: a field outside its rule.
    """

    columns: tuple[Column | OpenColumn, ...]
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        settings = {
            key: tuple(cast("list[object]", value)) if isinstance(value, list) else value
            for key, value in self.settings.items()
        }
        object.__setattr__(self, "settings", MappingProxyType(settings))
        for name in self.names:
            if self.names.count(name) > 1:
                raise SchemaError(None, name, "names of columns must be unique")
        if not self.columns:
            raise SchemaError(None, [], "at least one column is needed")
        # Refuses settings against rules, and splits the bins that constraints cut.
        declared = self.declared.columns
        pairs = zip(self.columns, declared, strict=True)
        columns = (c if isinstance(c, OpenText | OpenNumber) else own for c, own in pairs)
        object.__setattr__(self, "columns", tuple(columns))

    def __hash__(self) -> int:
        return hash((self.columns, tuple(sorted(self.settings.items()))))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(c.name for c in self.columns)

    @property
    def open_columns(self) -> tuple[OpenColumn, ...]:
        """The columns of which something is to be bought."""
        return tuple(c for c in self.columns if isinstance(c, OpenText | OpenNumber))

    @cached_property
    def declared(self) -> Schema:
        """What is declared already: columns that take every value stand in for the open ones."""
        given = self.settings.get("constraints", ())
        constraints = [c for c in given if isinstance(c, Constraint)]  # the schema refuses others
        columns = (
            stand_in(c, constraints) if isinstance(c, OpenText | OpenNumber) else c
            for c in self.columns
        )
        return Schema(columns=tuple(columns), **self.settings)

    @property
    def largest(self) -> Domain:
        """The columns with the most codes that each can have when it is closed."""
        pairs = zip(self.columns, self.declared.columns, strict=True)
        return Domain(sizes={c.name: most_codes(c, own) for c, own in pairs})

    def closed(self, bought: Sequence[Column]) -> Schema:
        """Return the closed schema of bought columns, which constraints hold in as in this one.

        Args:
            bought: one for each column, in order.
        """
        known = self.declared
        columns = closed_columns(
            self.columns, bought, known.columns, known.constraints, known.rules.orders
        )
        return Schema(columns=columns, **self.settings)

    @classmethod
    def of(cls, schema: Schema) -> "OpenSchema":
        """Return a closed schema as one of which nothing is open."""
        settings = {name: getattr(schema, name) for name in SETTINGS}
        return cls(columns=schema.columns, settings=settings)

    @classmethod
    def forgetting(cls, schema: Schema, *, binning: Binning, bounds: bool) -> "OpenSchema":
        """Return `schema` as if bins of its numbers were not known.

        Args:
            schema: columns of categories stay as they are.
            binning: how bins are to be bought.
            bounds: whether bounds stay known.
        """
        found: list[Column | OpenColumn] = []
        for column in schema.columns:
            if isinstance(column, CategoricalColumn):
                found.append(column)
                continue
            found.append(
                OpenNumber(
                    name=column.name,
                    whole=isinstance(column, IntegerColumn),
                    binning=binning,
                    clock=column.clock if isinstance(column, IntegerColumn) else None,
                    missing=column.missing,
                    lower=column.lower if bounds else None,
                    upper=column.upper if bounds else None,
                )
            )
        return cls(columns=tuple(found), settings=cls.of(schema).settings)

    def to_toml(self) -> str:
        """Return the schema as TOML; `parse_schema` gives an equal one back."""
        top = {key: value for key, value in self.settings.items() if key != "constraints"}
        return schema_toml.write(top, self.columns, self.settings.get("constraints", ()))


def presented_as(schema: Schema | OpenSchema, frame: Any) -> Schema | OpenSchema:
    """Return the schema whose columns have the dtypes of a frame, where they declare none.

    Args:
        schema: what is public about the records.
        frame: has its columns; its dtypes are taken as public, which the schema then says.
    """
    columns = with_dtypes(schema.columns, frame)
    shown = (*zip(columns, schema.columns, strict=True),)
    if all(ours.dtype == theirs.dtype for ours, theirs in shown):
        return schema
    if isinstance(schema, Schema):
        inferred = (*schema.inferred, _DTYPES)
        return replace(schema, columns=columns, inferred=inferred)
    settings = {**schema.settings, "inferred": (*schema.settings.get("inferred", ()), _DTYPES)}
    return OpenSchema(columns=columns, settings=settings)


def parse_schema(text: str) -> Schema | OpenSchema:
    """Return the schema in a TOML text: an `OpenSchema` where a column of it is open.

    Raises:
        SchemaError, UnknownNameError: as `Schema.from_toml`.
    """
    top, columns, constraints = schema_toml.read(text)
    closed = [c for c in columns if not isinstance(c, OpenText | OpenNumber)]
    if len(closed) == len(columns):
        return Schema(columns=tuple(closed), constraints=constraints, **top)
    if constraints:
        top["constraints"] = constraints
    return OpenSchema(columns=columns, settings=top)


def load_schema(path: str | Path) -> Schema | OpenSchema:
    """Return the schema in a TOML file.

    Raises:
        FileError: the file is missing or unreadable.
        SchemaError, UnknownNameError: as `parse_schema`.
    """
    text = schema_text(path)
    try:
        return parse_schema(text)
    except DpsynthError as error:
        error.add_note(f"in {path}")
        raise
