"""What groups of codes are called, for people."""

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import Column, FloatColumn, IntegerColumn
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema

_NAMED = 3


def group_labels(
    column: Column, groups: NDArray[np.intp], *, rng: np.random.Generator
) -> list[str]:
    """Return a text for each group of a column's codes.

    Args:
        column: the public description of the codes.
        groups: the group of each code, numbered from 0.
        rng: names a code of a kind of column that is neither number nor category by one of its
            values.
    """
    return [_label(column, np.flatnonzero(groups == g), rng) for g in range(int(groups.max()) + 1)]


def _label(column: Column, codes: NDArray[np.intp], rng: np.random.Generator) -> str:
    missing = column.missing and codes[-1] == column.size - 1
    rest = codes[:-1] if missing else codes
    absent = ["missing"] if missing else []
    if not rest.size:
        return "missing"
    if isinstance(column, FloatColumn):
        edges = float_edges(column)
        return " or ".join([f"{edges[rest[0]]:g} to {edges[rest[-1] + 1]:g}", *absent])
    if isinstance(column, IntegerColumn):
        edges = integer_edges(column)
        low, high = edges[rest[0]], edges[rest[-1] + 1] - 1
        return " or ".join([f"{low}" if low == high else f"{low} to {high}", *absent])
    drawn = Codec(schema=Schema(columns=(column,))).decode(rest.reshape(-1, 1), rng=rng)
    names = [str(value) for value in drawn.frame[column.name]]
    if len(names) > _NAMED:
        names = [f"{names[0]} to {names[-1]} ({len(names)} values)"]
    return " or ".join([*names, *absent])
