"""Counterfactual copies of rows: what would follow in a causal graph, had some columns differed.

Each row's noise is what its observed values tell of it, so that an intervention that changes
nothing returns the row as it is.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.data.domain import Clique
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import Schema
from dpsynth.data.spelling import spelling, spellings
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.generators.base import SyntheticModel, TractableModel
from dpsynth.pgm.grouping import mixed_radix
from dpsynth.pgm.junction_tree import CELL_CEILING
from dpsynth.sampling.causal_graph import CausalGraph

_CHUNK = 2**14

Array = NDArray[np.float64]


def counterfactuals(
    model: SyntheticModel,
    rows: Table,
    *,
    do: Mapping[str, Any],
    graph: CausalGraph,
    rng: np.random.Generator,
) -> Table:
    """Return the rows as they would have been, had the columns of `do` had these values.

    What the columns of `do` cause is drawn again, cause after cause, from the model's law of a
    column given its causes; everything else stays. The law of a column is read as the function
    that takes its causes and a uniform number to the quantile of that order. The number is drawn
    where the observed code puts it (abduction), the causes are replaced (action), and the quantile
    is looked up (prediction). Codes are so coupled monotonely, in their declared order; a value
    whose code stays is kept, and a new one is drawn within its bin.

    Rows of the model are synthetic, and so are their copies: post-processing. Copies of real rows
    contain what was not drawn again, and no guarantee covers them.

    Args:
        model: where the laws come from.
        rows: under the model's columns.
        do: column -> its value in all rows, or a list with one value a row.
        graph: public knowledge; a column's causes may be any that it names.
        rng: source of the noise that the observed codes leave open.

    Raises:
        InvalidValueError: a model without known laws, a column with too many combinations of
            causes, rows under other columns, values for another number of rows.
        UnknownNameError: a column or category that the schema lacks.
        DataError: a value that its column forbids, or a copy that a constraint forbids.

    Reference: Pearl 2009, section 7.1 (Theorem 7.1.7: abduction, action, prediction).
    """
    # Copies stand beside their rows: none is left out.
    schema = replace(model.schema, on_violation="error")
    if not (isinstance(model, TractableModel) and model.tractable):
        name, rule = type(model).__name__, "one whose laws are known, as of a marginal generator"
        raise InvalidValueError("model", name, rule)
    codec = Codec(schema=schema)
    old = codec.encode(rows)
    acted = _act(schema, rows, do)
    new = codec.encode(acted)
    drawn = graph.descendants(do)
    for child in drawn:
        _predict(model, old, new, child, graph.parents[child], rng=rng)
    frame = acted.frame
    if drawn:
        changed = Schema(columns=tuple(schema.column(name) for name in drawn))
        axes = list(schema.domain.axes(drawn))
        fresh = Codec(schema=changed).decode(new[:, axes], rng=rng).frame
        for name, axis in zip(drawn, axes, strict=True):
            frame[name] = frame[name].where(old[:, axis] == new[:, axis], fresh[name])
    return Table(schema=schema, frame=frame)


def _act(schema: Schema, rows: Table, do: Mapping[str, Any]) -> Table:
    """Return the rows with the columns of `do` set; what these cause may not fit them yet, so that
    no constraint is asked."""
    import pandas as pd

    if not isinstance(do, Mapping) or not do:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidValueError("do", do, "a mapping from columns to values")
    frame = rows.frame
    for name, value in do.items():
        column = schema.column(name)
        listed = isinstance(value, Collection | np.ndarray) and not isinstance(value, str | bytes)
        values: list[Any] = list(value) if listed else [value] * len(frame)
        if len(values) != len(frame):
            rule = "one value, or one for each of the rows"
            raise InvalidValueError(f"do of {name!r}", f"{len(values)} values", rule)
        _check_categories(column, values)
        frame[name] = pd.Series(values, dtype=object, index=frame.index)
    return Table(schema=Schema(columns=schema.columns), frame=frame)


def _check_categories(column: Column, values: list[Any]) -> None:
    """Refuse a category that the column lacks, even where data with it would be let in."""
    if not isinstance(column, CategoricalColumn):
        return
    known, kind = spellings(column), type(column.categories[0])
    for value in dict.fromkeys(values):
        missing = value is None or value != value or value == ""  # noqa: PLR0124 - NaN
        if not missing and spelling(value, kind) not in known:
            names = [str(category) for category in column.categories]
            raise UnknownNameError(f"category of {column.name!r}", str(value), names)


def _predict(
    model: TractableModel,
    old: NDArray[np.integer[Any]],
    new: NDArray[np.integer[Any]],
    child: str,
    causes: Clique,
    *,
    rng: np.random.Generator,
) -> None:
    """Write the codes of `child` that follow from the new codes of its causes."""
    domain = model.schema.domain
    cells = domain.cells_of((*causes, child))
    if cells > CELL_CEILING:
        rule = f"fewer: with it they have {cells} cells, and {CELL_CEILING} are possible"
        raise InvalidValueError(f"the causes of {child!r}", causes, rule)
    joint = model.marginal((*causes, child))
    laws = cumulative_laws(joint.reshape(-1, joint.shape[-1]))
    axes, sizes = domain.axes(causes), [domain.sizes[a] for a in causes]
    (axis,) = domain.axes((child,))
    before, after = mixed_radix(old, axes, sizes), mixed_radix(new, axes, sizes)
    noise = rng.random(len(old))  # of all rows, so that other interventions meet the same noise
    affected = np.flatnonzero(before != after)
    for start in range(0, len(affected), _CHUNK):
        rows = affected[start : start + _CHUNK]
        order = abducted(laws[before[rows]], old[rows, axis].astype(np.int64), noise[rows])
        new[rows, axis] = (laws[after[rows]] <= order[:, None]).sum(axis=1)


def cumulative_laws(counts: Array) -> Array:
    """Return the distribution function of each row of counts, the last one exactly 1.

    A row without counts, for causes that the model never has together, gets the law of all rows.
    """
    overall = counts.sum(axis=0)
    mass = counts.sum(axis=1, keepdims=True)
    laws = np.where(mass > 0, counts, overall)
    np.cumsum(laws, axis=1, out=laws)
    # Codes after the last possible one have its 1 too: no order reaches them.
    return np.where(laws == laws[:, -1:], 1.0, laws / laws[:, -1:])


def abducted(laws: Array, codes: NDArray[np.int64], noise: Array) -> Array:
    """Return for each row an order, uniform on those whose quantile is its code.

    Args:
        laws: the distribution function of each row's codes.
        codes: observed; one that the law rules out has the order at which it would come.
        noise: uniform on [0, 1).
    """
    places = np.arange(len(codes))
    low = np.where(codes > 0, laws[places, codes - 1], 0.0)
    found = low + noise * (laws[places, codes] - low)
    return np.minimum(found, np.nextafter(1.0, 0.0))
