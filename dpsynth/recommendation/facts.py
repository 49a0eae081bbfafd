"""What is public of a table and of the budget: all that a recommendation may look at."""

from dataclasses import dataclass
from math import exp, log, sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.open_columns import OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget

NAMES = ("rows", "columns", "codes", "largest", "numeric")


@final
@dataclass(frozen=True, kw_only=True)
class Facts:
    """Public facts of a table.

    Args:
        rows: of the table, where that number is public or guessed; None: not known.
        columns: how many.
        codes: geometric mean of the sizes of their domains.
        largest: the largest of them.
        numeric: share of the columns that are numbers or times.

    Raises:
        InvalidValueError: rows below 1.
    """

    rows: float | None
    columns: int
    codes: float
    largest: int
    numeric: float

    def __post_init__(self) -> None:
        if self.rows is not None and self.rows < 1:
            raise InvalidValueError("rows", self.rows, "at least 1")

    @classmethod
    def of(cls, schema: Schema | OpenSchema, *, rows: int | None = None) -> "Facts":
        """Return the facts of `schema`; of what it leaves open, the most codes there can be.

        Args:
            schema: closed or open.
            rows: by default what the schema declares public.
        """
        closed = schema.declared if isinstance(schema, OpenSchema) else schema
        sizes = (schema.largest if isinstance(schema, OpenSchema) else schema.domain).shape
        texts = sum(isinstance(c, CategoricalColumn | OpenText) for c in schema.columns)
        return cls(
            rows=closed.public_rows if rows is None else rows,
            columns=len(sizes),
            codes=exp(sum(map(log, sizes)) / len(sizes)),
            largest=max(sizes),
            numeric=1 - texts / len(sizes),
        )

    def features(self, budget: Budget, *, rows_known: bool) -> NDArray[np.float64]:
        """Return these facts and the budget as numbers of which equal steps weigh alike.

        Args:
            budget: what may be spent.
            rows_known: whether to look at rows.

        Returns:
            Logarithms of what noise of the whole budget is small beside (records times the square
            root of 2 rho), of rows, of columns and of codes a column; share of numbers. Without
            rows, the first is of the budget alone and the second is not there.
        """
        worth = log(sqrt(2 * rho(budget)))
        shape = [log(self.columns), log(self.codes), self.numeric]
        if not rows_known or self.rows is None:
            return np.array([worth, *shape])
        return np.array([worth + log(self.rows), log(self.rows), *shape])


def rho(budget: Budget) -> float:
    """Return what `budget` is worth in zero-concentrated privacy, which compares budgets of
    different deltas; of a pure one, epsilon squared over two bounds it."""
    if budget.delta == 0:
        return budget.epsilon**2 / 2
    return make_accountant("zcdp", budget).capacity
