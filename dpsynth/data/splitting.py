"""Bins of numbers split at edges that constraints need, and bounds moved outwards: all of it
public, and post-processing of what was bought."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import float_edges, integer_edges
from dpsynth.data.columns import BINS, CategoricalColumn, Column, FloatColumn, IntegerColumn, Piece
from dpsynth.data.constraints import Conditions, Constraint
from dpsynth.data.value_sets import value_set
from dpsynth.errors import DpsynthError


def spoken(constraint: Constraint) -> Iterator[Conditions]:
    """Yield all that a constraint says of single columns, as (column, condition) pairs."""
    for clause in constraint.clauses():
        yield from clause.listed
        if clause.unless is not None:
            yield (clause.unless,)


def edges_needed(
    columns: Sequence[Column], constraints: Sequence[Constraint]
) -> dict[str, tuple[float, ...]]:
    """Return where bins have to start for codes to decide the constraints, ascending; of each
    column of numbers of which a constraint says something.

    Raises:
        SchemaError: a condition that the column's kind does not have.
    """
    named = {column.name: column for column in columns}
    found: dict[str, set[float]] = {}
    for number, constraint in enumerate(constraints, start=1):
        for pairs in spoken(constraint):
            for name, condition in pairs:
                if isinstance(named[name], CategoricalColumn):
                    continue
                try:
                    edges = value_set(named[name], condition).values.edges()
                except DpsynthError as error:
                    error.add_note(f"in constraint {number}")
                    raise
                found.setdefault(name, set()).update(edges)
    return {name: tuple(sorted(edges)) for name, edges in found.items()}


def split(column: Column, edges: Iterable[float]) -> Column:
    """Return the column with its bins split at those of `edges` that are inside of one.

    Values of a piece that is cut fall to its parts by width. An edge at the largest value of a
    float column changes nothing: it would leave that value alone, in a bin without width.
    """
    if isinstance(column, CategoricalColumn):
        return column
    own = _edges(column)
    new = np.setdiff1d(np.array(sorted(edges), dtype=own.dtype), own)
    new = new[(new > own[0]) & (new < own[-1])]
    return _with_edges(column, np.union1d(own, new), new) if new.size else column


def widened(
    column: IntegerColumn | FloatColumn, lower: float, upper: float
) -> IntegerColumn | FloatColumn:
    """Return the column with bounds moved outwards, the values between having bins of their own.

    Args:
        column: the specification.
        lower: the least value; what is above the column's changes nothing.
        upper: the largest value likewise.
    """
    low, high = min(lower, column.lower), max(upper, column.upper)
    if (low, high) == (column.lower, column.upper):
        return column
    own = _edges(column)
    if isinstance(column, IntegerColumn):
        return _with_edges(column, np.union1d(own, [int(low), int(high) + 1]), ())
    if high > column.upper:  # what was the largest value stays in its bin
        own = np.append(own[:-1], np.nextafter(own[-1], np.inf))
    return _with_edges(column, np.union1d(own, [low, high]), ())


def split_columns(
    columns: Sequence[Column], constraints: Sequence[Constraint]
) -> tuple[Column, ...]:
    """Return columns whose bins the conditions of `constraints` do not cut, as far as bins can be.

    Raises:
        SchemaError: as of `edges_needed`.
    """
    needed: Mapping[str, tuple[float, ...]] = edges_needed(columns, constraints)
    return tuple(split(column, needed.get(column.name, ())) for column in columns)


def _edges(column: IntegerColumn | FloatColumn) -> NDArray[Any]:
    return integer_edges(column) if isinstance(column, IntegerColumn) else float_edges(column)


def _with_edges(
    column: IntegerColumn | FloatColumn, edges: NDArray[Any], cuts: Iterable[float]
) -> IntegerColumn | FloatColumn:
    ends: list[Any] = edges.tolist()
    pieces = tuple(_cut(column.pieces, [float(cut) for cut in cuts]))
    if isinstance(column, IntegerColumn):
        return replace(
            column,
            lower=ends[0],
            upper=ends[-1] - 1,
            bins=None,
            edges=tuple(ends),
            pieces=pieces,
        )
    return replace(
        column, lower=ends[0], upper=ends[-1], bins=BINS, edges=tuple(ends), pieces=pieces
    )


def _cut(pieces: Iterable[Piece], cuts: Sequence[float]) -> Iterator[Piece]:
    for low, high, weight in pieces:
        ends = [low, *(cut for cut in cuts if low < cut < high), high]
        if len(ends) == 2:
            yield low, high, weight
            continue
        for start, stop in pairwise(ends):
            yield start, stop, weight * ((stop - start) / (high - low))
