"""Closing an open schema: what it leaves open is bought, column by column, before the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import final

from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.data.open_columns import OpenColumn, OpenNumber, OpenText
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError
from dpsynth.preparation.numbers import bought_number, with_spread
from dpsynth.preparation.texts import bought_texts

WEIGHTS: Mapping[str, float] = {
    "bounds": 1.0,
    "values": 1.5,
    "tree": 1.0,
    "spread": 2.5,
    "decimals": 0.25,
}
"""What each step costs, relative to the others."""


@final
@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How much of the budget may go into what a schema leaves open.

    Args:
        share: the most that all open columns together may cost, as a part of the budget.
        column_share: the most that one open column may cost.
        spread_share: what the spread of values within the bins of each closed column costs.
        most_spread: the most that this may cost for all of them.
        delta_share: what part of delta is set aside for values that too few share to be released,
            where open columns look for values; without it they pay what samplers leave of delta.

    Raises:
        InvalidValueError: a share not above 0 and below 1.
    """

    share: float = 0.3
    column_share: float = 0.06
    spread_share: float = 0.01
    most_spread: float = 0.05
    delta_share: float = 0.03

    def __post_init__(self) -> None:
        for field in ("share", "column_share", "spread_share", "most_spread", "delta_share"):
            needless = "spread" in field or "delta" in field
            if not (0 if needless else 2.0**-30) <= getattr(self, field) < 1:
                rule = "at least 0 and below 1" if needless else "above 0 and below 1"
                raise InvalidValueError(field, getattr(self, field), rule)

    @property
    def spreads(self) -> bool:
        """Whether anything is to be spent on the spread of values within declared bins."""
        return min(self.spread_share, self.most_spread) > 0

    def set_aside(self, columns: Sequence[OpenColumn], delta: float) -> float:
        """Return the part of `delta` that is kept for looking for values in open columns."""
        looks = any(isinstance(c, OpenText) or c.atoms for c in columns)
        return delta * self.delta_share if looks else 0.0

    def closed(self, private: PrivateColumns) -> Schema:
        """Return the schema of `private` with everything in it that was open, and with the spread
        of values within bins.

        Args:
            private: the door to the raw columns; what is spent here is missing from its ledger.

        Raises:
            InvalidValueError: an open set of texts without a delta to pay for finding them.
            BudgetExceededError: the budget was spent already.
        """
        steps = _all_steps(private)
        selections = sum("values" in needed for needed in steps.values())
        amounts = self._amounts(private, steps)
        found: list[Column] = []
        for column in private.schema.columns:
            paid = amounts.get(column.name, {})
            if isinstance(column, OpenText):
                found.append(bought_texts(private, column, paid, selections))
            elif isinstance(column, OpenNumber):
                found.append(bought_number(private, column, paid, selections))
            elif paid and not isinstance(column, CategoricalColumn):
                found.append(with_spread(private, column, paid, selections))
            else:
                found.append(column)
        return private.schema.closed(found)

    def reserve(self, private: PrivateColumns, fit: Callable[[PrivateData], object]) -> None:
        """Reserve one plan of what `closed` may cost and of what a fit will reserve after it.

        Args:
            private: the door to the raw columns, under an accountant of plans.
            fit: of the generator; errors as of `PrivateColumns.reserve`, before anything is spent.
        """
        amounts = self._amounts(private, _all_steps(private))
        if not amounts:
            return
        kinds = sorted({step for paid in amounts.values() for step in paid})
        label = f"preparation of {len(amounts)} columns ({', '.join(kinds)})"
        total = fsum(each for paid in amounts.values() for each in paid.values())
        private.reserve(total, fit, label=label, selects="values" in kinds)

    def _amounts(
        self, private: PrivateColumns, steps: Mapping[str, tuple[str, ...]]
    ) -> dict[str, dict[str, float]]:
        """Return what each step of each column may cost, in the accountant's currency."""
        opened = {column.name for column in private.schema.open_columns}
        binned = {name for name, needed in steps.items() if needed} - opened
        found: dict[str, dict[str, float]] = {}
        for names, most, each in (
            (opened, self.share, self.column_share),
            (binned, self.most_spread, self.spread_share),
        ):
            total = sum(WEIGHTS[step] for name in names for step in steps[name])
            amount = private.capacity * min(most, each * len(names))
            if amount > 0:
                for name in names:
                    found[name] = {s: amount * WEIGHTS[s] / total for s in steps[name]}
        return found


def _all_steps(private: PrivateColumns) -> dict[str, tuple[str, ...]]:
    """Return what may have to be bought of each column."""
    return {c.name: _steps(c, selects=private.selects) for c in private.schema.columns}


def _steps(column: Column | OpenColumn, *, selects: bool) -> tuple[str, ...]:
    """Return what may have to be bought of a column."""
    if isinstance(column, OpenText):
        if not selects:
            rule = f"above 0, since the texts of {column.name!r} are an open set"
            raise InvalidValueError("delta", 0.0, rule)
        return ("values",)
    if isinstance(column, CategoricalColumn):
        return ()
    if not isinstance(column, OpenNumber):
        wanted = ("values", "spread") if selects else ("spread",)
        return wanted if column.binned and not column.pieces else ()
    needed = {
        "bounds": column.lower is None or column.upper is None,
        "values": column.atoms and selects,
        "tree": column.binning == "privtree",
        "spread": True,
        "decimals": not column.whole and column.decimals is None,
    }
    return tuple(step for step, wanted in needed.items() if wanted)
