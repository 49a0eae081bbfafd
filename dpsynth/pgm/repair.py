"""Rows that structural zeros forbid, made possible in one pass over a junction tree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.evidence import Impossible
from dpsynth.pgm.grouping import mixed_radix
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.sampling import draw, ordered
from dpsynth.pgm.support import possible_cells

Rows = NDArray[np.integer[Any]]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Repair:
    """What makes rows of any sampler keep to structural zeros.

    Args:
        impossible: the zeros.
        tree: a junction tree of them, over all attributes.
        possible: of each of its cliques the cells that some possible record is in.
    """

    impossible: Impossible
    tree: JunctionTree
    possible: Sequence[NDArray[np.bool_]]

    @classmethod
    def of(cls, domain: Domain, impossible: Impossible) -> Self:
        """Return the repair of rows of `domain`; errors as of `possible_cells`."""
        tree, possible = possible_cells(domain, impossible)
        return cls(impossible=impossible, tree=tree, possible=possible)

    def broken(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows are in an impossible cell."""
        axes = self.tree.domain.axes
        found = np.zeros(len(rows), dtype=np.bool_)
        for clique, zeros in self.impossible.items():
            key = mixed_radix(rows, axes(clique), zeros.shape)
            found |= zeros.ravel()[key]
        return found

    def repaired(self, rows: Rows, *, rng: np.random.Generator) -> Rows:
        """Return the rows, with those that are impossible changed into possible ones.

        Attributes are gone through from the root of the tree outwards. A row keeps its code where,
        beside those that it has by then, some possible record has it; otherwise it is drawn anew,
        as often as the other rows with the same codes have it. Every cell that is left possible
        belongs to some possible record, so that there is a code for each row: one pass does, and a
        possible row is left as it is.

        Args:
            rows: codes, one row a record.
            rng: source of what is drawn anew.
        """
        wrong = np.flatnonzero(self.broken(rows))
        if not wrong.size:
            return rows
        found = np.array(rows, order="F")
        domain = self.tree.domain
        for known, attribute, possible in self._steps():
            (axis,) = domain.axes((attribute,))
            sizes = possible.shape[:-1]
            allowed = possible.reshape(-1, possible.shape[-1])
            key = mixed_radix(found[wrong], domain.axes(known), sizes)
            off = ~allowed[key, found[wrong, axis]]
            if not off.any():
                continue
            every = mixed_radix(found, domain.axes(known), sizes)
            shares = _shares(every, found[:, axis], allowed)
            found[wrong[off], axis] = draw(key[off], shares, rng=rng)
        return found

    def _steps(self) -> Iterator[tuple[Clique, str, NDArray[np.bool_]]]:
        """Yield each attribute that a zero may touch, those known before it in its clique, and
        their possible cells, the attribute's axis last."""
        cliques = zip(self.tree.cliques, self.tree.separators, self.possible, strict=True)
        for clique, separator, possible in cliques:
            if possible.all():
                continue
            known: Clique = separator
            # Few codes are known better than many, and more of what is known first is kept.
            own = [a for a in clique if a not in separator]
            for attribute in sorted(own, key=lambda a: self.tree.domain.sizes[a]):
                cells = ordered(clique, possible.astype(np.float64), (*known, attribute)) > 0
                yield known, attribute, cells
                known = (*known, attribute)


def _shares(
    key: NDArray[np.int64], codes: NDArray[np.integer[Any]], allowed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return how often rows of each group have each allowed code; groups without such rows have
    all that is allowed in equal shares."""
    cells = key * allowed.shape[1] + codes
    counts = np.bincount(cells, minlength=allowed.size).reshape(allowed.shape) * allowed
    seen = counts.sum(axis=1, keepdims=True) > 0
    return np.where(seen, counts, allowed).astype(np.float64)
