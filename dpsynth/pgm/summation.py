"""Sums of one array over many sets of its axes, by way of intermediate sums that they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
        found = [np.ascontiguousarray(array.transpose(self._inwards))]
        for node in self.nodes[1:]:
            found.append(np.add.reduce(found[node.parent].reshape(node.shape), axis=1))
        return [
            found[place].reshape(self._shapes[place]).transpose(axes)
            for place, axes in zip(self.places, self._out_of_nodes, strict=True)
        ]

    def spread(self, parts: Sequence[Array]) -> Array:
        """Return the array to each of whose cells every target contributes its cell's part.

        This is the transpose of `sums`.
        """
        totals = [np.zeros(shape) for shape in self._shapes]
        for place, axes, part in zip(self.places, self._into_nodes, parts, strict=True):
            totals[place] += part.transpose(axes)
        for i in range(len(self.nodes) - 1, 0, -1):
            before, gone, after = self.nodes[i].shape
            parent = totals[self.nodes[i].parent].reshape(before, gone, after)
            parent += totals[i].reshape(before, 1, after)
        return totals[0].transpose(self._outwards)

    # A fit sums thousands of times, of small arrays often: what does not change is worked out once.

    @cached_property
    def _shapes(self) -> list[tuple[int, ...]]:
        return [tuple(self.sizes[a] for a in node.attributes) for node in self.nodes]

    @cached_property
    def _inwards(self) -> list[int]:
        return _order(self.clique, self.nodes[0].attributes)

    @cached_property
    def _outwards(self) -> list[int]:
        return _order(self.nodes[0].attributes, self.clique)

    @cached_property
    def _out_of_nodes(self) -> list[list[int]]:
        places = zip(self.places, self.targets, strict=True)
        return [_order(self.nodes[place].attributes, target) for place, target in places]

    @cached_property
    def _into_nodes(self) -> list[list[int]]:
        places = zip(self.places, self.targets, strict=True)
        return [_order(target, self.nodes[place].attributes) for place, target in places]


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


def _order(before: Clique, after: Clique) -> list[int]:
    """Return the permutation of axes that takes the order `before` to `after`."""
    return [before.index(a) for a in after]
