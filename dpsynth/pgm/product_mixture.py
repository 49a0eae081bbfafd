"""A mixture of product distributions: every 2-way marginal at once, and rows for any n."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import ContradictionError, InvalidValueError
from dpsynth.pgm.evidence import Evidence, likelihoods
from dpsynth.pgm.junction_tree import CELL_CEILING
from dpsynth.pgm.one_hot import OneHot
from dpsynth.pgm.sampling import draw, systematic_counts
from dpsynth.threads import one_thread


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ProductMixture:
    """Components within each of which attributes are independent.

    Args:
        domain: all attributes.
        total: expected number of records, above 0.
        components: probabilities, one row a component, columns as `OneHot` lays them out.
        weights: how probable each component is; None: all are equally probable.

    Raises:
        InvalidValueError: total not above 0, components or weights of the wrong shape, or numbers
            that are no probabilities.
    """

    domain: Domain
    total: float
    components: NDArray[np.float32]
    weights: NDArray[np.float64] | None = None

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
        weights = self._weights
        if weights.shape != shape[:1] or not (weights >= 0).all() or abs(weights.sum() - 1) > 1e-6:
            raise InvalidValueError("weights", weights.shape, "a probability for each component")

    @property
    def _weights(self) -> NDArray[np.float64]:
        count = len(self.components)
        return np.full(count, 1 / count) if self.weights is None else self.weights

    @one_thread()
    def pair_matrix(self) -> NDArray[np.float64]:
        """Return expected counts of all pairs of attributes, blocks as `OneHot` lays them out.

        Blocks of an attribute with itself are those of two independent draws from a component.
        """
        weighted = self.components
        if self.weights is not None:
            weighted = weighted * (len(weighted) * self.weights[:, None]).astype(np.float32)
        shares = weighted.T @ self.components / len(self.components)
        return self.total * shares.astype(np.float64)

    @one_thread()
    def marginal(self, attributes: Clique) -> NDArray[np.float64]:
        """Return expected counts of `attributes`, axes in the order given, summing to `total`.

        Raises:
            InvalidValueError: an attribute twice, or more than `CELL_CEILING` cells.
            UnknownNameError: an attribute that the domain lacks.
        """
        if len(set(attributes)) < len(attributes):
            raise InvalidValueError("attributes", attributes, "each named once")
        cells = self.domain.cells_of(attributes)
        if cells > CELL_CEILING:
            raise InvalidValueError("cells of the marginal", cells, f"at most {CELL_CEILING}")
        shape = [self.domain.sizes[a] for a in attributes]
        # The two halves in which a component's cells are multiplied out are as small as can be.
        half = min(range(len(shape) + 1), key=lambda i: prod(shape[:i]) + prod(shape[i:]))
        first, last = self._cells(attributes[:half]), self._cells(attributes[half:])
        return self.total * ((first * self._weights[:, None]).T @ last).reshape(shape)

    def _cells(self, attributes: Clique) -> NDArray[np.float64]:
        """Return the probabilities of the cells of `attributes`, one row a component."""
        columns, found = OneHot(domain=self.domain).columns, np.ones((len(self.components), 1))
        for attribute in attributes:
            own = self.components[:, columns[attribute]].astype(np.float64)
            own /= own.sum(axis=1, keepdims=True)
            found = (found[:, :, None] * own[:, None, :]).reshape(len(own), -1)
        return found

    def given(self, evidence: Evidence) -> "ProductMixture":
        """Return the mixture of the records in which some attributes have the codes of `evidence`.

        Given the evidence a component is a product still, and as probable as it makes the
        evidence. The total is the expected number of such records.

        Args:
            evidence: as of `GraphicalModel.given`; errors too.
        """
        columns = OneHot(domain=self.domain).columns
        components = self.components.astype(np.float64)
        with np.errstate(divide="ignore"):
            log_weights = np.log(self._weights)
            for attribute, values in likelihoods(self.domain, evidence).items():
                own = components[:, columns[attribute]]
                kept = own * values
                mass = kept.sum(axis=1, keepdims=True)
                log_weights += np.log(mass[:, 0] / own.sum(axis=1))
                # A component without mass keeps its law: no row will come from it.
                np.divide(kept, mass, out=own, where=mass > 0)
        peak = float(log_weights.max())
        if peak == -np.inf:
            raise ContradictionError(
                f"evidence on {', '.join(map(repr, evidence))}",
                "no record that the model allows has these codes",
            )
        weights = np.exp(log_weights - peak)
        share = min(1.0, float(weights.sum() * np.exp(peak)))
        return ProductMixture(
            domain=self.domain,
            total=max(self.total * share, float(np.finfo(np.float64).tiny)),
            components=components.astype(np.float32),
            weights=weights / weights.sum(),
        )

    def sample(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        """Return `n` rows of codes (n x attributes), in the smallest unsigned dtype that fits.

        Each component gets its share of the rows, rounded down or up; each shares the values of a
        column out by systematic sampling.

        Raises:
            InvalidValueError: n below 1.
        """
        if n < 1:
            raise InvalidValueError("n", n, "at least 1")
        layout, shape = OneHot(domain=self.domain), self.domain.shape
        if self.weights is None:
            # A permutation, repeated: every component occurs n // K or n // K + 1 times.
            order = np.resize(rng.permutation(len(self.components)), n)
        else:
            counts = systematic_counts(self.weights[None, :], np.array([n]), rng=rng)
            order = np.repeat(np.arange(counts.size), counts[0])
        rows = np.empty((n, len(shape)), dtype=np.min_scalar_type(max(shape) - 1), order="F")
        for i, columns in enumerate(layout.columns.values()):
            shares = self.components[:, columns].astype(np.float64)
            rows[:, i] = draw(order, shares, rng=rng)
        return rows[rng.permutation(n)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return total and components, for `from_arrays`."""
        found = {"total": np.array(self.total), "components": self.components}
        return found if self.weights is None else {**found, "weights": self.weights}

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
            weights=arrays.get("weights"),
        )
