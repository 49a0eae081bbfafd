"""From what a user has - a frame, a table, a file, and a schema - to the one door to records."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.files import is_parquet, load_frame
from dpsynth.data.open_schema import OpenSchema, load_schema, presented_as
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table, check_names
from dpsynth.errors import DataError, InvalidValueError
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.accountant import ADAPTIVE
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from pandas import DataFrame


def read_schema(
    data: "DataFrame | Table | str | Path", schema: Schema | OpenSchema | str | Path | None
) -> Schema | OpenSchema:
    """Return the schema of `data`, open or not, read from its file where it is a path.

    Raises:
        InvalidValueError: no schema where one is needed, or one where the table has its own.
        FileError, SchemaError, UnknownNameError: a file that is no schema.
    """
    if isinstance(data, Table):
        if schema is not None:
            raise InvalidValueError("schema", schema, "left out for a Table, which has its own")
        return data.schema
    if schema is None:
        raise InvalidValueError("schema", None, "a Schema or the path of its TOML file")
    return load_schema(schema) if isinstance(schema, str | Path) else schema


def opened(
    data: "DataFrame | Table | str | Path",
    schema: Schema | OpenSchema,
    budget: Budget,
    *,
    noise: NoiseSource,
    accountant: str,
    by: Preparation | None,
) -> PrivateData:
    """Return the door to the records, after what their schema leaves open was bought.

    Of a closed schema that is how values spread within bins; under an accountant of fixed plans
    nothing is bought, and values are uniform within them.

    Args:
        data: records; a Table is under `schema`.
        schema: as `read_schema` returns it.
        budget: its unit is taken from the schema.
        noise: source of all privacy noise.
        accountant: its name.
        by: how much of the budget may be spent here; by default, what `Preparation` says.

    Raises:
        FileError: a missing file, or one that is neither CSV nor Parquet.
        UnknownNameError, DataError: records that do not fit the schema.
    """
    if isinstance(data, Table):
        frame = data.frame
    else:
        frame = load_frame(data, schema.columns) if isinstance(data, str | Path) else data
        check_names(schema.names, frame)
        if not isinstance(data, str | Path) or is_parquet(data):  # a CSV file has no dtypes
            schema = presented_as(schema, frame)
        _check_public_rows(schema, len(frame))
    settings = OpenSchema.of(schema).settings if isinstance(schema, Schema) else schema.settings
    unit = replace(budget, **{key: settings[key] for key in _UNIT if key in settings})
    if isinstance(schema, Schema):
        if accountant not in ADAPTIVE or not _has_bins(schema):
            table = data if isinstance(data, Table) else Table.from_frame(schema, frame)
            return PrivateData(table, unit, noise=noise, accountant=accountant)
        schema = OpenSchema.of(schema)
    columns = PrivateColumns(frame, schema, unit, noise=noise, accountant=accountant)
    return columns.private_data((by or Preparation()).closed(columns))


def _check_public_rows(schema: Schema | OpenSchema, rows: int) -> None:
    """Refuse records of another number than their schema declares public."""
    declared = schema.public_rows if isinstance(schema, Schema) else schema.settings.get(_ROWS)
    if declared not in (None, rows):
        raise DataError(None, f"{rows} rows", f"its schema declares {_ROWS} = {declared}")


_ROWS = "public_rows"
_UNIT = ("unit", "max_rows_per_unit")


def _has_bins(schema: Schema) -> bool:
    return any(not isinstance(c, CategoricalColumn) and c.binned for c in schema.columns)
