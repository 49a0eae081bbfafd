"""The layout in which all attributes stand side by side: one column a code of an attribute."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Domain

Float = TypeVar("Float", bound=np.floating[Any])


@final
@dataclass(frozen=True, kw_only=True)
class OneHot:
    """Columns for the codes of every attribute of `domain`, attribute after attribute.

    The product of such a matrix with itself holds every 2-way marginal as a block.
    """

    domain: Domain

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """The first column of each attribute."""
        return np.cumsum([0, *self.domain.shape[:-1]])

    @cached_property
    def owner(self) -> NDArray[np.intp]:
        """The index of the attribute of each column."""
        return np.repeat(np.arange(len(self.domain.shape)), self.domain.shape)

    @cached_property
    def columns(self) -> dict[str, slice]:
        """The columns of each attribute."""
        ends = self.starts + self.domain.shape
        pairs = zip(self.domain.attributes, self.starts, ends, strict=True)
        return {a: slice(int(start), int(end)) for a, start, end in pairs}

    @property
    def width(self) -> int:
        """The number of columns."""
        return sum(self.domain.shape)

    @cached_property
    def beside(self) -> NDArray[np.bool_]:
        """Which entries of a width x width matrix belong to two different attributes."""
        return self.owner[:, None] != self.owner[None, :]

    def block_sums(self, matrix: NDArray[Float]) -> NDArray[Float]:
        """Return a matrix as `matrix`, each entry the sum of its row within its attribute."""
        return np.add.reduceat(matrix, self.starts, axis=1)[:, self.owner]

    def softmax(self, logits: NDArray[Float]) -> NDArray[Float]:
        """Return, row by row, the probabilities of each attribute's codes."""
        largest = np.maximum.reduceat(logits, self.starts, axis=1)[:, self.owner]
        weights = np.exp(logits - largest)
        weights /= self.block_sums(weights)
        return weights

    def encode(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Return rows of zeros and ones for n x d integer `codes`."""
        found = np.zeros((len(codes), self.width))
        rows = np.arange(len(codes))[:, None]
        found[rows, self.starts[None, :] + codes.astype(np.intp)] = 1.0
        return found
