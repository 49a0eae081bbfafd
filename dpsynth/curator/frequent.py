"""Values that enough records share, out of a set that nobody declared: partition selection."""

from dataclasses import dataclass, replace
from math import ceil, exp, log, sqrt
from typing import final

# pyright: reportMissingTypeStubs=false
import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.pricing import Pricing
from dpsynth.curator.queries import CELL_CEILING, ROW_CEILING, MarginalQuery
from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.accountant import Accountant
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
    values a table; each is released with probability at most Pr[k + noise >= threshold]. So on
    these two tables the answer is within k times that probability, in total variation, of one that
    has the guarantee of the histogram. It is the event's `sampling_distance`, which the ledger
    charges to delta, (1 + exp(epsilon)) times.
    Cost: one Gaussian (or Laplace) event, and its distance.

    Args:
        sigma: standard deviation of the noise of each count, in records.
        distance: the distance to allow, in (0, 1).

    Raises:
        InvalidValueError: a distance outside its range.

    Reference: Korolova, Kenthapadi, Mishra & Ntoulas 2009, Theorem 1; Desfontaines, Voss, Gipson &
        Mandayam 2022 (partition selection).
    """

    sigma: float
    distance: float

    def __post_init__(self) -> None:
        if not 0 < self.distance < 1:
            raise InvalidValueError("distance", self.distance, "above 0 and below 1")

    def event(self, pricing: Pricing) -> GaussianEvent | LaplaceEvent:
        """Return what is charged; as if every record that there may be had a value of its own."""
        name = "value"
        shape = replace(pricing, domain=Domain(sizes={name: CELL_CEILING}))
        event = shape.event(MarginalQuery(clique=(name,)), self.sigma)
        # Distances of draws add up: those of the largest histogram are as many times in the most
        # records as its cells are.
        drawn = event.sampling_distance * -(-ROW_CEILING // CELL_CEILING)
        return replace(event, sampling_distance=drawn + self.distance)

    def threshold(self, pricing: Pricing) -> int:
        """Return the least noisy count that is released, in records.

        Integer noise is at least t with at most the probability that continuous noise of the same
        spread is at least t - 1 (Canonne, Kamath & Steinke 2020, Proposition 25, for the discrete
        Gaussian; rounding moves by 1/2; the discrete Laplace tail exp(-t/b) / (1 + exp(-1/b)) is
        below exp(-(t - 1)/b) / 2), so one record more covers every law.
        """
        from scipy.special import ndtri

        rows = pricing.accountant.budget.max_rows_per_unit
        each = self.distance / rows
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


def allowed_distance(accountant: Accountant, parts: int) -> float:
    """Return the distance that each of `parts` selections may have, half of what delta allows."""
    paid = accountant.sampling_delta / (1.0 + exp(min(accountant.budget.epsilon, 700.0)))
    return 0.5 * paid / parts
