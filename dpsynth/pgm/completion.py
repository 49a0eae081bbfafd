"""Rows completed from a calibrated junction tree: each under its own evidence, exactly conditional.

`GraphicalModel.given` conditions a model once and samples many rows. Here every row has evidence of
its own (the attributes of its person, what came before it), on the same attributes, so that one
pass up and down the tree serves all rows: messages have a row for each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.grouping import mixed_radix
from dpsynth.pgm.inversion import drawn_from
from dpsynth.pgm.model import GraphicalModel

Codes: TypeAlias = NDArray[np.integer[Any]]
Weights: TypeAlias = NDArray[np.float64]

# Cells of the arrays of one chunk of rows: 2**22 doubles are 32 MiB.
_CHUNK_CELLS = 2**22


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """A clique of the tree, seen from rows in which some attributes are known.

    Args:
        known: its attributes with evidence.
        above: the others that its parent has too.
        own: the others that it has before all cliques below it.
        table: probabilities given the separator; a row for each combination of `known`, then an
            axis for each of `above` and `own`.
        parent: position of its parent; -1 for the root.
    """

    known: Clique
    above: Clique
    own: Clique
    table: Weights
    parent: int

    @property
    def free(self) -> Clique:
        return (*self.above, *self.own)


@final
class Completion:
    """Draws the unknown attributes of rows whose other attributes are known.

    A condition that the model gives no mass (a structural zero, a probability below the smallest
    float) is dropped, clique by clique: a row is drawn all the same.

    Args:
        model: the fitted model.
        known: attributes that have a code in every row, each once.

    Raises:
        UnknownNameError: an attribute that the model lacks.

    Reference: Koller & Friedman 2009, section 10.3.3.1 (incorporating evidence in a clique tree).
    """

    def __init__(self, model: GraphicalModel, known: Clique) -> None:
        self._domain = model.domain
        self._known = model.domain.canonical(known)
        self._parts = _parts(model, set(known))
        self._chunk = max(1, _CHUNK_CELLS // sum(prod(p.table.shape[1:]) for p in self._parts))

    def draw(
        self,
        rows: Codes,
        *,
        rng: np.random.Generator,
        allowed: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> Codes:
        """Return `rows` with the unknown attributes drawn; the given array is left as it is.

        Args:
            rows: n x attributes of the model's domain; columns that are not known are ignored.
            rng: source of the draws, one uniform number a row and clique.
            allowed: attribute that is not known -> which codes each row may have (n x codes); at
                least one each.

        Raises:
            InvalidValueError: `rows` of another width, or a mask of another shape.
        """
        masks = allowed or {}
        width = len(self._domain.attributes)
        if rows.ndim != 2 or rows.shape[1] != width:
            raise InvalidValueError("rows", rows.shape, f"of shape (n, {width})")
        for name, mask in masks.items():
            shape = len(rows), self._domain.sizes[name]
            if mask.shape != shape or not mask.any(axis=1).all():
                raise InvalidValueError(f"codes allowed for {name!r}", mask.shape, f"of {shape}")
        drawn = rows.copy()
        for start in range(0, len(rows), self._chunk):
            part = slice(start, start + self._chunk)
            self._draw(drawn[part], {name: mask[part] for name, mask in masks.items()}, rng)
        return drawn

    def _draw(
        self, rows: Codes, masks: Mapping[str, NDArray[np.bool_]], rng: np.random.Generator
    ) -> None:
        """Fill in a chunk of rows in place: messages towards the root, then draws away from it."""
        weights = [self._under_evidence(part, rows) for part in self._parts]
        for i in reversed(range(len(self._parts))):
            part = self._parts[i]
            weights[i] = _masked(weights[i], part, masks)
            if part.parent >= 0 and part.above:
                message = weights[i].reshape(*weights[i].shape[: 1 + len(part.above)], -1).sum(-1)
                host = self._parts[part.parent]
                weights[part.parent] *= _spread(message, part.above, host.free)
                _normalise(weights[part.parent])
        for part, weight in zip(self._parts, weights, strict=True):
            if part.own:
                self._fill(rows, part, weight, rng)

    def _under_evidence(self, part: _Part, rows: Codes) -> Weights:
        sizes = [self._domain.sizes[a] for a in part.known]
        return part.table[mixed_radix(rows, self._domain.axes(part.known), sizes)]

    def _fill(self, rows: Codes, part: _Part, weight: Weights, rng: np.random.Generator) -> None:
        """Draw the attributes that `part` has first, given those that its parent has too."""
        above = tuple(rows[:, i].astype(np.intp) for i in self._domain.axes(part.above))
        given = weight[(np.arange(len(rows)), *above)]
        shape = given.shape[1:]
        heights = np.cumsum(given.reshape(len(rows), -1), axis=1)
        drawn = np.unravel_index(drawn_from(heights, uniform=rng.random(len(rows))), shape)
        for axis, column in zip(self._domain.axes(part.own), drawn, strict=True):
            rows[:, axis] = column


def _parts(model: GraphicalModel, known: set[str]) -> list[_Part]:
    """Return the cliques of the model's tree, parents first, with conditional tables."""
    tree, found = model.tree, list[_Part]()
    for i, (clique, marginal) in enumerate(
        zip(tree.cliques, model.calibration.marginals, strict=True)
    ):
        separator = tree.separators[i]
        evidence = tuple(a for a in clique if a in known)
        above = tuple(a for a in separator if a not in known)
        own = tuple(a for a in clique if a not in known and a not in separator)
        outside = tuple(j for j, a in enumerate(clique) if a not in separator)
        mass = marginal.sum(axis=outside, keepdims=True)
        given = np.divide(marginal, mass, out=np.zeros_like(marginal), where=mass > 0)
        order = [clique.index(a) for a in (*evidence, *above, *own)]
        shape = [model.domain.sizes[a] for a in (*above, *own)]
        table = given.transpose(order).reshape(-1, *shape)
        dead = table.reshape(len(table), -1).sum(axis=1) <= 0
        table = np.where(dead.reshape(-1, *[1] * len(shape)), table.sum(axis=0), table)
        found.append(
            _Part(known=evidence, above=above, own=own, table=table, parent=tree.parents[i])
        )
    return found


def _masked(weight: Weights, part: _Part, masks: Mapping[str, NDArray[np.bool_]]) -> Weights:
    """Return weights without what is not allowed of the attributes that `part` has first."""
    for axis, name in enumerate(part.free):
        if name in part.own and name in masks:
            shape = [1] * weight.ndim
            shape[0], shape[1 + axis] = masks[name].shape
            mask = masks[name].reshape(shape)
            # Below any weight that a model has, above none: where nothing else is left, these are.
            weight = np.where(mask, np.maximum(weight, 1e-300), 0.0)
    return weight


def _spread(message: Weights, above: Clique, free: Clique) -> Weights:
    """Return a message over `above` with an axis for each of `free`, after the axis of rows."""
    order = sorted(range(len(above)), key=lambda i: free.index(above[i]))
    sizes = dict(zip(above, message.shape[1:], strict=True))
    shape = [sizes.get(a, 1) for a in free]
    return message.transpose(0, *(1 + i for i in order)).reshape(-1, *shape)


def _normalise(weight: Weights) -> None:
    """Divide each row by its largest weight, in place; a row without any gets equal ones."""
    largest = weight.reshape(len(weight), -1).max(axis=1).reshape(-1, *[1] * (weight.ndim - 1))
    weight /= np.where(largest > 0, largest, 1.0)
    np.copyto(weight, 1.0, where=largest <= 0)
