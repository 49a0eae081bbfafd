"""Which pairs of columns a model measured, and how finely."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel
from dpsynth.pgm.uncertainty import grouped_by

Array = NDArray[np.float64]

FINE = 0.75
"""Least part of what two columns have in common that a measurement in groups of their codes has to
show. What varies within groups is lost: of a linear dependence the part that groups keep of one
column's variance, times that of the other's."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Resolution:
    """Attributes that stand for a column: its own, and those whose codes are groups of its codes.

    Args:
        model: the fit; its first attributes are the columns.
        columns: names of the schema.
        measurements: what it was fitted to.
        values: numeric column without missing values -> the mean value of each code.
    """

    model: GraphicalModel
    columns: Sequence[str]
    measurements: Sequence[NoisyMarginal]
    values: Mapping[str, Array]

    @cached_property
    def _column_of(self) -> dict[str, tuple[str, NDArray[np.intp]]]:
        """Each attribute's column, and the code of the attribute for each code of the column."""
        domain = self.model.domain
        found = {a: (a, np.arange(domain.sizes[a])) for a in self.columns}
        for added in domain.attributes[len(self.columns) :]:
            found[added] = grouped_by(self.model, added, self.columns)
        return found

    @cached_property
    def _pairs(self) -> dict[frozenset[str], Clique]:
        """Columns that were measured together finely enough, and by which attributes: the finest
        that there are."""
        best: dict[frozenset[str], tuple[float, Clique]] = {}
        for m in self.measurements:
            groups = dict(zip(m.clique, m.groups or (None,) * len(m.clique), strict=True))
            for pair in combinations(m.clique, 2):
                columns = [self._column_of[a][0] for a in pair]
                if columns[0] == columns[1] or not all(c in self.values for c in columns):
                    continue
                kept = float(np.prod([self._kept(a, groups[a]) for a in pair]))
                key = frozenset(columns)
                if kept >= FINE and kept > best.get(key, (0.0, ()))[0]:
                    best[key] = kept, pair
        return {key: pair for key, (_, pair) in best.items()}

    def measured(self, first: str, second: str) -> bool:
        """Return whether two numeric columns were measured together, finely enough for slopes."""
        return frozenset((first, second)) in self._pairs

    def pair(self, first: str, second: str) -> tuple[Clique, tuple[Array, Array]]:
        """Return the attributes by which two columns were measured together, and the mean value of
        each of their codes."""
        found = self._pairs[frozenset((first, second))]
        if self._column_of[found[0]][0] != first:
            found = found[1], found[0]
        return found, (self._means(found[0]), self._means(found[1]))

    def known(self, names: Sequence[str], outcome: str) -> tuple[str, ...]:
        """Return those of `names`, first come, first served, that were measured together with
        `outcome` and with one another."""
        found: list[str] = []
        for name in names:
            if name != outcome and all(self.measured(name, o) for o in (outcome, *found)):
                found.append(name)
        return tuple(found)

    def check(self, names: Sequence[str], outcome: str) -> None:
        """Refuse columns of which some were not measured together.

        Args:
            names: causes and the outcome, in any order.
            outcome: the one to explain.

        Raises:
            InvalidValueError: it names those pairs, and causes without such.
        """
        unknown = [p for p in combinations(names, 2) if not self.measured(*p)]
        if not unknown:
            return
        known = self.known(names, outcome)
        told = f"; these causes are: {', '.join(known)}" if known else "; none of these causes is"
        rule = f"of columns that the model measured together, finely enough for a slope{told}"
        raise InvalidValueError("a pair", ", ".join(f"({a}, {b})" for a, b in unknown), rule)

    def _kept(self, attribute: str, groups: tuple[int, ...] | None) -> float:
        """Return the part of the variance of a column that groups of its codes keep."""
        column, of = self._column_of[attribute]
        own = of if groups is None else np.array(groups)[of]
        shares = self.model.marginal((column,)) / self.model.total
        centred = self.values[column] - shares @ self.values[column]
        mass = np.bincount(own, weights=shares)
        means = np.bincount(own, weights=shares * centred) / np.where(mass > 0, mass, 1.0)
        whole = float(shares @ centred**2)
        return float(mass @ means**2) / whole if whole > 0 else 1.0

    def _means(self, attribute: str) -> Array:
        column, of = self._column_of[attribute]
        counts = self.model.marginal((column,))
        sums = np.bincount(of, weights=counts)
        alike = np.bincount(of)
        totals = np.bincount(of, weights=counts * self.values[column])
        plain = np.bincount(of, weights=self.values[column]) / alike
        return np.where(sums > 0, totals / np.where(sums > 0, sums, 1.0), plain)
