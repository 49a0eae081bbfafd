"""SQL over the rows of a store, by DuckDB: it reads the columns that a query names."""

from importlib import import_module
from typing import TYPE_CHECKING

from dpsynth.errors import InvalidValueError, MissingExtraError
from dpsynth.harness.store import Store

if TYPE_CHECKING:
    from pandas import DataFrame

TABLE = "results"


def query(store: Store, sql: str) -> "DataFrame":
    """Return what `sql` finds in the table `results`, one line of which is a number of the store.

    A store that is not compacted is read cell by cell, which takes longer. Nothing is written.

    Args:
        store: a results store.
        sql: a statement of DuckDB's; `dpsynth.harness.row` documents the columns.

    Raises:
        MissingExtraError: DuckDB is not installed.
        FileError: no results store there.
        InvalidValueError: a statement that DuckDB refuses, or one that reads or writes files.
    """
    try:
        duckdb = import_module("duckdb")
    except ImportError:
        raise MissingExtraError("a query of a store", "query") from None
    with duckdb.connect(":memory:") as connection:
        connection.register(TABLE, store.arrow())
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            return connection.execute(sql).df()
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            rule = f"a statement that DuckDB can run on the table {TABLE!r} ({reason})"
            raise InvalidValueError("SQL", sql, rule) from None
