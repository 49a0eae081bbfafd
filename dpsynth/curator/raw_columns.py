"""Where raw columns are: in a frame, or read from files that are not held in memory."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.raw import RawTexts, raw_columns
from dpsynth.data.raw_numbers import RawNumbers
from dpsynth.data.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.curator.blocks import StoredRecords
    from dpsynth.data.open_schema import OpenSchema
    from dpsynth.data.schema import Schema
    from dpsynth.privacy.budget import Budget


class RawColumns(ABC):
    """Records under an open schema whose values are all checked: secret."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """The exact number of records."""

    @abstractmethod
    def numbers(self, name: str) -> RawNumbers:
        """Return the numbers of a column that is open or has bins."""

    @abstractmethod
    def texts(self, name: str) -> RawTexts | None:
        """Return the texts of a column, None where it has numbers."""

    @abstractmethod
    def check_units(self, budget: "Budget") -> None:
        """Refuse records that cannot be cut down to the rows that a unit may have.

        Raises:
            DataError: a unit with more.
        """

    @abstractmethod
    def under(self, schema: "Schema") -> "Table | StoredRecords":
        """Return the records under a closed schema; what is held for raw columns is let go.

        Args:
            schema: has their columns.

        Raises:
            FileError: they cannot be read again, or have changed.
        """


@final
class FrameColumns(RawColumns):
    """Records in a frame.

    Args:
        schema: what is public about them.
        frame: with the schema's columns.
        units: as of `Table`; of each there are no more rows than it may have.

    Raises:
        DataError: records that do not fit the schema.
    """

    def __init__(
        self, schema: "OpenSchema", frame: "pd.DataFrame", units: NDArray[np.int64] | None
    ) -> None:
        self._frame, self._units = frame, units
        self._numbers, self._texts = raw_columns(schema.columns, frame)
        self._last: tuple[str, RawNumbers] | None = None

    @property
    def rows(self) -> int:
        return len(self._frame)

    def numbers(self, name: str) -> RawNumbers:
        # Columns are asked about one after the other: one at a time is held twice.
        if self._last is None or self._last[0] != name:
            self._last = (name, RawNumbers.of(self._numbers[name]))
        return self._last[1]

    def texts(self, name: str) -> RawTexts | None:
        return self._texts.get(name)

    def check_units(self, budget: "Budget") -> None:
        """Nothing is left to be refused."""

    def under(self, schema: "Schema") -> Table:
        return Table.from_frame(schema, self._frame, units=self._units)
