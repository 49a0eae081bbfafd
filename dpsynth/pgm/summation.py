"""Sums of one array over many sets of its axes, by way of intermediate sums that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Node:
    """An intermediate sum.

    Args:
        attributes: its axes, in the order of memory.
        parent: index of the node that it is a sum of; -1 for the clique's own array.
        shape: the parent's cells as (before, summed over, after).
    """

    attributes: Clique
    parent: int
    shape: tuple[int, int, int]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Summation:
    """A plan that sums an array over its axes once for all targets that lack them.

    Summed one by one, each target would cost a pass over the whole array. In memory the longest
    axis comes last, so that sums run along long rows.

    Args:
        sizes: of the attributes.
        clique: axes of the array, as callers see them.
        targets: subsets of the clique; axes in the order wanted.
        nodes: every node after its parent, the array itself first.
        places: the node of each target.
    """

    sizes: Mapping[str, int]
    clique: Clique
    targets: tuple[Clique, ...]
    nodes: tuple[Node, ...]
    places: tuple[int, ...]

    @classmethod
    def plan(
        cls, sizes: Mapping[str, int], clique: Clique, targets: Sequence[Clique]
    ) -> "Summation":
        """Return a plan for `targets`, found greedily.

        At each node the axis goes first whose sum saves most work: that with the most cells among
        as many targets as possible.
        """
        order = tuple(sorted(clique, key=lambda a: sizes[a]))
        nodes = [Node(attributes=order, parent=-1, shape=(1, 1, prod(sizes[a] for a in order)))]
        places = [0] * len(targets)
        members = [frozenset(target) for target in targets]
        pending = [(0, list(range(len(targets))))]
        while pending:
            here, asked = pending.pop()
            attributes = nodes[here].attributes
            for i in asked:
                places[i] = here
            left = [i for i in asked if len(members[i]) < len(attributes)]
            while left:
                first, last, lacking = _run(attributes, [(i, members[i]) for i in left], sizes)
                groups = attributes[:first], attributes[first:last], attributes[last:]
                before, gone, after = (prod(sizes[a] for a in group) for group in groups)
                pending.append((len(nodes), lacking))
                rest = groups[0] + groups[2]
                nodes.append(Node(attributes=rest, parent=here, shape=(before, gone, after)))
                served = set(lacking)
                left = [i for i in left if i not in served]
        return cls(
            sizes=sizes,
            clique=clique,
            targets=tuple(targets),
            nodes=tuple(nodes),
            places=tuple(places),
        )

    def sums(self, array: Array) -> list[Array]:
        """Return the sums of `array` for all targets."""
        found = [np.ascontiguousarray(_reordered(array, self.clique, self.nodes[0].attributes))]
        for node in self.nodes[1:]:
            found.append(found[node.parent].reshape(node.shape).sum(axis=1))
        return [
            _reordered(self._shaped(found[place], place), self.nodes[place].attributes, target)
            for place, target in zip(self.places, self.targets, strict=True)
        ]

    def spread(self, parts: Sequence[Array]) -> Array:
        """Return the array to each of whose cells every target contributes its cell's part.

        This is the transpose of `sums`.
        """
        totals = [np.zeros([self.sizes[a] for a in node.attributes]) for node in self.nodes]
        for place, target, part in zip(self.places, self.targets, parts, strict=True):
            totals[place] += _reordered(part, target, self.nodes[place].attributes)
        for i in range(len(self.nodes) - 1, 0, -1):
            before, gone, after = self.nodes[i].shape
            parent = totals[self.nodes[i].parent].reshape(before, gone, after)
            parent += totals[i].reshape(before, 1, after)
        return _reordered(totals[0], self.nodes[0].attributes, self.clique)

    def _shaped(self, flat: Array, place: int) -> Array:
        return flat.reshape([self.sizes[a] for a in self.nodes[place].attributes])


def _run(
    attributes: Clique, targets: Sequence[tuple[int, frozenset[str]]], sizes: Mapping[str, int]
) -> tuple[int, int, list[int]]:
    """Return where to sum next, as a range of axes, and the targets that lack all of them."""
    lacking = [[i for i, members in targets if a not in members] for a in attributes]
    gains = [len(t) * (1 - 1 / sizes[a]) for a, t in zip(attributes, lacking, strict=True)]
    # Among axes of one code a gain is 0; then the number of targets decides.
    first = max(range(len(attributes)), key=lambda i: (gains[i], len(lacking[i]), -i))
    last = first + 1
    while last < len(attributes) and lacking[last] == lacking[first]:
        last += 1
    return first, last, lacking[first]


def _reordered(array: Array, before: Clique, after: Clique) -> Array:
    return array.transpose([before.index(a) for a in after])
