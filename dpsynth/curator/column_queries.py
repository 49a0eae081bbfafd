"""What may be asked of raw columns, in public terms, with the exact answer: for observers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.cells import Cells
from dpsynth.curator.frequent import FrequentValues
from dpsynth.curator.private_tree import PrivateTree
from dpsynth.data.values import DECIMAL_CELLS, decimals_needed

if TYPE_CHECKING:
    from dpsynth.curator.raw_columns import RawColumns


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnHistogram:
    """Numbers of records in cells of a column: a one-way marginal (`MarginalQuery`).

    Args:
        name: the column.
        cells: public; None for one cell a number of decimals.
    """

    name: str
    cells: Cells | None

    @property
    def size(self) -> int:
        """Number of counts in the answer."""
        return DECIMAL_CELLS if self.cells is None else self.cells.size

    def exact(self, records: "RawColumns") -> NDArray[np.int64]:
        """Return the exact answer: secret."""
        codes = decimals_needed if self.cells is None else self.cells.codes
        return records.numbers(self.name).tallied(codes, self.size)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnValues:
    """Values of a column that many records share (`FrequentValues`).

    Args:
        name: the column.
        asked: how many are many.
    """

    name: str
    asked: FrequentValues

    def exact(self, records: "RawColumns") -> dict[str | float, int]:
        """Return how often each value occurs, in the order in which noise is drawn: secret."""
        texts = records.texts(self.name)
        if texts is not None:
            return dict(zip(texts.texts, texts.counts.tolist(), strict=True))
        found: dict[str | float, int] = {}
        for values, counts in records.numbers(self.name).distinct():
            found.update(zip(values.tolist(), counts.tolist(), strict=True))
        return found


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnTree:
    """Intervals that are halved where records are dense (`PrivateTree`).

    Args:
        name: the column.
        tree: with what noise.
        lower, upper: of the first interval.
        narrowest: intervals of at most this width are not halved.
    """

    name: str
    tree: PrivateTree
    lower: float
    upper: float
    narrowest: float


ColumnQuery: TypeAlias = ColumnHistogram | ColumnValues | ColumnTree
