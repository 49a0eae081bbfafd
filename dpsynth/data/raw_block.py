"""What is asked of raw columns, of some records: distinct values and how often each occurs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.conform import conform
from dpsynth.data.encoding import Codec
from dpsynth.data.enforcement import keeping
from dpsynth.data.identity import countable_unit
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.raw import RawTexts, raw_columns
from dpsynth.data.raw_numbers import RawNumbers
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.errors import NoRecordsError

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RawBlock:
    """Some records under an open schema, each column on its own: secret.

    Args:
        rows: how many there are.
        kept: how many of them keep the schema's constraints; what follows is of these.
        numbers: of the columns that are open or have bins.
        texts: of the open columns of texts.
        units: how many belong to each unit, by the codes of the unit's column; empty where it is
            no column.
    """

    rows: int
    kept: int
    numbers: dict[str, RawNumbers]
    texts: dict[str, RawTexts]
    units: NDArray[np.int64]

    @classmethod
    def of(cls, schema: OpenSchema, frame: "pd.DataFrame") -> "RawBlock":
        """Return what is asked of the records of a frame, once every value is checked.

        Raises:
            InvalidValueError: of the unit's column, as of `countable_unit`.
            DataError: records that do not fit the schema.
        """
        rows, frame = len(frame), _kept(schema.declared, frame)
        numbers, texts = raw_columns(schema.columns, frame)
        return cls(
            rows=rows,
            kept=len(frame),
            numbers={name: RawNumbers.of(values) for name, values in numbers.items()},
            texts=texts,
            units=_units(schema, frame),
        )


def _kept(rules: Schema, frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the records that keep the constraints, as in memory: the others are asked nothing."""
    if not rules.constraints:
        return frame
    try:
        kept = keeping(rules, {c.name: conform(c, frame[c.name]) for c in rules.columns})
    except NoRecordsError:
        return frame.iloc[:0]
    return frame if kept is None else frame[kept]


def _units(schema: OpenSchema, frame: "pd.DataFrame") -> NDArray[np.int64]:
    column = countable_unit(schema.declared.unit, schema.columns)
    if column is None:
        return np.empty(0, dtype=np.int64)
    alone = Schema(columns=(column,))
    codes = Codec(schema=alone).encode(Table.from_frame(alone, frame[[column.name]]))
    return np.bincount(codes[:, 0], minlength=column.size).astype(np.int64)
