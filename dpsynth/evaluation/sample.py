"""What a metric reads: a table's codes under its schema, and the labels to predict."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Encoded records: every metric sees the same bins, so none can see how values are written.

    Args:
        schema: the public description.
        codes: one row a record, one column an attribute of the schema's domain.
        labels: the binary label of each record, where there is a target.
    """

    schema: Schema
    codes: NDArray[np.integer[Any]]
    labels: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, table: "Table", *, target: "Target | None" = None) -> "Sample":
        """Return the sample of `table`, labelled by `target` where there is one."""
        codes = Codec(schema=table.schema).encode(table)
        labels = None if target is None else target.labels(table)
        return cls(schema=table.schema, codes=codes, labels=labels)

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each column."""
        return self.schema.domain.shape

    @cached_property
    def columns(self) -> tuple[NDArray[np.intp], ...]:
        """The codes, a contiguous array a column, wide enough for arithmetic."""
        return tuple(self.codes[:, i].astype(np.intp) for i in range(self.codes.shape[1]))

    @property
    def by_name(self) -> list[int]:
        """Positions of the columns by name, for what may not depend on their order."""
        names = self.schema.names
        return sorted(range(len(names)), key=lambda i: names[i])

    def take(self, rows: NDArray[np.integer[Any]]) -> "Sample":
        """Return the records at `rows`, in that order."""
        labels = None if self.labels is None else self.labels[rows]
        return Sample(schema=self.schema, codes=self.codes[rows], labels=labels)

    def draw(self, rows: int, *, rng: np.random.Generator) -> "Sample":
        """Return `rows` distinct records in random order; all of them when there are no more."""
        return self.take(rng.permutation(len(self))[:rows])

    def at_most(self, rows: int, *, rng: np.random.Generator) -> "Sample":
        """Return the sample as it is, or `rows` distinct records of a larger one."""
        return self if len(self) <= rows else self.draw(rows, rng=rng)

    def only(self, positions: list[int]) -> "Sample":
        """Return the records with the columns at `positions` alone, in that order."""
        schema = Schema(columns=tuple(self.schema.columns[i] for i in positions))
        return Sample(schema=schema, codes=self.codes[:, positions], labels=self.labels)

    def independent(self, *, rng: np.random.Generator, target: str | None = None) -> "Sample":
        """Return the sample with each column permuted on its own: exact marginals, no dependence.

        Args:
            rng: source of the permutations.
            target: the column that the labels are made from; they move with it.
        """
        codes, labels = self.codes.copy(order="F"), self.labels
        for i, name in enumerate(self.schema.names):
            order = rng.permutation(len(self))
            codes[:, i] = codes[order, i]
            if name == target and labels is not None:
                labels = labels[order]
        return Sample(schema=self.schema, codes=codes, labels=labels)


def pool(first: Sample, second: Sample) -> Sample:
    """Return the records of both samples, those of `first` before those of `second`.

    Raises:
        InvalidValueError: the samples have different columns.
    """
    check_same_columns(first, second)
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])
    codes = np.concatenate([first.codes, second.codes])
    return Sample(schema=first.schema, codes=codes, labels=labels)


def check_same_columns(real: Sample, synthetic: Sample) -> None:
    """Refuse samples under different columns.

    Raises:
        InvalidValueError: the columns differ.
    """
    if real.schema.columns != synthetic.schema.columns:
        raise InvalidValueError(
            "synthetic", synthetic.schema.names, "under the same columns as the real table"
        )


def representatives(column: Column) -> NDArray[np.float64] | None:
    """Return the number that stands for each code of a numeric column, NaN where it is missing.

    Returns:
        Mid-points of bins, one a code; None for a categorical column.
    """
    if isinstance(column, CategoricalColumn):
        return None
    if isinstance(column, FloatColumn):
        edges = float_edges(column)
        middle = (edges[:-1] + edges[1:]) / 2
    else:
        edges = integer_edges(column).astype(np.float64)
        middle = (edges[:-1] + edges[1:] - 1) / 2
    return np.append(middle, np.nan) if column.missing else middle
