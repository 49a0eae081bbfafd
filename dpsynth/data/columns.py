"""Public specifications of columns: what values may occur, and into how many codes they fall.

Everything here is declared or was bought, never measured for nothing. Each kind validates itself,
so that a column that exists is a column that the codec can use.
"""

from typing import TypeAlias

from dpsynth.data.categorical import CategoricalColumn
from dpsynth.data.column_rules import LARGEST_INTEGER, MOST_BINS, Category
from dpsynth.data.numeric import BINS, INTEGER_CODES, FloatColumn, IntegerColumn, Piece

__all__ = [
    "BINS",
    "INTEGER_CODES",
    "LARGEST_INTEGER",
    "MOST_BINS",
    "CategoricalColumn",
    "Category",
    "Column",
    "FloatColumn",
    "IntegerColumn",
    "Piece",
]

Column: TypeAlias = CategoricalColumn | IntegerColumn | FloatColumn
