"""Do synthetic records, added to real ones, teach a model more than the real ones alone?"""

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import placements, student_interval
from dpsynth.evaluation.sample import Sample, check_same_columns, pool
from dpsynth.evaluation.tstr import AreaMetric, TstrAuc, labels_of

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What adding synthetic records to real ones does to an area under the ROC curve.

    Args:
        real, augmented: areas of models fitted to the real records, and to both.
        gain, lower, upper: their difference, and its interval at 95% over test records.
    """

    real: float
    augmented: float
    gain: float
    lower: float
    upper: float

    @property
    def claimed(self) -> bool:
        """Whether there is a gain: the whole interval is above 0."""
        return self.lower > 0


def augmentation_gain(
    real: "Table",
    synthetic: "Table",
    test: "Table",
    *,
    target: "Target",
    rng: np.random.Generator,
    metric: AreaMetric | None = None,
) -> Augmentation:
    """Return the gain of real and synthetic records over real ones, on the same test records.

    The interval is for the two models that were fitted, over the population of test records:
    variation between fits comes on top. It reads real records and no guarantee covers it.

    Args:
        real: training records that the user has.
        synthetic: records to add; a generator fitted to the test records would cheat.
        test: real records that neither saw.
        target: what is predicted.
        rng: source of the fits' randomness; both fits get the same.
        metric: whose classifier is used; by default that of `tstr_auc`.

    Raises:
        InvalidValueError: different columns, or tables without both classes of the target.

    Reference: E. DeLong, D. DeLong and D. Clarke-Pearson (1988), equation 5 (areas of two
        classifiers on the same records).
    """
    learner = metric or TstrAuc(target=target)
    base, extra, unseen = (Sample.of(table, target=target) for table in (real, synthetic, test))
    check_same_columns(base, unseen)
    for field, sample in (("real", base), ("test", unseen)):
        if labels_of(sample).all() or not labels_of(sample).any():
            raise InvalidValueError(field, "one class", f"with both classes of {target.column!r}")
    seed = int(rng.integers(2**31))
    truth = labels_of(unseen)
    areas: list[float] = []
    placed: list[tuple[Array, Array]] = []
    for learned in (base, pool(base, extra)):
        stream = np.random.Generator(np.random.PCG64(seed))
        predicted = learner.predict(learned, labels_of(learned), unseen, stream)
        placed.append(placements(predicted[truth], predicted[~truth]))
        areas.append(float(placed[-1][0].mean()))
    (above, below), (more_above, more_below) = placed
    parts = [more_above - above, more_below - below]
    few = min(len(part) for part in parts) < 2
    error = float("nan") if few else sqrt(sum(float(p.var(ddof=1)) / len(p) for p in parts))
    found = student_interval(
        areas[1] - areas[0], error, freedom=float("inf"), minimum=-1.0, maximum=1.0
    )
    return Augmentation(
        real=areas[0], augmented=areas[1], gain=found.value, lower=found.lower, upper=found.upper
    )
