"""A noisy marginal: what a curator releases and what estimation consumes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, pi, prod, sqrt
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError

MEAN_SIZE = sqrt(2 / pi)
"""E|noise| of a Gaussian over its standard deviation; close enough for Laplace (0.71)."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NoisyMarginal:
    """Noisy counts of one clique.

    Args:
        clique: attributes, in the order of the axes of `values`.
        values: counts plus noise, one axis an attribute, in records.
        sigma: standard deviation of the noise in each cell, in records; public.
    """

    clique: Clique
    values: NDArray[np.float64]
    sigma: float

    def __post_init__(self) -> None:
        if self.values.ndim != len(self.clique):
            raise InvalidValueError(
                "values", self.values.shape, f"an array with one axis for each of {self.clique}"
            )
        if not (isfinite(self.sigma) and self.sigma > 0):
            raise InvalidValueError("sigma", self.sigma, "a finite number above 0")


def measurement_arrays(
    domain: Domain, measurements: Sequence[NoisyMarginal]
) -> dict[str, NDArray[Any]]:
    """Return measurements as plain arrays, for `measurements_from`."""
    widest = max((len(m.clique) for m in measurements), default=0)
    axes = [[*domain.axes(m.clique), *[-1] * (widest - len(m.clique))] for m in measurements]
    values = [m.values.ravel() for m in measurements]
    return {
        "measured": np.array(axes, dtype=np.int64).reshape(len(measurements), widest),
        "measured_values": np.concatenate(values) if values else np.empty(0),
        "measured_sigmas": np.array([m.sigma for m in measurements], dtype=np.float64),
    }


def measurements_from(
    domain: Domain, arrays: Mapping[str, NDArray[Any]]
) -> tuple[NoisyMarginal, ...]:
    """Return the measurements that `arrays` came from.

    Raises:
        InvalidValueError: arrays that do not fit `domain` or one another.
    """
    table, sigmas = np.asarray(arrays["measured"]), np.asarray(arrays["measured_sigmas"])
    flat = np.asarray(arrays["measured_values"], dtype=np.float64)
    names = domain.attributes
    fits = table.ndim == 2 and sigmas.shape == (len(table),) and table.dtype.kind == "i"
    if not (fits and ((table >= -1) & (table < len(names))).all()):
        raise InvalidValueError("measured", table.shape, "one row of axes for each sigma")
    cliques = [tuple(names[axis] for axis in row if axis >= 0) for row in table]
    shapes = [tuple(domain.sizes[a] for a in clique) for clique in cliques]
    sizes = [prod(shape) for shape in shapes]
    if flat.shape != (sum(sizes),) or not np.isfinite(flat).all():
        raise InvalidValueError("measured_values", flat.shape, f"{sum(sizes)} finite numbers")
    parts = np.split(flat, np.cumsum(sizes)[:-1]) if sizes else []
    return tuple(
        NoisyMarginal(clique=clique, values=part.reshape(shape), sigma=float(sigma))
        for clique, part, shape, sigma in zip(cliques, parts, shapes, sigmas, strict=True)
    )
