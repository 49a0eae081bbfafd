"""A data set with what a paper must say about it, and the binary label that a classifier learns."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Category
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError


@final
@dataclass(frozen=True, kw_only=True)
class Target:
    """A binary label of each record: a number above a threshold, or one category.

    A record whose value is missing is not positive.

    Args:
        column: the column that the label is read from; a classifier must not see it.
        above: the label is whether a numeric column exceeds this.
        positive: the label is whether a categorical column is this category.

    Raises:
        InvalidValueError: both or neither of `above` and `positive` are given.
    """

    column: str
    above: float | None = None
    positive: Category | None = None

    def __post_init__(self) -> None:
        if (self.above is None) == (self.positive is None):
            given = "neither" if self.above is None else (self.above, self.positive)
            raise InvalidValueError("target", given, "either `above` or `positive`, not both")

    def labels(self, table: Table) -> NDArray[np.bool_]:
        """Return the label of each record of `table`.

        Raises:
            UnknownNameError: the table has no such column.
            InvalidValueError: a threshold for categories, a category for numbers, or a category
                that the column does not declare.
        """
        column = table.schema.column(self.column)
        values: Any = table.values(self.column)
        if not isinstance(column, CategoricalColumn):
            if self.above is None:
                raise InvalidValueError("target.positive", self.positive, "left out for numbers")
            return values.to_numpy(dtype=np.float64, na_value=np.nan) > self.above
        if self.positive is None:
            raise InvalidValueError("target.above", self.above, "left out for categories")
        if self.positive not in column.categories:
            raise InvalidValueError(
                "target.positive", self.positive, f"a category of {self.column!r}"
            )
        return np.equal(values.codes, column.categories.index(self.positive))


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class Dataset:
    """Public records under a schema that was written by hand.

    Args:
        name: the registry's name.
        table: the records.
        target: the label for train-on-synthetic-test-on-real; None where no column suits.
        citation: what to cite.
        licence: the terms, as its source states them.
        sha256: checksum of what was read, verified while reading.
    """

    name: str
    table: Table
    target: Target | None
    citation: str
    licence: str
    sha256: str

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {self.table!r})"
