"""Raw values of open columns: converted and checked as far as is possible without bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.column_rules import LARGEST_INTEGER
from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn
from dpsynth.data.conform import conform, factorize, parse_numbers
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.spelling import spelling
from dpsynth.errors import DataError


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RawTexts:
    """Texts of an open column: secret.

    Args:
        texts: those that occur, sorted.
        counts: how often each occurs.
    """

    texts: tuple[str, ...]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> "RawTexts":
        """Return texts by how often each occurs."""
        texts = tuple(sorted(counts))
        return cls(texts=texts, counts=np.array([counts[t] for t in texts], dtype=np.int64))


def raw_columns(
    columns: Sequence[Column | OpenColumn], frame: Any
) -> tuple[dict[str, NDArray[np.float64]], dict[str, RawTexts]]:
    """Return the numbers of columns that are open or have bins, and the texts of open ones.

    Every value is checked, those of closed columns too.

    Args:
        columns: the specifications.
        frame: a DataFrame that has them.

    Raises:
        DataError: a value that its column forbids.
    """
    numbers: dict[str, NDArray[np.float64]] = {}
    texts: dict[str, RawTexts] = {}
    for column in columns:
        values = frame[column.name]
        if isinstance(column, OpenNumber):
            numbers[column.name] = raw_numbers(column, values)
        elif isinstance(column, OpenText):
            texts[column.name] = raw_texts(column, values)
        else:
            # Refuses what the column forbids; what falls into bins has a spread to be bought.
            conformed = conform(column, values)
            if not isinstance(column, CategoricalColumn) and column.binned:
                whole = not isinstance(column, FloatColumn)
                numbers[column.name] = _floats(conformed) if whole else conformed
    return numbers, texts


def raw_numbers(column: OpenNumber, values: Any) -> NDArray[np.float64]:
    """Return the values of an open column of numbers or times as floats, NaN where missing.

    Negative zeros are zeros: they could not be told apart in the output.

    Raises:
        DataError: a value that is no number, infinite, or missing where the column forbids it; a
            fraction, or a number beyond 2**53, among whole numbers.
    """
    numbers = parse_numbers(column, values)
    absent = np.isnan(numbers)
    if absent.any() and not column.missing:
        raise DataError(column.name, None, "its schema says missing = false")
    present = numbers[~absent]
    if np.isinf(present).any():
        raise DataError(column.name, float("inf"), "values must be finite")
    if column.whole:
        if (present != np.floor(present)).any():
            first = float(present[present != np.floor(present)][0])
            raise DataError(column.name, first, "values must be whole numbers")
        if (np.abs(present) > LARGEST_INTEGER).any():
            largest = float(present[np.argmax(np.abs(present))])
            raise DataError(column.name, largest, "whole numbers must lie within 2**53 of zero")
    return numbers


def raw_texts(column: OpenText, values: Any) -> RawTexts:
    """Return the texts of an open column, and how often each occurs.

    Raises:
        DataError: a collection among them, or a missing value where the column forbids it.
    """
    codes, distinct = factorize(column.name, values)
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct)).tolist()
    together: dict[str, int] = {}
    for value, count in zip(distinct, counts, strict=True):
        if count:  # several spellings of one text count together
            text = str(spelling(value, str))
            together[text] = together.get(text, 0) + count
    if ("" in together or (codes < 0).any()) and not column.missing:
        raise DataError(column.name, None, "its schema says missing = false")
    together.pop("", None)
    return RawTexts.of(together)


def _floats(integers: Any) -> NDArray[np.float64]:
    import pandas as pd

    return pd.Series(integers).to_numpy(dtype=np.float64, na_value=np.nan)
