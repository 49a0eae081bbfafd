"""The public description of a table: its columns, its unit of privacy, what is not protected."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, cast, final

from dpsynth.data import schema_toml
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.constraints import Constraint
from dpsynth.data.domain import Domain
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.reading import opened_to_read
from dpsynth.data.rules import Rules, check_constraints
from dpsynth.data.splitting import split_columns
from dpsynth.errors import DpsynthError, FileError, SchemaError, UnknownNameError

__all__ = ["CategoricalColumn", "Column", "FloatColumn", "IntegerColumn", "Schema"]


@final
@dataclass(frozen=True, kw_only=True)
class Schema:
    """What is public about a table, in the order of its columns.

    Args:
        columns: at least one; names are unique. Bins that a constraint's condition cuts are split
            there: the edge is as public as the constraint.
        public_rows: the number of records, where it is no secret; None under add/remove.
        unit: what one unit of privacy is: "record", or the name of what identifies it. Records
            may bring a column of that name which is none of `columns`.
        max_rows_per_unit: the most rows that one unit contributes; must be given when a unit is
            named, and is 1 when the unit is a record.
        inferred: the fields that were drafted from the records themselves, as "column.field".
            Receipts list them as unprotected.
        constraints: what is publicly known to hold in every record; every synthetic one keeps it.
        on_violation: what becomes of a record that breaks a constraint: "error" refuses the table,
            "drop" leaves the record out.

    Raises:
        SchemaError: a field outside its rule.
        UnknownNameError: a constraint on a column that is not there.
    """

    columns: tuple[Column, ...]
    public_rows: int | None = None
    unit: str = "record"
    max_rows_per_unit: int = cast("int", None)  # None until __post_init__ has seen the unit
    inferred: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    on_violation: Literal["error", "drop"] = "error"

    def __post_init__(self) -> None:
        for field in ("columns", "inferred", "constraints"):
            object.__setattr__(self, field, _listed(field, getattr(self, field)))
        _check_columns(self.columns)
        _check_count("public_rows", 1 if self.public_rows is None else self.public_rows)
        _check_text("unit", self.unit)
        given = cast("int | None", self.max_rows_per_unit)
        if given is None and self.unit != "record":
            rule = "max_rows_per_unit must be declared with it"
            raise SchemaError(None, f"unit = {self.unit}", rule)
        object.__setattr__(self, "max_rows_per_unit", 1 if given is None else given)
        _check_count("max_rows_per_unit", self.max_rows_per_unit)
        for item in self.inferred:
            _check_text("inferred", item)
        if self.unit == "record" and self.max_rows_per_unit != 1:
            raise SchemaError(
                None, self.max_rows_per_unit, "max_rows_per_unit must be 1 when unit is 'record'"
            )
        check_constraints(self.columns, self.constraints)
        if self.on_violation not in ("error", "drop"):
            raise SchemaError(None, self.on_violation, "on_violation must be 'error' or 'drop'")
        if self.constraints:
            object.__setattr__(self, "columns", split_columns(self.columns, self.constraints))
            self.rules  # noqa: B018 - what cannot be worked out is refused now

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(c.name for c in self.columns)

    @property
    def domain(self) -> Domain:
        """Codes of each column after encoding, the one for missing values included."""
        return Domain(sizes={c.name: c.size for c in self.columns})

    @cached_property
    def rules(self) -> Rules:
        """What the constraints rule out."""
        return Rules.of(self.columns, self.constraints)

    def column(self, name: str) -> Column:
        """Return the column called `name`.

        Raises:
            UnknownNameError: no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownNameError("column of the schema", name, self.names)

    def to_toml(self) -> str:
        """Return the schema as TOML; `from_toml` gives an equal schema back."""
        top = {
            "public_rows": self.public_rows,
            "unit": self.unit,
            "max_rows_per_unit": self.max_rows_per_unit,
            "inferred": self.inferred or None,
            "on_violation": self.on_violation if self.on_violation != "error" else None,
        }
        return schema_toml.write(top, self.columns, self.constraints)

    @classmethod
    def from_toml(cls, text: str) -> "Schema":
        """Return the schema that a TOML text describes (docs/data.md has the reference).

        Raises:
            SchemaError: not TOML, a key that is missing or of a wrong type, a rule broken, or a
                column of which something has to be bought (`OpenSchema` has those).
            UnknownNameError: a key that nothing answers to; close ones are named.
        """
        top, columns, constraints = schema_toml.read(text)
        closed: list[Column] = []
        for column in columns:
            if isinstance(column, OpenText | OpenNumber):
                raise SchemaError(column.name, None, _whats_open(column))
            closed.append(column)
        return cls(columns=tuple(closed), constraints=constraints, **top)

    @classmethod
    def load(cls, path: str | Path) -> "Schema":
        """Return the schema in a TOML file.

        Raises:
            FileError: the file is missing or unreadable.
            SchemaError, UnknownNameError: as `from_toml`.
        """
        text = schema_text(path)
        try:
            return cls.from_toml(text)
        except DpsynthError as error:
            error.add_note(f"in {path}")
            raise


def schema_text(path: str | Path) -> str:
    """Return what a schema file holds.

    Raises:
        FileError: the file is missing or unreadable.
    """
    with opened_to_read(path, absent="no such schema file") as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")  # some editors begin a text with a byte order mark
    except UnicodeDecodeError:
        raise FileError(path, "it cannot be read, as it is not a text in UTF-8") from None


def _whats_open(column: OpenColumn) -> str:
    """Return why a column cannot be used before something was bought."""
    if isinstance(column, OpenText):
        return "an open set of texts has no categories before they are bought"
    bounds = [field for field in ("lower", "upper") if getattr(column, field) is None]
    if bounds:
        return f"the column needs the key {bounds[0]!r} unless it is bought"
    return "its bins have to be bought"


def _listed(field: str, value: object) -> tuple[object, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SchemaError(None, value, f"{field} must be a list")
    return tuple(cast("Iterable[object]", value))


def _check_columns(columns: tuple[object, ...]) -> None:
    if not columns:
        raise SchemaError(None, [], "at least one column is needed")
    seen: set[str] = set()
    for column in columns:
        if not isinstance(column, CategoricalColumn | IntegerColumn | FloatColumn):
            raise SchemaError(None, column, "a column is categorical, integer or float")
        if column.name in seen:
            raise SchemaError(None, column.name, "names of columns must be unique")
        seen.add(column.name)


def _check_count(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SchemaError(None, value, f"{field} must be a whole number of at least 1")


def _check_text(field: str, value: object) -> None:
    # A lone surrogate is no character: no file could hold it.
    if not isinstance(value, str) or not value or value.encode(errors="ignore").decode() != value:
        raise SchemaError(None, value, f"{field} must be a text of Unicode that is not empty")
