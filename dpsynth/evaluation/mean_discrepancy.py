"""Maximum mean discrepancy: the distance of two tables' mean embeddings under a Gaussian kernel."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.diversity import DiversityMetric, points, squared_distances
from dpsynth.evaluation.sample import Sample, check_same_columns

if TYPE_CHECKING:
    from dpsynth.data.table import Table

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class MeanDiscrepancy(DiversityMetric):
    """The root of the V-statistic of MMD, with the median heuristic.

    The bandwidth is the median distance of two different real records, or 1 where that is 0; a
    function of the real table, so that two synthetic tables are measured alike. Two samples of one
    law are apart by an amount of order n^-1/2: read a value beside its reference.
    """

    name: ClassVar[str] = "mmd"
    higher_is_better: ClassVar[bool] = False
    maximum: ClassVar[float] = 2.0**0.5
    reference: ClassVar[str] = (
        "A. Gretton, K. Borgwardt, M. Rasch, B. Schoelkopf and A. Smola, A Kernel Two-Sample Test "
        "(2012), equation 5 and section 8 (median heuristic)"
    )
    most: int = 1000

    def compare(self, real: Array, synthetic: Array) -> Callable[[NDArray[np.intp]], float]:
        within, across, inside = _kernels(real, synthetic)
        here, there = float(within.mean()), across.mean(axis=0)

        def value(rows: NDArray[np.intp]) -> float:
            own = inside if len(rows) == len(inside) else inside[np.ix_(rows, rows)]
            square = here + float(own.mean()) - 2.0 * float(there[rows].mean())
            return float(np.sqrt(square)) if square > 1e-12 else 0.0

        return value


def mmd_p_value(
    real: "Table",
    synthetic: "Table",
    *,
    rng: np.random.Generator,
    permutations: int = 200,
    most: int = 1000,
) -> float:
    """Return the p-value of the hypothesis that both tables are samples of one law.

    Exact under exchangeability, by permutation of which record is whose. It reads real records and
    no guarantee covers it.

    Args:
        real: real records.
        synthetic: synthetic ones under the same columns.
        rng: source of subsamples and permutations.
        permutations: at least 1; the least p-value is 1 / (permutations + 1).
        most: records that are drawn from a larger table.

    Raises:
        InvalidValueError: different columns, or no permutation.

    Reference: Gretton et al. (2012), section 5; B. Phipson and G. Smyth, Permutation P-values
        Should Never Be Zero (2010).
    """
    if permutations < 1:
        raise InvalidValueError("permutations", permutations, "at least 1")
    samples = Sample.of(real), Sample.of(synthetic)
    check_same_columns(*samples)
    first, second = (points(s.draw(most, rng=rng)) for s in samples)
    both = np.concatenate([first, second])
    squares = squared_distances(both, both)
    # The bandwidth may not know whose a record is.
    kernel = np.exp(-squares / (2.0 * _median_square(squares)))
    sign = np.repeat([1.0 / len(first), -1.0 / len(second)], [len(first), len(second)])
    found = sign @ kernel @ sign
    drawn = np.stack([rng.permutation(sign) for _ in range(permutations)])
    null = ((drawn @ kernel) * drawn).sum(axis=1)
    return float(1 + (null >= found - 1e-12).sum()) / (permutations + 1)


def _kernels(real: Array, synthetic: Array) -> tuple[Array, Array, Array]:
    """Return the kernel among real records, across, and among synthetic ones."""
    within = squared_distances(real, real)
    scale = -0.5 / _median_square(within)
    across, inside = squared_distances(real, synthetic), squared_distances(synthetic, synthetic)
    return np.exp(within * scale), np.exp(across * scale), np.exp(inside * scale)


def _median_square(squares: Array) -> float:
    """Return the median of the squared distances of different records, 1 where it is 0."""
    above = squares[np.triu_indices(len(squares), k=1)]
    return float(np.median(above)) or 1.0 if above.size else 1.0
