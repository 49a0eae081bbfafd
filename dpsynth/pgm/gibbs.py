"""A code of a row drawn anew from the model, given the other codes of the row."""

from dataclasses import dataclass
from math import prod
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.pgm.inversion import drawn_from
from dpsynth.pgm.model import GraphicalModel

Codes = NDArray[np.integer[Any]]

# Entries of the tables of weights that are held at a time.
_ENTRIES = 2**17


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Gibbs:
    """One attribute of rows at a time, by its conditional law under a model.

    An attribute that groups the codes of another one has no choice, given that one, and leaves it
    hardly any: it follows, and is drawn with it.

    Args:
        model: the distribution.
        followers: for each of the first attributes those that follow it, as axis -> the code that
            goes with each of its codes.

    Reference: Geman & Geman 1984, section VI (the Gibbs sampler).
    """

    model: GraphicalModel
    followers: tuple[dict[int, NDArray[np.intp]], ...]

    @classmethod
    def of(cls, model: GraphicalModel, *, attributes: int) -> "Gibbs":
        """Return one in which all attributes after the first ones follow where they can.

        Args:
            model: the distribution.
            attributes: number of those that are drawn, the first of the model's.
        """
        followers: tuple[dict[int, NDArray[np.intp]], ...] = tuple({} for _ in range(attributes))
        for axis in range(attributes, len(model.domain.attributes)):
            found = _leader(model, axis, attributes=attributes)
            if found is not None:
                leader, codes = found
                followers[leader][axis] = codes
        return cls(model=model, followers=followers)

    def drawn(self, rows: Codes, axis: int, *, rng: np.random.Generator) -> Codes:
        """Return for each row a code of the attribute at `axis`; the rows stay as they are.

        Args:
            rows: codes of all attributes.
            axis: which attribute.
            rng: source of the codes.
        """
        found = rows[:, axis].copy()
        step = max(1, _ENTRIES // self.model.domain.shape[axis])
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            weights = self._log_weights(part, axis)
            with np.errstate(invalid="ignore"):  # rows that the model gives no weight at all
                shares = np.exp(weights - weights.max(axis=1, keepdims=True)).cumsum(axis=1)
            codes = drawn_from(shares, uniform=rng.random(len(part)))
            possible = np.isfinite(weights[np.arange(len(part)), codes])
            np.copyto(found[start : start + step], codes, where=possible, casting="unsafe")
        return found

    def write(self, rows: Codes, at: NDArray[np.intp], axis: int, codes: Codes) -> None:
        """Give the rows `at` these codes of an attribute, and what follows from them."""
        rows[at, axis] = codes
        for follower, of in self.followers[axis].items():
            rows[at, follower] = of[codes]

    def _log_weights(self, rows: Codes, axis: int) -> NDArray[np.float64]:
        """Return the log-weight of each code of an attribute in each row, up to a constant."""
        sizes = self.model.domain.shape
        moving = {axis: np.arange(sizes[axis]), **self.followers[axis]}
        found = np.zeros((len(rows), sizes[axis]))
        for clique, potential in zip(self.model.cliques, self.model.potentials, strict=True):
            axes = self.model.domain.axes(clique)
            if not moving.keys() & set(axes):
                continue
            fixed, shift = np.zeros(len(rows), dtype=np.intp), np.zeros(sizes[axis], dtype=np.intp)
            for place, column in enumerate(axes):
                stride = prod(potential.shape[place + 1 :])
                if column in moving:
                    shift += moving[column] * stride
                else:
                    fixed += rows[:, column].astype(np.intp) * stride
            found += potential.ravel()[fixed[:, None] + shift]
        return found


def _leader(
    model: GraphicalModel, axis: int, *, attributes: int
) -> tuple[int, NDArray[np.intp]] | None:
    """Return an attribute whose code leaves that of another one no choice, and which it is.

    Args:
        model: its structural zeros decide.
        axis: of the other one.
        attributes: number of those that may lead, the first of the model's; `axis` is after them.
    """
    for clique, potential in zip(model.cliques, model.potentials, strict=True):
        axes = model.domain.axes(clique)
        if axis not in axes:
            continue
        for leader in (a for a in axes if a < attributes):
            gone = tuple(i for i, a in enumerate(axes) if a not in (leader, axis))
            possible = np.isfinite(potential).any(axis=gone)
            if (possible.sum(axis=1) == 1).all():
                return leader, possible.argmax(axis=1)
    return None
