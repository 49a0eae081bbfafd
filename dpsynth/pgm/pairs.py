"""Marginals of many pairs at once: one walk over the junction tree for each attribute."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.threads import one_thread

Array = NDArray[np.float64]


@one_thread()
def pair_marginals(
    tree: JunctionTree, marginals: Sequence[Array], pairs: Iterable[Clique]
) -> dict[Clique, Array]:
    """Return the probabilities of each of `pairs`, axes in the order of the pair.

    What an attribute says about a separator is carried from clique to clique, away from the
    attribute, as one matrix product each: size of the attribute times cells of the clique. Asked
    one by one (`marginal_of`), pairs that share an attribute would walk the same way again.

    Args:
        tree: the junction tree.
        marginals: probabilities of each clique's cells, calibrated.
        pairs: two different attributes each.
    """
    walk = _Walk(tree=tree, marginals=marginals)
    wanted: dict[str, list[Clique]] = {}
    for pair in pairs:
        wanted.setdefault(pair[0], []).append(pair)
    found: dict[Clique, Array] = {}
    for attribute, asked in wanted.items():
        others = walk.beside(attribute, {second for _, second in asked})
        found.update({pair: others[pair[1]] for pair in asked})
    return found


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Walk:
    """Conditional tables of a calibrated tree, made when first needed."""

    tree: JunctionTree
    marginals: Sequence[Array]
    _tables: dict[tuple[int, Clique, Clique, Clique], Array] = field(default_factory=dict)

    def beside(self, attribute: str, wanted: set[str]) -> dict[str, Array]:
        """Return the joint probabilities of `attribute` and each of the others `wanted`."""
        cliques, size = self.tree.cliques, self.tree.domain.sizes[attribute]
        home = self._homes[attribute]
        found: dict[str, Array] = {}
        # Where to go, from where, and what the attribute says about the separator between;
        # nothing is carried into a clique that holds the attribute itself.
        pending: list[tuple[int, int, Clique, Array | None]] = [(home, -1, (), None)]
        while pending and len(found) < len(wanted):
            here, before, separator, carried = pending.pop()
            for other in cliques[here]:
                if other in wanted and other not in found:
                    joint = self._carry(attribute, here, carried, separator, (other,))
                    found[other] = joint.reshape(size, -1)
            for there, shared in self._edges[here]:
                if there != before and attribute in shared:
                    pending.append((there, here, shared, None))
                elif there != before:
                    message = self._carry(attribute, here, carried, separator, shared)
                    pending.append((there, here, shared, message))
        for other in wanted - found.keys():  # in another component: independent
            found[other] = np.outer(self._laws[attribute], self._laws[other])
        return found

    @cached_property
    def _homes(self) -> dict[str, int]:
        """For each attribute a clique that holds it."""
        return {a: i for i, clique in enumerate(self.tree.cliques) for a in clique}

    @cached_property
    def _laws(self) -> dict[str, Array]:
        """The probabilities of each attribute alone."""
        return {a: self._table(home, (a,)) for a, home in self._homes.items()}

    @cached_property
    def _edges(self) -> list[list[tuple[int, Clique]]]:
        """For each clique its neighbours with the separators between, none of them empty."""
        edges: list[list[tuple[int, Clique]]] = [[] for _ in self.tree.cliques]
        ends = zip(self.tree.parents, self.tree.separators, strict=True)
        for i, (parent, separator) in enumerate(ends):
            if separator:
                edges[i].append((parent, separator))
                edges[parent].append((i, separator))
        return edges

    def _carry(
        self, attribute: str, index: int, carried: Array | None, source: Clique, target: Clique
    ) -> Array:
        """Return the joint table of the attribute and `target`, from that of it and `source`.

        Both lie in the clique; given `source`, nothing else of the attribute matters to it.
        Shared axes stay as they are, the rest is a product with P(target | source).
        """
        if carried is None:
            return self._table(index, (attribute, *target))
        sizes = self.tree.domain.sizes
        kept = tuple(a for a in source if a in target)
        gone = tuple(a for a in source if a not in target)
        fresh = tuple(a for a in target if a not in source)
        if not fresh and not gone:
            return carried
        cells = [prod(sizes[a] for a in group) for group in (kept, gone, fresh)]
        size = sizes[attribute]
        shape = (size, *(sizes[a] for a in source))
        axes = [source.index(a) + 1 for a in (*kept, *gone)]
        axes.insert(len(kept), 0)
        joint = carried.reshape(shape).transpose(axes)
        joint = joint.reshape(cells[0], size, cells[1])
        given = self._given(index, kept, gone, fresh)
        after = (joint @ given).transpose(1, 0, 2)
        after = after.reshape(size, *(sizes[a] for a in (*kept, *fresh)))
        return after.transpose(0, *((*kept, *fresh).index(a) + 1 for a in target))

    def _given(self, index: int, kept: Clique, gone: Clique, fresh: Clique) -> Array:
        """Return P(fresh | kept, gone), of shape (cells of kept, of gone, of fresh)."""
        key = index, kept, gone, fresh
        table = self._tables.get(key)
        if table is None:
            sizes = self.tree.domain.sizes
            joint = self._table(index, (*kept, *gone, *fresh)).reshape(
                prod(sizes[a] for a in kept), prod(sizes[a] for a in gone), -1
            )
            mass = joint.sum(axis=2, keepdims=True)
            # Where the source has no mass the message is 0 too: any finite value will do.
            table = self._tables[key] = joint / np.where(mass > 0, mass, 1.0)
        return table

    def _table(self, index: int, attributes: Clique) -> Array:
        """Return the probabilities of some of a clique's attributes, axes in the order given."""
        clique = self.tree.cliques[index]
        summed = self.marginals[index].sum(
            axis=tuple(i for i, a in enumerate(clique) if a not in attributes)
        )
        left = [a for a in clique if a in attributes]
        return summed.transpose([left.index(a) for a in attributes])
