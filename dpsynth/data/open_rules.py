"""Constraints on columns that are still open: how records are checked against them before anything
is bought, and what a bought column must be like so that they hold afterwards.

A stand-in of an open column has the codes that the constraints tell apart, and no others. The
bought column has finer ones (`closed_columns`): bins are split at the same edges, the texts that a
constraint names are categories, and bounds lie so far out that a value keeps its code of the
stand-in, and its place in every order that it is in, when it is clipped. So a record that keeps the
constraints before keeps them after, and none has to be refused when budget has been spent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import TypeAlias, final

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.conditions import MISSING, PRESENT
from dpsynth.data.constraints import Constraint
from dpsynth.data.numeric import INTEGER_CODES
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.orders import Orders
from dpsynth.data.spelling import spelling
from dpsynth.data.splitting import edges_needed, spoken, widened
from dpsynth.errors import SchemaError

Measured: TypeAlias = IntegerColumn | FloatColumn

_STEP = 2.0**-20
"""Width of the bin next to an edge beyond all bought bounds, relative to the edge (to 1 near 0)."""


@final
@dataclass(frozen=True, kw_only=True)
class NamedTexts:
    """Texts of an open column that constraints name, and that are as public as these.

    Args:
        values: the texts that are meant, sorted.
        words: what stands there and is none of them ("missing", "!=x"): no category may be called
            so, or the condition would mean that.
    """

    values: tuple[str, ...]
    words: frozenset[str]


def named_texts(column: OpenText, constraints: Sequence[Constraint]) -> NamedTexts:
    """Return the texts of `column` that `constraints` name.

    Raises:
        SchemaError: they name the category of all other texts.
    """
    values, words = set[str](), set[str]()
    for constraint in constraints:
        for pairs in spoken(constraint):
            for condition in (condition for name, condition in pairs if name == column.name):
                for one in condition if isinstance(condition, tuple) else (condition,):
                    text = str(spelling(one, str))
                    if text.strip() in (MISSING, PRESENT, "!="):
                        words.add(text)
                    elif text.startswith("!="):
                        values.add(text[2:].strip())
                        words |= {text, text[2:]}
                    else:
                        values.add(text)
    if column.other in values:
        rule = "a constraint cannot name what stands for all texts that are yet to be found out"
        raise SchemaError(column.name, column.other, rule)
    return NamedTexts(values=tuple(sorted(values)), words=frozenset(words - values))


def stand_in(column: OpenColumn, constraints: Sequence[Constraint]) -> Column:
    """Return a closed column with every value that the bought one may have, in few codes.

    Raises:
        SchemaError: as of `named_texts`.
    """
    name, missing = column.name, column.missing
    if isinstance(column, OpenText):
        categories = (*named_texts(column, constraints).values, column.other)
        return CategoricalColumn(
            name=name,
            categories=categories,
            missing=missing,
            on_invalid="other",
            other=column.other,
        )
    lower, upper = column.reach
    if not column.whole:
        return FloatColumn(
            name=name, lower=lower, upper=upper, bins=1, missing=missing, on_invalid="clip"
        )
    return IntegerColumn(
        name=name,
        lower=int(lower),
        upper=int(upper),
        bins=1,
        clock=column.clock,
        missing=missing,
        on_invalid="clip",
    )


def most_codes(column: Column | OpenColumn, stand_in: Column) -> int:
    """Return the most codes that a column can have when it is closed.

    Args:
        column: open or not.
        stand_in: of the column, with the bins that constraints need.
    """
    if isinstance(column, OpenText):
        return column.most + stand_in.size
    if isinstance(column, OpenNumber):
        # A bin more at each end, where bounds move outwards.
        return max(column.bins, INTEGER_CODES if column.whole else 1) + stand_in.size + 1
    return column.size


def closed_columns(
    opened: Sequence[Column | OpenColumn],
    bought: Sequence[Column],
    stand_ins: Sequence[Column],
    constraints: Sequence[Constraint],
    orders: Orders,
) -> tuple[Column, ...]:
    """Return bought columns in which every record that keeps the constraints still keeps them.

    Args:
        opened: the columns before anything was bought.
        bought: the same columns, closed.
        stand_ins: the same columns, as records were checked.
        constraints: on these columns.
        orders: those among the constraints, of the stand-ins.
    """
    spoken_of = {name for constraint in constraints for name in constraint.involved}
    found: dict[str, Column] = {}
    lower, upper = dict[str, float](), dict[str, float]()
    needed = edges_needed(stand_ins, constraints)
    for before, column in zip(opened, bought, strict=True):
        found[column.name] = column
        if isinstance(before, OpenText) and column.name in spoken_of:
            assert isinstance(column, CategoricalColumn)
            found[column.name] = _with_named(column, named_texts(before, constraints))
        if isinstance(before, OpenNumber):
            edges = needed.get(column.name, ())
            assert not isinstance(column, CategoricalColumn)
            if before.lower is None:
                lower[column.name] = min([column.lower, *(_next(column, e, -1) for e in edges)])
            if before.upper is None:
                past = 0 if before.whole else 1  # an edge is the first whole number of its bin
                upper[column.name] = max([column.upper, *(_next(column, e, past) for e in edges)])
    _order_bounds(found, lower, upper, orders)
    for name in lower.keys() | upper.keys():
        column = found[name]
        assert not isinstance(column, CategoricalColumn)
        least, most = _reach(opened, name)
        low, high = lower.get(name, column.lower), upper.get(name, column.upper)
        found[name] = widened(column, max(low, least), min(high, most))
    return tuple(found.values())


def _order_bounds(
    columns: Mapping[str, Column], lower: dict[str, float], upper: dict[str, float], orders: Orders
) -> None:
    """Move bought bounds outwards, in place, until clipping keeps every order.

    For x <= y it does where the bounds of x are at most those of y: clipping is monotone in the
    value and in both bounds. For x < y it does where they are below them: if both are clipped at
    one end, they differ as the bounds do. A bound that was not bought clips nothing that kept the
    order, so that the other one alone may have to move.
    """
    ranked = list(orders.columns)
    for name in reversed(ranked):
        for (low, high), strict in orders.edges.items():
            if low == name and name in lower:
                own, other = _measured(columns[name]), _measured(columns[high])
                bound = lower.get(high, other.lower)
                bound = floor(bound) if isinstance(own, IntegerColumn) else bound
                lower[name] = min(lower[name], _next(own, bound, -1) if strict else bound)
    for name in ranked:
        for (low, high), strict in orders.edges.items():
            if high == name and name in upper:
                own, other = _measured(columns[name]), _measured(columns[low])
                bound = upper.get(low, other.upper)
                bound = ceil(bound) if isinstance(own, IntegerColumn) else bound
                upper[name] = max(upper[name], _next(own, bound, 1) if strict else bound)


def _next(column: Measured, value: float, steps: int) -> float:
    """Return a value of the column that is so many steps above `value`, or below it."""
    if isinstance(column, IntegerColumn):
        return int(value) + steps
    if column.decimals is None:
        moved = value + steps * _STEP * max(abs(value), 1.0)
    else:
        moved = round(value + steps * 10.0**-column.decimals, column.decimals)
    # Far from 0 a decimal is nothing.
    smallest = value + steps * 2.0**-50 * abs(value)
    return max(moved, smallest) if steps > 0 else min(moved, smallest)


def _measured(column: Column) -> Measured:
    assert not isinstance(column, CategoricalColumn)
    return column


def _reach(columns: Sequence[Column | OpenColumn], name: str) -> tuple[float, float]:
    (column,) = (c for c in columns if c.name == name)
    assert isinstance(column, OpenNumber)
    return column.reach


def _with_named(column: CategoricalColumn, named: NamedTexts) -> CategoricalColumn:
    """Return a bought column of texts with those that constraints name, found or not."""
    found = {str(c) for c in column.categories if c != column.other} - named.words
    assert column.other is not None
    return replace(column, categories=(*sorted(found | set(named.values)), column.other))
