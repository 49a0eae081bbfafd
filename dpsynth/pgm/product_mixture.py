"""A mixture of product distributions: every 2-way marginal at once, and rows for any n."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.one_hot import OneHot
from dpsynth.pgm.sampling import draw
from dpsynth.threads import one_thread


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ProductMixture:
    """Components of equal weight; within each, attributes are independent.

    Args:
        domain: all attributes.
        total: expected number of records, above 0.
        components: probabilities, one row a component, columns as `OneHot` lays them out.

    Raises:
        InvalidValueError: total not above 0, components of the wrong shape, or numbers that are no
            probabilities.
    """

    domain: Domain
    total: float
    components: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not (isfinite(self.total) and self.total > 0):
            raise InvalidValueError("total", self.total, "a finite number above 0")
        layout, shape = OneHot(domain=self.domain), self.components.shape
        if len(shape) != 2 or not shape[0] or shape[1] != layout.width:
            raise InvalidValueError("components", shape, f"rows of {layout.width} probabilities")
        if not (self.components >= 0).all():
            raise InvalidValueError("components", float(self.components.min()), "at least 0")
        sums = np.add.reduceat(self.components, layout.starts, axis=1)
        if not np.allclose(sums, 1.0, atol=1e-4):
            worst = sums.flat[np.abs(sums - 1).argmax()]
            raise InvalidValueError("sum of the probabilities", float(worst), "1")

    @one_thread()
    def pair_matrix(self) -> NDArray[np.float64]:
        """Return expected counts of all pairs of attributes, blocks as `OneHot` lays them out.

        Blocks of an attribute with itself are those of two independent draws from a component.
        """
        shares = self.components.T @ self.components / len(self.components)
        return self.total * shares.astype(np.float64)

    def sample(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        """Return `n` rows of codes (n x attributes), in the smallest unsigned dtype that fits.

        Components get equally many rows, but for a rest that goes to some of them; each shares
        the values of a column out by systematic sampling.

        Raises:
            InvalidValueError: n below 1.
        """
        if n < 1:
            raise InvalidValueError("n", n, "at least 1")
        layout, shape = OneHot(domain=self.domain), self.domain.shape
        # A permutation, repeated: every component occurs n // K or n // K + 1 times.
        order = np.resize(rng.permutation(len(self.components)), n)
        rows = np.empty((n, len(shape)), dtype=np.min_scalar_type(max(shape) - 1), order="F")
        for i, columns in enumerate(layout.columns.values()):
            shares = self.components[:, columns].astype(np.float64)
            rows[:, i] = draw(order, shares, rng=rng)
        return rows[rng.permutation(n)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return total and components, for `from_arrays`."""
        return {"total": np.array(self.total), "components": self.components}

    @classmethod
    def from_arrays(cls, domain: Domain, arrays: Mapping[str, NDArray[Any]]) -> "ProductMixture":
        """Rebuild the mixture that `arrays` came from; its samples are identical.

        Raises:
            InvalidValueError: arrays that do not fit `domain`.
        """
        return cls(
            domain=domain,
            total=float(arrays["total"]),
            components=np.asarray(arrays["components"], dtype=np.float32),
        )
