"""The promise: (epsilon, delta), between which neighbours, and for which unit of privacy."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import final

from dpsynth.errors import InvalidValueError


class Neighbouring(StrEnum):
    """Which two tables count as neighbours.

    ADD_REMOVE: one has one unit more (unbounded DP); the number of records is secret.
    REPLACE: one unit differs (bounded DP); the number of units is public.
    """

    ADD_REMOVE = "add_remove"
    REPLACE = "replace"


@final
@dataclass(frozen=True, kw_only=True)
class Budget:
    """A differential-privacy guarantee that is to hold for everything bought from one ledger.

    Args:
        epsilon: finite, above 0.
        delta: in [0, 1); 0 asks for pure differential privacy.
        relation: the neighbour relation.
        unit: what one unit of privacy is: "record", or the name of the column that identifies it.
        max_rows_per_unit: the most rows that one unit contributes; sensitivities scale with it.

    Raises:
        InvalidValueError: a value outside its range.
    """

    epsilon: float
    delta: float
    relation: Neighbouring = Neighbouring.ADD_REMOVE
    unit: str = "record"
    max_rows_per_unit: int = 1

    def __post_init__(self) -> None:
        if not (isfinite(self.epsilon) and self.epsilon > 0):
            raise InvalidValueError("epsilon", self.epsilon, "a finite number above 0")
        if not 0 <= self.delta < 1:
            raise InvalidValueError("delta", self.delta, "at least 0 and below 1")
        if self.relation not in tuple(Neighbouring):
            raise InvalidValueError("relation", self.relation, "'add_remove' or 'replace'")
        if self.max_rows_per_unit < 1:
            raise InvalidValueError("max_rows_per_unit", self.max_rows_per_unit, "at least 1")
        if self.unit == "record" and self.max_rows_per_unit != 1:
            raise InvalidValueError(
                "max_rows_per_unit", self.max_rows_per_unit, "1 when the unit is a record"
            )

    @property
    def l1_sensitivity(self) -> float:
        """L1 sensitivity of a histogram: k rows of a unit come or go (k), or move (2k)."""
        return self.max_rows_per_unit * (1.0 if self.relation == Neighbouring.ADD_REMOVE else 2.0)

    @property
    def l2_sensitivity(self) -> float:
        """L2 sensitivity of a histogram: at worst k rows share one cell (k), or leave one cell
        for another (sqrt(k^2 + k^2))."""
        root = 1.0 if self.relation == Neighbouring.ADD_REMOVE else 2.0**0.5
        return self.max_rows_per_unit * root
