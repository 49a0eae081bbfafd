"""What a column's values look like to a user: the dtypes of frames, and the texts of files."""

from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.open_columns import OpenColumn
from dpsynth.errors import SchemaError

AnyColumn = TypeVar("AnyColumn", bound=Column | OpenColumn)


def presented(column: Column, values: Any) -> Any:
    """Return the canonical array of a column in the dtype that the column declares.

    Args:
        column: the specification.
        values: what `conform` returned: categorical, integers (ticks, where the column has a
            clock), or floats.
    """
    pd = _pandas()
    if isinstance(column, IntegerColumn) and column.clock is not None:
        absent = np.asarray(values.isna())
        return column.clock.times(values.to_numpy(dtype=np.int64, na_value=0), absent)
    if column.dtype is None or column.dtype == "category":
        return values
    series: Any = pd.Series(values, copy=False)
    if isinstance(column, CategoricalColumn):
        objects = np.array([*column.categories, None], dtype=object)
        named = pd.Series(objects[series.cat.codes.to_numpy()], dtype=object)
        return named.astype(column.dtype).array
    return series.astype(column.dtype).array


def time_texts(column: IntegerColumn, values: Any) -> Any:
    """Return times as objects of texts, None where one is missing.

    Args:
        column: one with a clock.
        values: its ticks.
    """
    pd = _pandas()
    assert column.clock is not None
    shown: Any = pd.Series(presented(column, values))
    if column.clock.kind == "duration":
        texts = shown.astype(str)
    elif column.clock.format is not None:
        texts = shown.dt.strftime(column.clock.format)
    elif column.clock.kind == "date":
        texts = shown.dt.strftime("%Y-%m-%d")
    else:
        texts = shown.map(_iso, na_action="ignore")
    return texts.astype(object).where(shown.notna(), None).to_numpy()


def with_dtypes(columns: Iterable[AnyColumn], frame: Any) -> tuple[AnyColumn, ...]:
    """Return the columns with the dtypes that a frame has, where they declare none and can have it.

    Args:
        columns: of the frame.
        frame: its dtypes are taken as public, its values are not read.
    """
    return tuple(_with_dtype(column, str(frame[column.name].dtype)) for column in columns)


def _with_dtype(column: AnyColumn, dtype: str) -> AnyColumn:
    if column.dtype is not None or dtype == "category":
        return column
    try:
        return replace(column, dtype=dtype)
    except SchemaError:  # a dtype that this column cannot have, as numbers written as texts
        return column


def _iso(moment: Any) -> str:
    return moment.isoformat()


def _pandas() -> Any:
    # By name: what pandas' stubs say of columns of unknown type is of no use here.
    return import_module("pandas")
