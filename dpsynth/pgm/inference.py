"""Belief propagation on a junction tree: exact marginals of a model given by log-potentials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import ContradictionError, InvalidValueError
from dpsynth.pgm.cliques import covering
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.summation import Summation

Arrays = list[NDArray[np.float64]]
Aggregate = Callable[[NDArray[np.float64], tuple[int, ...]], NDArray[np.float64]]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Exact answers about one model.

    Args:
        marginals: probabilities of the cells of each clique of the tree; each array sums to 1.
        log_partition: log of the sum of the exponentiated potentials over the full domain; minus
            infinity where every cell is impossible, and then the marginals mean nothing.
    """

    marginals: Arrays
    log_partition: float


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Propagator:
    """Calibrates potentials on `tree`; holds only the axes and shapes, worked out once."""

    tree: JunctionTree

    @cached_property
    def _own_axes(self) -> list[tuple[int, ...]]:
        """Axes of each clique that its parent lacks."""
        pairs = zip(self.tree.cliques, self.tree.separators, strict=True)
        return [tuple(i for i, a in enumerate(c) if a not in s) for c, s in pairs]

    @cached_property
    def _parent_axes(self) -> list[tuple[int, ...]]:
        """Axes of each clique's parent that the clique lacks; empty for the root."""
        cliques, separators = self.tree.cliques, self.tree.separators
        parents = [cliques[p] if p >= 0 else () for p in self.tree.parents]
        return [
            tuple(i for i, a in enumerate(parent) if a not in separator)
            for parent, separator in zip(parents, separators, strict=True)
        ]

    @cached_property
    def _parent_shapes(self) -> list[tuple[int, ...]]:
        """Shape in which a clique's message broadcasts over its parent."""
        sizes, cliques = self.tree.domain.sizes, self.tree.cliques
        return [
            tuple(sizes[a] if a in separator else 1 for a in (cliques[p] if p >= 0 else ()))
            for p, separator in zip(self.tree.parents, self.tree.separators, strict=True)
        ]

    @cached_property
    def _separator_shapes(self) -> list[tuple[int, ...]]:
        """Shape in which a parent's message broadcasts over the clique."""
        sizes = self.tree.domain.sizes
        pairs = zip(self.tree.cliques, self.tree.separators, strict=True)
        return [tuple(sizes[a] if a in s else 1 for a in c) for c, s in pairs]

    def calibrate(self, potentials: Sequence[NDArray[np.float64]]) -> Calibration:
        """Return the marginals of the distribution proportional to exp(sum of `potentials`).

        Messages to the root are log-sum-exp; what they leave in each clique is its distribution
        given the separator, so the way back only multiplies probabilities: one exponential a cell,
        no division by a separator's probability, and no 0/0 however small a probability is.
        A potential of minus infinity is a structural zero: its cell gets probability 0, exactly.

        Args:
            potentials: one array a clique of the tree, in its order, axes in the domain's order;
                finite or minus infinity.

        Reference: Shenoy & Shafer 1990; Koller & Friedman 2009, section 10.2.
        """
        return self.calibrate_in_place([np.array(p, dtype=np.float64) for p in potentials])

    def calibrate_in_place(self, beliefs: Arrays) -> Calibration:
        """Return what `calibrate` returns, made in the arrays given instead of copies of them."""
        message = self._collect(beliefs, _condition)
        for i, parent in enumerate(self.tree.parents):
            if parent >= 0:
                above = np.add.reduce(beliefs[parent], axis=self._parent_axes[i])
                beliefs[i] *= above.reshape(self._separator_shapes[i])
        return Calibration(marginals=beliefs, log_partition=message)

    def maximum(self, potentials: Sequence[NDArray[np.float64]]) -> float:
        """Return the largest sum of `potentials` over the cells of the full domain (max-sum).

        It is minus infinity exactly when structural zeros leave no cell.
        """
        return self._collect([np.array(p, dtype=np.float64) for p in potentials], _maximise)

    def support(self, potentials: Sequence[NDArray[np.float64]]) -> list[NDArray[np.bool_]]:
        """Return for each clique which of its cells a record can be in.

        A cell is also impossible when every cell of the full domain inside it has a zero in another
        clique. Unlike a probability, this cannot underflow.

        Args:
            potentials: as of `calibrate`; only where they are minus infinity matters.
        """
        beliefs: Arrays = [np.where(np.isneginf(p), -np.inf, 0.0) for p in potentials]
        self._collect(beliefs, _maximise)
        for i, parent in enumerate(self.tree.parents):
            if parent >= 0:
                above = beliefs[parent].max(axis=self._parent_axes[i])
                beliefs[i] += above.reshape(self._separator_shapes[i])
        return [belief == 0 for belief in beliefs]

    def _collect(self, beliefs: Arrays, aggregate: Aggregate) -> float:
        """Send messages to the root and return the root's own.

        Args:
            beliefs: the potentials, one array a clique; each gets its children's messages added.
            aggregate: reduces a clique's array over the axes that its parent lacks, and may leave
                something in it.
        """
        for i in range(len(beliefs) - 1, 0, -1):
            message = aggregate(beliefs[i], self._own_axes[i])
            beliefs[self.tree.parents[i]] += message.reshape(self._parent_shapes[i])
        return float(aggregate(beliefs[0], self._own_axes[0]).item())


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Oracle:
    """Potentials of a model's own cliques in, marginals of the same cliques out.

    A clique of the tree may be larger than those of the model (fill-in) or hold several of them,
    so each of the model's cliques has a host in the tree.

    Args:
        tree: a junction tree that covers `cliques`.
        cliques: the model's cliques, in the domain's attribute order.
    """

    tree: JunctionTree
    cliques: tuple[Clique, ...]

    @cached_property
    def propagator(self) -> Propagator:
        """Belief propagation on the tree."""
        return Propagator(tree=self.tree)

    @cached_property
    def _plans(self) -> list[tuple[Summation, list[int]]]:
        """For each clique of the tree how it is summed, and the indices of the cliques it hosts."""
        hosted: list[list[int]] = [[] for _ in self.tree.cliques]
        for index, host in enumerate(_hosts(self.tree.domain, self.tree.cliques, self.cliques)):
            hosted[host].append(index)
        sizes = self.tree.domain.sizes
        return [
            (Summation.plan(sizes, clique, [self.cliques[i] for i in members]), members)
            for clique, members in zip(self.tree.cliques, hosted, strict=True)
        ]

    def calibrate(self, potentials: Sequence[NDArray[np.float64]]) -> Calibration:
        """Return the marginals of all cliques of the tree."""
        return self.propagator.calibrate_in_place(self.spread(potentials))

    def spread(self, potentials: Sequence[NDArray[np.float64]]) -> Arrays:
        """Return the potentials of the tree's cliques that add up to `potentials`."""
        return [plan.spread([potentials[i] for i in members]) for plan, members in self._plans]

    def project(self, calibration: Calibration) -> Arrays:
        """Return the probabilities of the model's cliques."""
        return self._sums(calibration.marginals)

    def support(self, base: Sequence[NDArray[np.float64]]) -> list[NDArray[np.bool_]]:
        """Return for each of the model's cliques which of its cells a record can be in.

        Args:
            base: log-weights of the tree's cliques.

        Raises:
            ContradictionError: structural zeros leave no cell of the full domain.
        """
        support = self.propagator.support(base)
        if not support[0].any():
            raise ContradictionError("structural zeros", "they leave no possible record")
        return [count > 0 for count in self._sums([s.astype(np.float64) for s in support])]

    def _sums(self, arrays: Sequence[NDArray[np.float64]]) -> Arrays:
        """Return the sums over the model's cliques of one array a clique of the tree."""
        found: Arrays = []
        for (plan, _), array in zip(self._plans, arrays, strict=True):
            found += plan.sums(array)
        return [found[place] for place in self._places]

    @cached_property
    def _places(self) -> list[int]:
        """For each of the model's cliques its place among all that the tree's cliques host."""
        order = [index for _, members in self._plans for index in members]
        return [order.index(index) for index in range(len(self.cliques))]


def fold(
    domain: Domain,
    hosts: Sequence[Clique],
    cliques: Sequence[Clique],
    potentials: Sequence[NDArray[np.float64]],
) -> Arrays:
    """Return potentials of `hosts` that add up to `potentials` of `cliques`.

    Args:
        domain: sizes of the attributes.
        hosts: each of `cliques` lies inside one; axes in the domain's order, as of `cliques`.
        cliques: where the potentials are.
        potentials: one array a clique.

    Raises:
        InvalidValueError: a clique inside no host.
    """
    arrays = [np.zeros(domain.project(host).shape) for host in hosts]
    places = _hosts(domain, hosts, cliques)
    for clique, potential, host in zip(cliques, potentials, places, strict=True):
        shape = [domain.sizes[a] if a in clique else 1 for a in hosts[host]]
        arrays[host] += potential.reshape(shape)
    return arrays


def _hosts(domain: Domain, hosts: Sequence[Clique], cliques: Sequence[Clique]) -> list[int]:
    """Return for each of `cliques` the index of the smallest host that contains it."""
    found: list[int] = []
    for clique in cliques:
        host = covering(domain, hosts, clique)
        if host is None:
            raise InvalidValueError("cliques", clique, "inside a clique of the tree or the model")
        found.append(host)
    return found


def split(
    domain: Domain, cliques: Sequence[Clique], flat: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Return views of `flat`, one a clique, in its shape.

    Raises:
        InvalidValueError: `flat` has another length than the cliques have cells.
    """
    shapes = [domain.project(clique).shape for clique in cliques]
    cells = sum(prod(shape) for shape in shapes)
    if flat.shape != (cells,):
        raise InvalidValueError("potentials", flat.shape, f"of shape ({cells},)")
    found: list[NDArray[np.float64]] = []
    start = 0
    for shape in shapes:
        found.append(flat[start : start + prod(shape)].reshape(shape))
        start += prod(shape)
    return found


def _condition(belief: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the log-sum-exp over `axes`; leave the probabilities given the other axes.

    Where all cells are impossible the log-sum-exp is minus infinity and zeros are left.
    """
    # The ufuncs themselves, since on small arrays `max` and `sum` cost more than they compute.
    peak = np.maximum.reduce(belief, axis=axes, keepdims=True)
    impossible = np.isneginf(peak)
    zeros = impossible.any()
    if zeros:
        peak[impossible] = 0.0  # minus infinity less itself would be nan
    belief -= peak
    np.exp(belief, out=belief)
    # At least 1 where a cell is possible: the peak itself contributes exp(0).
    mass = np.add.reduce(belief, axis=axes, keepdims=True)
    if zeros:
        mass[impossible] = 1.0
    belief /= mass
    message = np.log(mass) + peak
    if zeros:
        message[impossible] = -np.inf
    return message


def _maximise(belief: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    return belief.max(axis=axes, keepdims=True)
