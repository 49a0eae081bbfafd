"""Schema -> integer codes and back: what every mechanism counts and every generator samples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn
from dpsynth.data.conform import CHUNK, category_dtype
from dpsynth.data.domain import Domain
from dpsynth.data.enforcement import arrange
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.data.values import Limits, draw_values, value_law
from dpsynth.errors import InvalidValueError

Codes: TypeAlias = NDArray[np.integer[Any]]
Ranges: TypeAlias = Mapping[str, Limits]
"""Column of numbers -> the least and the largest that may be drawn, both included."""


@final
@dataclass(frozen=True, kw_only=True)
class Codec:
    """The codec of a schema; everything it uses is public.

    Categories are coded in their declared order, numbers by bin, and a missing value is the last
    code of its column.

    Args:
        schema: the public description.
    """

    schema: Schema

    @property
    def domain(self) -> Domain:
        """The attributes and their numbers of codes."""
        return self.schema.domain

    def encode(self, table: Table) -> Codes:
        """Return the codes of a table's records.

        Args:
            table: records under the same columns as the codec's schema.

        Returns:
            An array of one row a record and one column an attribute, columns contiguous, of the
            smallest unsigned type that holds every code. Widen it before arithmetic.

        Raises:
            InvalidValueError: the table has other columns.
        """
        columns = self.schema.columns
        if table.schema.columns != columns:
            raise InvalidValueError("table", table, "under the same columns as the codec")
        dtype = np.min_scalar_type(max(column.size for column in columns) - 1)
        codes = np.empty((len(table), len(columns)), dtype=dtype, order="F")
        for i, column in enumerate(columns):
            values = table.values(column.name)
            for start in range(0, len(table), CHUNK):
                rows = slice(start, start + CHUNK)
                codes[rows, i] = _encode(column, values[rows])
        return codes

    def decode(
        self, codes: Codes, *, rng: np.random.Generator, ranges: Ranges | None = None
    ) -> Table:
        """Return records drawn for `codes`: as the column's pieces say within a bin, or uniform.

        Args:
            codes: one row a record, one column an attribute of the domain.
            rng: source of the values within bins; encoding them again gives the same codes.
            ranges: numbers to stay between, in some columns; values are drawn from the part of
                their bin that is inside, and missing ones stay missing.

        Raises:
            InvalidValueError: a shape, dtype or code that the domain does not have; a bin that is
                outside of its column's range.
            DataError: no rows.
        """
        return self.decode_blocks([codes], rng=rng, ranges=ranges)

    def decode_blocks(
        self,
        blocks: Iterable[Codes],
        *,
        rng: np.random.Generator,
        ranges: Ranges | None = None,
    ) -> Table:
        """Return one table of the records that `decode` returns of each block, in order.

        Args:
            blocks: arrays of codes; each is decoded before the next one is asked for, so that they
                may draw from the same `rng`.
            rng, ranges: as of `decode`; errors too.
        """
        decoded = [self._decode(codes, ranges or {}, rng) for codes in blocks]
        columns = {
            column.name: _joined([block[i] for block in decoded])
            for i, column in enumerate(self.schema.columns)
        }
        return Table.canonical(self.schema, columns)

    def _decode(self, codes: Codes, ranges: Ranges, rng: np.random.Generator) -> list[Any]:
        _check_codes(codes, self.domain)
        decoded = [
            _decode(column, codes[:, i].astype(np.int64), ranges.get(column.name), rng)
            for i, column in enumerate(self.schema.columns)
        ]
        if self.schema.constraints:
            check_ranges(self.schema, ranges)
            arrange(self.schema, codes, decoded, rng=rng)
        return decoded


def check_ranges(schema: Schema, ranges: Ranges) -> None:
    """Refuse a range of a column whose values an order may move to elsewhere in their bin.

    Raises:
        InvalidValueError: there is one.
    """
    for name in schema.rules.orders.columns:
        if name in ranges:
            rule = "of whole bins, since the column is in an order"
            raise InvalidValueError(f"the range of {name!r}", ranges[name], rule)


def _joined(parts: Sequence[Any]) -> Any:
    """Return arrays of one dtype, one behind the other."""
    import pandas as pd

    if len(parts) == 1:
        return parts[0]
    return pd.concat([pd.Series(part, copy=False) for part in parts], ignore_index=True).array


def _check_codes(codes: Codes, domain: Domain) -> None:
    if codes.ndim != 2 or codes.shape[1] != len(domain.shape):
        raise InvalidValueError("codes", codes.shape, f"of shape (n, {len(domain.shape)})")
    if not np.issubdtype(codes.dtype, np.integer):
        raise InvalidValueError("codes", codes.dtype, "of an integer type")
    for i, (attribute, size) in enumerate(domain.sizes.items()):
        code = codes[:, i]
        if code.size and (code.min() < 0 or code.max() >= size):
            raise InvalidValueError(
                f"a code of {attribute!r}",
                int(code.min()) if code.min() < 0 else int(code.max()),
                f"at least 0 and below {size}",
            )


def _encode(column: Column, values: Any) -> Any:
    last = column.size - 1
    if isinstance(column, CategoricalColumn):
        return np.where(values.codes < 0, last, values.codes)
    absent = np.asarray(values.isna())
    if isinstance(column, FloatColumn):
        numbers = values.to_numpy()
        return np.where(absent, last, _bin(float_edges(column), numbers))
    integers = values.to_numpy(dtype=np.int64, na_value=column.lower)
    if column.edges is None and column.size - column.missing == column.values:
        return np.where(absent, last, integers - column.lower)
    return np.where(absent, last, _bin(integer_edges(column), integers))


def _bin(edges: NDArray[Any], numbers: NDArray[Any]) -> NDArray[np.intp]:
    # Inner edges only: both bounds fall into a bin, and the last bin is closed.
    return np.searchsorted(edges[1:-1], numbers, side="right")


def _decode(
    column: Column,
    codes: NDArray[np.int64],
    limits: Limits | None,
    rng: np.random.Generator,
) -> Any:
    import pandas as pd

    absent = (codes == column.size - 1) & column.missing
    if isinstance(column, CategoricalColumn):
        return pd.Categorical.from_codes(np.where(absent, -1, codes), dtype=category_dtype(column))
    # A number is drawn for a missing value too, from some bin inside the range, and dropped.
    some = 0 if limits is None else int(np.argmax(value_law(column, limits).mass))
    drawn = draw_values(column, np.where(absent, some, codes), limits=limits, rng=rng)
    if isinstance(column, FloatColumn):
        return np.where(absent, np.nan, drawn)
    return pd.arrays.IntegerArray(drawn, absent) if column.missing else drawn
