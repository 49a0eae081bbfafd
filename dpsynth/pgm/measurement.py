"""A noisy marginal: what a curator releases and what estimation consumes."""

from dataclasses import dataclass
from math import isfinite, pi, sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.domain import Clique
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
