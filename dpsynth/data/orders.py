"""Orders between numeric columns: which codes they rule out, and values that keep to them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.binning import code_values
from dpsynth.data.columns import Column, IntegerColumn
from dpsynth.data.constraints import Ordered
from dpsynth.data.domain import Clique
from dpsynth.data.value_sets import Bools, Numbers
from dpsynth.errors import SchemaError

Edges = Mapping[tuple[str, str], bool]
"""(lower, upper) -> whether equal values are ruled out."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Orders:
    """All orders of a schema together, with those that follow from others.

    Args:
        columns: those in some order, the lesser before the larger.
        edges: what is ordered, transitively closed.
    """

    columns: Mapping[str, Column]
    edges: Edges

    @classmethod
    def of(cls, columns: Mapping[str, Column], constraints: Sequence[Ordered]) -> Self:
        """Return the orders that `constraints` add up to.

        Raises:
            SchemaError: they run in a circle.
        """
        edges: dict[tuple[str, str], bool] = {}
        for c in constraints:
            edges[c.lower, c.upper] = edges.get((c.lower, c.upper), False) or c.strict
        names = list(dict.fromkeys(name for edge in edges for name in edge))
        for k in names:
            for i in names:
                for j in names:
                    if (i, k) in edges and (k, j) in edges:
                        strict = edges[i, k] or edges[k, j]
                        edges[i, j] = edges.get((i, j), False) or strict
        for name in names:
            if (name, name) in edges:
                raise SchemaError(name, name, "orders must not run in a circle")
        # Whoever is below has fewer below.
        ranked = sorted(names, key=lambda name: sum(upper == name for _, upper in edges))
        return cls(columns={name: columns[name] for name in ranked}, edges=edges)

    def cliques(self) -> Iterator[Clique]:
        """Yield the sets of columns whose codes decide together whether values can be in order.

        Two columns do, but where one between them may be missing and its presence needs room.
        """
        for lower, upper in self.edges:
            between = [c for c in self.columns if {(lower, c), (c, upper)} <= self.edges.keys()]
            optional = [c for c in between if self.columns[c].missing]
            always = [c for c in between if not self.columns[c].missing]
            full = self._least(lower, upper, between)
            if np.array_equal(full, self._least(lower, upper, always)):
                optional = []
            yield (lower, *optional, upper)

    def broken(self, clique: Clique) -> Bools:
        """Return which cells of one of `cliques` hold no values in order, axes in its order."""
        lower, *optional, upper = clique
        between = [c for c in self.columns if {(lower, c), (c, upper)} <= self.edges.keys()]
        always = [c for c in between if c not in optional and not self.columns[c].missing]
        _, last = code_values(self.columns[upper])
        found = np.zeros([self.columns[c].size for c in clique], dtype=np.bool_)
        for count in range(len(optional) + 1):
            for there in combinations(optional, count):
                least = self._least(lower, upper, [*always, *there])
                region = tuple(self._part(c, present=c in (lower, upper, *there)) for c in clique)
                ends = [1] * len(clique)
                ends[0], ends[-1] = len(least), len(last)
                found[region] |= (least[:, None] > last[None, :]).reshape(ends)
        return found

    def _part(self, name: str, *, present: bool) -> slice:
        """Return where the codes of a column are that stand for values, or for none."""
        if not present:
            return slice(-1, None)
        return slice(None, -1) if self.columns[name].missing else slice(None)

    def _least(self, lower: str, upper: str, between: Sequence[str]) -> Numbers:
        """Return for each code of `lower` the least value of `upper`, past all columns between."""
        first, _ = code_values(self.columns[lower])
        least = {lower: first}
        for name in (*(c for c in self.columns if c in between), upper):
            steps = [
                _above(self.columns[name], least[below], self.edges[below, name])
                for below in least
                if (below, name) in self.edges
            ]
            least[name] = np.maximum.reduce(steps)
        return least[upper]

    def rows_broken(self, values: Mapping[str, Numbers]) -> Bools:
        """Return which records are out of order; a missing value (NaN) is in any.

        Args:
            values: of all columns of the orders.
        """
        found = np.zeros(len(next(iter(values.values()))), dtype=np.bool_)
        for (lower, upper), strict in self.edges.items():
            compare = np.greater_equal if strict else np.greater
            found |= compare(values[lower], values[upper])
        return found

    def arranged(
        self,
        values: Mapping[str, Numbers],
        codes: Mapping[str, NDArray[np.int64]],
        *,
        rng: np.random.Generator,
    ) -> dict[str, Numbers]:
        """Return values in order, each within the bin of its code; one pass, with no rejection.

        In a row that is out of order, values beyond what the orders leave of their bins are drawn
        again, neighbours change places, and what is still below something is drawn above it,
        from the lesser column upwards. Of two columns that are left the same bounds the result is
        an even draw of all that is in order.

        Args:
            values: of all columns of the orders, drawn on their own; NaN where missing.
            codes: of the same records, none of which `broken` rules out.
            rng: source of the values that are drawn again.
        """
        wrong = np.flatnonzero(self.rows_broken(values))
        if not wrong.size:
            return dict(values)
        found = {name: values[name][wrong] for name in self.columns}
        low, high = self._bounds({name: codes[name][wrong] for name in self.columns})
        for name, column in self.columns.items():
            outside = (found[name] < low[name]) | (found[name] > high[name])
            _redraw(column, found[name], outside, (low[name], high[name]), rng=rng)
        for (lower, upper), strict in self.edges.items():
            if type(self.columns[lower]) is not type(self.columns[upper]):
                continue  # a value of one may be none of the other
            first, second = found[lower], found[upper]
            # Each is then between the other's bounds: these keep the order themselves.
            swap = (first >= second) if strict else (first > second)
            found[lower] = np.where(swap, second, first)
            found[upper] = np.where(swap, first, second)
        for name, column in self.columns.items():
            least = low[name]
            for (lower, upper), strict in self.edges.items():
                if upper == name:
                    least = np.fmax(least, _above(column, found[lower], strict))
            _redraw(column, found[name], found[name] < least, (least, high[name]), rng=rng)
        result = {name: np.array(values[name]) for name in self.columns}
        for name, of in found.items():
            result[name][wrong] = of
        return result

    def _bounds(
        self, codes: Mapping[str, NDArray[np.int64]]
    ) -> tuple[dict[str, Numbers], dict[str, Numbers]]:
        """Return the least and the largest value of each column in each record, NaN if missing."""
        low, high = dict[str, Numbers](), dict[str, Numbers]()
        for name, column in self.columns.items():
            first, last = code_values(column)
            gap = [np.nan] if column.missing else []
            low[name] = np.append(first, gap)[codes[name]]
            high[name] = np.append(last, gap)[codes[name]]
        # What is missing is NaN, which fmax and fmin pass over, but stays so itself.
        for name, column in self.columns.items():
            for (lower, upper), strict in self.edges.items():
                if upper == name:
                    raised = np.fmax(low[name], _above(column, low[lower], strict))
                    low[name] = np.where(np.isnan(low[name]), np.nan, raised)
        for name in reversed(list(self.columns)):
            for (lower, upper), strict in self.edges.items():
                if lower == name:
                    cut = np.fmin(high[name], _below(self.columns[name], high[upper], strict))
                    high[name] = np.where(np.isnan(high[name]), np.nan, cut)
        return low, high


def _above(column: Column, values: Numbers, strict: bool) -> Numbers:
    """Return the least values of `column` that are above others, or equal where not `strict`."""
    if isinstance(column, IntegerColumn):
        return np.floor(values) + 1 if strict else np.ceil(values)
    return np.nextafter(values, np.inf) if strict else values


def _below(column: Column, values: Numbers, strict: bool) -> Numbers:
    """Return the largest values of `column` that are below others, or equal where not `strict`."""
    if isinstance(column, IntegerColumn):
        return np.ceil(values) - 1 if strict else np.floor(values)
    return np.nextafter(values, -np.inf) if strict else values


def _redraw(
    column: Column,
    values: Numbers,
    where: Bools,
    bounds: tuple[Numbers, Numbers],
    *,
    rng: np.random.Generator,
) -> None:
    """Draw some values of `column` again, even between bounds that are values of it too."""
    low, high = (bound[where] for bound in bounds)
    share = rng.random(low.size)
    if isinstance(column, IntegerColumn):
        values[where] = np.minimum(low + np.floor(share * (high - low + 1)), high)
    else:
        values[where] = np.clip(low + share * (high - low), low, high)
