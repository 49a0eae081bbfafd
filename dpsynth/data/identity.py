"""Who a row belongs to: identifiers, which are compared and never encoded, shown or synthesised."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Column, IntegerColumn
from dpsynth.data.open_columns import OpenColumn
from dpsynth.data.spelling import Values, plain_values, spelling
from dpsynth.errors import DataError, InvalidValueError

if TYPE_CHECKING:
    import pandas as pd


def unit_numbers(unit: str, frame: "pd.DataFrame") -> NDArray[np.int64] | None:
    """Return the number of each row's unit, or None where no column of `frame` says whose it is.

    Args:
        unit: what identifies the unit of privacy; "record": nothing does.
        frame: the records, whose columns are named by texts; errors as of `identities`.
    """
    return identities(unit, frame[unit])[0] if unit != "record" and unit in frame else None


def identities(name: str, values: Values) -> tuple[NDArray[np.int64], list[str]]:
    """Return the number of each row's unit, and the identifiers of the units, in that order.

    Identifiers are equal where their texts are: 7, 7.0 and "7" are one person, "07" is another.

    Args:
        name: the column's name, for errors.
        values: a series of identifiers of any type.

    Raises:
        DataError: a missing identifier, or one that is no text, number or truth value. A row of
            nobody could belong to anybody, so that nothing would bound what one unit contributes.
    """
    import pandas as pd

    found, distinct = cast("tuple[Any, Any]", pd.factorize(plain_values(name, values)))
    if (found < 0).any():
        raise DataError(name, None, "every row must say which unit it belongs to")
    texts = [cast("str", spelling(value, str)) for value in distinct]
    numbers: dict[str, int] = {}
    for text in texts:
        numbers.setdefault(text, len(numbers))
    merged = np.array([numbers[text] for text in texts], dtype=np.int64)
    return merged[np.asarray(found)], list(numbers)


def countable_unit(
    unit: str, columns: Sequence[Column | OpenColumn]
) -> CategoricalColumn | IntegerColumn | None:
    """Return the column that identifies the unit of records that are only counted, not sampled;
    None where no column does.

    Args:
        unit: what identifies the unit of privacy.
        columns: of the records.

    Raises:
        InvalidValueError: several identifiers may share a code.
    """
    column = next((c for c in columns if c.name == unit), None)
    if column is None or isinstance(column, CategoricalColumn):
        return column
    if isinstance(column, IntegerColumn) and not column.binned:
        return column
    rule = "with a code for each of its values, or records that fit into memory"
    raise InvalidValueError("the unit's column", unit, rule)
