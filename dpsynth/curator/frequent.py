"""Values that enough records share, out of a set that nobody declared: partition selection."""

from dataclasses import dataclass, replace
from math import ceil, log, sqrt
from typing import final

# pyright: reportMissingTypeStubs=false
import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.pricing import Pricing
from dpsynth.curator.queries import CELL_CEILING, ROW_CEILING, MarginalQuery
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.events import GaussianEvent, LaplaceEvent


@final
@dataclass(frozen=True, kw_only=True)
class FrequentValues:
    """Which values of a column occur often, and about how often.

    Each value that occurs gets its noisy count, and those above a threshold are released.

    Sensitivity: fix two neighbours, and let C be the values that occur in both. Restricted to C the
    answer is post-processing of a noisy histogram, of L2 sensitivity k under ADD_REMOVE and k
    sqrt(2) under REPLACE (L1: k and 2k), as a marginal's. A value outside C occurs in one table
    only, all of its at most k rows belong to the unit that differs, and there are at most k such
    values a table; each is released with probability at most Pr[k + noise >= threshold]. Let P be
    the law of the answer and P' its restriction to C. Noise of each value is drawn on its own, so
    that whether any value outside C is released is independent of the rest: P(S) >= Pr[none is]
    P'(S) for all sets S of answers, and none is with probability at least 1 - k Pr[k + noise >=
    threshold]. That is what is asked of an answer that fails with k times that probability
    (`privacy.failure`); it is the event's `failure`.
    Cost: one Gaussian (or Laplace) event, and its failure, which delta pays once if a part of it is
    set aside; else as an arbitrary distance, 1 + exp(epsilon) times.

    Args:
        sigma: standard deviation of the noise of each count, in records.
        failure: the probability to allow, in (0, 1).

    Raises:
        InvalidValueError: a probability outside its range.

    Reference: Korolova, Kenthapadi, Mishra & Ntoulas 2009, Theorem 1; Desfontaines, Voss, Gipson &
        Mandayam 2022 (partition selection).
    """

    sigma: float
    failure: float

    def __post_init__(self) -> None:
        if not 0 < self.failure < 1:
            raise InvalidValueError("failure", self.failure, "above 0 and below 1")

    def event(self, pricing: Pricing) -> GaussianEvent | LaplaceEvent:
        """Return what is charged; as if every record that there may be had a value of its own."""
        name = "value"
        shape = replace(pricing, domain=Domain(sizes={name: CELL_CEILING}))
        event = shape.event(MarginalQuery(clique=(name,)), self.sigma)
        # Distances of draws add up: those of the largest histogram are as many times in the most
        # records as its cells are.
        drawn = event.sampling_distance * -(-ROW_CEILING // CELL_CEILING)
        return replace(event, sampling_distance=drawn, failure=self.failure)

    def threshold(self, pricing: Pricing) -> int:
        """Return the least noisy count that is released, in records.

        Integer noise is at least t with at most the probability that continuous noise of the same
        spread is at least t - 1 (Canonne, Kamath & Steinke 2020, Proposition 25, for the discrete
        Gaussian; rounding moves by 1/2; the discrete Laplace tail exp(-t/b) / (1 + exp(-1/b)) is
        below exp(-(t - 1)/b) / 2), so one record more covers every law.
        """
        from scipy.special import ndtri

        rows = pricing.accountant.budget.max_rows_per_unit
        each = self.failure / rows
        if pricing.laplace:
            beyond = self.sigma / sqrt(2.0) * max(0.0, -log(2.0 * each))
        else:
            beyond = self.sigma * max(0.0, -float(ndtri(each)))
        return rows + 1 + ceil(beyond * (1.0 + 1e-9))

    def released(
        self, counts: NDArray[np.int64], noise: NDArray[np.float64], pricing: Pricing
    ) -> NDArray[np.intp]:
        """Return the positions of the counts whose noisy value reaches the threshold."""
        return np.flatnonzero((counts > 0) & (counts + noise >= self.threshold(pricing)))
