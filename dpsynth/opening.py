"""From what a user has - a frame, a table, a file, and a schema - to the one door to records."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.blocks import StoredRecords
from dpsynth.curator.knowledge import check_possible, known_zeros
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.public_records import PublicRecords
from dpsynth.curator.raw_columns import RawColumns
from dpsynth.curator.raw_spool import raw_spooled
from dpsynth.curator.spool import spooled
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.conform import conform
from dpsynth.data.enforcement import keeping
from dpsynth.data.files import is_parquet, load_file, load_frame
from dpsynth.data.open_schema import OpenSchema, load_schema, presented_as
from dpsynth.data.parts import larger_than_memory, part_paths
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table, check_names
from dpsynth.errors import (
    DataError,
    DpsynthError,
    InvalidValueError,
    RecordsElsewhereError,
    UnsupportedEventError,
)
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.accountant import ADAPTIVE, make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import NoiseSource

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.generators.base import Generator as Algorithm


def read_schema(
    data: "DataFrame | Table | str | Path", schema: Schema | OpenSchema | str | Path | None
) -> Schema | OpenSchema:
    """Return the schema of `data`, open or not, read from its file where it is a path.

    Raises:
        InvalidValueError: no schema where one is needed, or one where the table has its own.
        FileError, SchemaError, UnknownNameError: a file that is no schema.
        ContradictionError: constraints that leave no possible record.
    """
    if isinstance(data, Table):
        if schema is not None:
            raise InvalidValueError("schema", schema, "left out for a Table, which has its own")
        return data.schema
    if schema is None:
        raise InvalidValueError("schema", None, "a Schema or the path of its TOML file")
    rules = load_schema(schema) if isinstance(schema, str | Path) else schema
    check_possible(rules)
    return rules


@contextmanager
def door(
    data: "DataFrame | Table | str | Path",
    schema: Schema | OpenSchema | str | Path | None,
    budget: Budget,
    *,
    noise: NoiseSource,
    accountant: str | None,
    chosen: "Algorithm",
    by: Preparation | None,
    public: "DataFrame | Table | str | Path | None",
    out_of_core: bool | None,
    cluster: str | None,
    before: Callable[[PrivateColumns], None] | None = None,
) -> Generator[PrivateData]:
    """Yield the one door to the records of a user, wherever they are; arguments and errors as of
    `read_schema`, `stored_files` and `opened`.

    Args:
        accountant: its name; None: what suits the generator, unless an open schema rules it out,
            as it does for plans without DP-SGD.
        chosen: the generator that will be fitted.
        before: is given the door to raw columns, before they are asked anything in its plan.

    Raises:
        UnsupportedEventError: an accountant that cannot price what is wanted.
        RecordsElsewhereError: records to train on that are not in memory.
    """
    name = accountant or chosen.accountant
    make_accountant(name, budget)  # refuses what no ledger could hold, before the data are read
    chosen.check_noise(name)
    rules = read_schema(data, schema)
    name = fitting_accountant(chosen, accountant, is_open=isinstance(rules, OpenSchema))
    files = stored_files(data, out_of_core=out_of_core, cluster=cluster)
    if chosen.trains and files is not None:
        where = "in a file" if cluster is None else "on a cluster"
        raise RecordsElsewhereError(f"the generator {chosen.name!r}", where)
    with ExitStack() as held:
        if files is None:
            records = data
        elif isinstance(rules, OpenSchema) or _buys(rules, name, by or Preparation()):
            records = held.enter_context(raw_records(files, _as_open(rules), cluster))
        else:
            records = held.enter_context(stored_records(files, rules, cluster))
        yield opened(
            records,
            rules,
            budget,
            noise=noise,
            accountant=name,
            by=by,
            public=public,
            chosen=chosen if chosen.needs_plan else None,
            before=before,
        )


def fitting_accountant(chosen: "Algorithm", accountant: str | None, *, is_open: bool) -> str:
    """Return the name of the accountant that a fit of a generator, `chosen`, takes.

    Args:
        accountant: the name that was asked for; None: what suits.
        is_open: whether the schema leaves something to be bought.

    Raises:
        UnsupportedEventError: one that cannot price what is wanted.
    """
    name = accountant or chosen.accountant
    if is_open and not chosen.needs_plan and name not in ADAPTIVE:
        if accountant is not None:
            raise _fixed_plans(name)
        name = "zcdp"  # what is bought of an open schema depends on answers
    if chosen.needs_plan and name in ADAPTIVE:
        # Else columns would be bought before it turns out.
        rule = "training needs one of fixed plans, 'pld' or 'rdp'"
        raise UnsupportedEventError(name, "DP-SGD", rule)
    return name


def stored_files(
    data: "DataFrame | Table | str | Path", *, out_of_core: bool | None, cluster: str | None
) -> list[Path] | None:
    """Return the files whose records are not to be held in memory, or None where they are.

    Raises:
        InvalidValueError: records that are no files.
        FileError: no such files.
    """
    if not isinstance(data, str | Path):
        for field, value in (("cluster", cluster), ("out_of_core", out_of_core or None)):
            if value is not None:
                raise InvalidValueError(field, value, "left out unless the records are in files")
        return None
    if cluster is not None and out_of_core is False:
        raise InvalidValueError("out_of_core", out_of_core, "left out with a cluster")
    if cluster is None and (out_of_core is False or not (out_of_core or larger_than_memory(data))):
        return None
    return part_paths(data)


def stored_records(
    files: Sequence[Path], schema: Schema, cluster: str | None = None
) -> AbstractContextManager[StoredRecords]:
    """Return what holds the records of files for counting, on a cluster if there is one."""
    if cluster is None:
        return spooled(files, schema)
    from dpsynth.curator.cluster import clustered

    return clustered(files, schema, cluster)


def raw_records(
    files: Sequence[Path], schema: OpenSchema, cluster: str | None
) -> AbstractContextManager[RawColumns]:
    """Return what holds the raw columns of files, of which something is to be bought."""
    if cluster is None:
        return raw_spooled(files, schema)
    from dpsynth.curator.raw_cluster import raw_clustered

    return raw_clustered(files, schema, cluster)


def opened(
    data: "DataFrame | Table | StoredRecords | RawColumns | str | Path",
    schema: Schema | OpenSchema,
    budget: Budget,
    *,
    noise: NoiseSource,
    accountant: str,
    by: Preparation | None,
    public: "DataFrame | Table | str | Path | None" = None,
    chosen: "Algorithm | None" = None,
    before: Callable[[PrivateColumns], None] | None = None,
) -> PrivateData:
    """Return the door to the records, after what their schema leaves open was bought.

    Of a closed schema that is how values spread within bins; under an accountant of fixed plans
    nothing is bought, and a fitted model's counts have to say it. What an open schema leaves open
    is then bought in a part of the generator's own plan (`PrivateColumns.reserve`).

    Args:
        data: records; a Table is under `schema`.
        schema: as `read_schema` returns it.
        budget: its unit is taken from the schema.
        noise: source of all privacy noise.
        accountant: its name.
        by: how much of the budget may be spent here; by default, what `Preparation` says.
        public: records of the same columns that were declared public.
        chosen: the generator that will be fitted, where the accountant is one of plans.
        before: as of `door`.

    Raises:
        FileError: a missing file, or one that is neither CSV nor Parquet.
        UnknownNameError, DataError: records that do not fit the schema.
        UnsupportedEventError: an open schema under an accountant of plans without a generator's.
        PrivacyError, InvalidValueError: that generator has no plan which fits the budget.
    """
    if isinstance(data, StoredRecords):
        return _counted(data, budget, noise, accountant, public)
    units = None
    if isinstance(data, RawColumns):
        records = data
        check_public_rows(declared(schema), data.rows)
    elif isinstance(data, Table):
        records, units = data.frame, data.units
    else:
        records, schema = _read(data, schema)
    wanted, preparation = _as_open(schema), by or Preparation()
    rules, known = wanted.declared, None
    unit = with_unit(budget, rules)
    if isinstance(schema, Schema):
        known = read_public(public, schema)
        if not (isinstance(records, RawColumns) or _buys(schema, accountant, preparation)):
            table = data if isinstance(data, Table) else Table.from_frame(schema, records)
            return PrivateData(table, unit, noise=noise, accountant=accountant, public=known)
    elif public is not None:  # as far as it can be checked before the schema is closed
        _public_table(public, rules)
    if rules.constraints:  # what contradicts them is refused before anything is spent
        known_zeros(rules, unit)
        if not isinstance(records, RawColumns):  # which were checked while they were read
            records, units = _keeping(rules, records, units)
    columns = PrivateColumns(
        records,
        wanted,
        unit,
        noise=noise,
        accountant=accountant,
        units=units,
        set_aside=preparation.set_aside(wanted.open_columns, budget.delta),
    )
    if accountant not in ADAPTIVE:
        _reserve(columns, preparation, chosen, before)
    closed = preparation.closed(columns)
    return columns.private_data(closed, public=known or read_public(public, closed))


def _reserve(
    columns: PrivateColumns,
    preparation: Preparation,
    chosen: "Algorithm | None",
    before: Callable[[PrivateColumns], None] | None,
) -> None:
    """Reserve what columns and generator will cost together, before either asks."""
    if chosen is None:
        raise _fixed_plans(columns.ledger.accountant.name)
    if before is not None:
        before(columns)
    # Whatever a rehearsal draws: a plan that depends on it is refused when the fit states it.
    rng = np.random.Generator(np.random.PCG64(0))
    preparation.reserve(columns, lambda private: chosen.fit(private, rng=rng))


def _fixed_plans(accountant: str) -> UnsupportedEventError:
    rule = (
        "it serves fixed plans only; an open schema needs 'zcdp', 'gdp' or 'pure', or a generator "
        "that trains by DP-SGD"
    )
    return UnsupportedEventError(accountant, "a column to be bought", rule)


def _keeping(
    schema: Schema, frame: "DataFrame", units: NDArray[np.int64] | None
) -> "tuple[DataFrame, NDArray[np.int64] | None]":
    """Return the records that keep the constraints, and their units, as a Table would have them.

    Those that do not leave before rows of a unit are sampled: else all that were could be left out
    afterwards, when something was bought.

    Raises:
        DataError: a record that breaks one, where the schema drops none; or none is left.
    """
    kept = keeping(schema, {c.name: conform(c, frame[c.name]) for c in schema.columns})
    if kept is None:
        return frame, units
    return frame[kept].reset_index(drop=True), None if units is None else units[kept]


def _counted(
    records: StoredRecords,
    budget: Budget,
    noise: NoiseSource,
    accountant: str,
    public: "DataFrame | Table | str | Path | None",
) -> PrivateData:
    """Return the door to records that have codes already, of which nothing is bought here."""
    schema = records.schema
    if schema.on_violation == "error":  # else some may have been left out
        check_public_rows(schema, records.blocks.rows)
    unit, known = with_unit(budget, schema), read_public(public, schema)
    return PrivateData(records, unit, noise=noise, accountant=accountant, public=known)


def _read(
    data: "DataFrame | str | Path", schema: Schema | OpenSchema
) -> "tuple[DataFrame, Schema | OpenSchema]":
    """Return records in memory, and their schema with the dtypes that they have."""
    unit = declared(schema).unit
    frame = load_frame(data, schema.columns, unit) if isinstance(data, str | Path) else data
    frame = check_names(schema.names, frame, unit=unit)
    if not isinstance(data, str | Path) or is_parquet(data):  # a CSV file has no dtypes
        schema = presented_as(schema, frame)
    check_public_rows(declared(schema), len(frame))
    return frame, schema


def _as_open(schema: Schema | OpenSchema) -> OpenSchema:
    return OpenSchema.of(schema) if isinstance(schema, Schema) else schema


def _buys(schema: Schema, accountant: str, preparation: Preparation) -> bool:
    """Return whether the spread of values within bins of a closed schema is bought."""
    binned = any(not isinstance(c, CategoricalColumn) and c.binned for c in schema.columns)
    return accountant in ADAPTIVE and preparation.spreads and binned


def declared(schema: Schema | OpenSchema) -> Schema:
    """Return what a schema declares before anything is bought."""
    return schema if isinstance(schema, Schema) else schema.declared


def read_table(data: "DataFrame | Table | str | Path", schema: Schema) -> Table:
    """Return a frame, a table or a file as validated records under a closed schema.

    Raises:
        FileError: a missing file, or one that is neither CSV nor Parquet.
        UnknownNameError, DataError: records that do not fit the schema.
    """
    if isinstance(data, str | Path):
        return load_file(data, schema)
    if isinstance(data, Table):
        units = data.units if data.schema.unit == schema.unit else None
        return Table.from_frame(schema, data.frame, units=units)
    return Table.from_frame(schema, data)


def read_public(
    data: "DataFrame | Table | str | Path | None", schema: Schema
) -> PublicRecords | None:
    """Return what counts records that were declared public; errors as of `_public_table`."""
    if data is None:
        return None
    path = data if isinstance(data, str | Path) else None
    return PublicRecords.of(_public_table(data, schema), path=path)


def _public_table(data: "DataFrame | Table | str | Path", schema: Schema) -> Table:
    """Return records that were declared public, under the schema of the private ones.

    Raises:
        FileError, DataError, UnknownNameError: as of `read_table`; a note says that it is theirs.
    """
    # How many private records there are, where it is declared, says nothing of the public ones.
    rules = replace(schema, public_rows=None)
    try:
        return read_table(data, rules)
    except DpsynthError as error:
        error.add_note("of the public table")
        raise


def with_unit(budget: Budget, schema: Schema) -> Budget:
    """Return `budget` for the schema's unit of privacy."""
    return replace(budget, unit=schema.unit, max_rows_per_unit=schema.max_rows_per_unit)


def check_public_rows(schema: Schema, rows: int) -> None:
    """Refuse records of another number than their schema declares public.

    Raises:
        DataError: another number.
    """
    if schema.public_rows not in (None, rows):
        rule = f"its schema declares public_rows = {schema.public_rows}"
        raise DataError(None, f"{rows} rows", rule)
