"""What following a rule costs on data sets that it has not seen: how far from the best one ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.evaluation.intervals import influence_error, student_interval
from dpsynth.recommendation.benchmark import HIGHER_IS_BETTER

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True, kw_only=True)
class Regret:
    """Mean regret of a rule over data sets; each counts once, whatever number of budgets it has.

    Regret is (score of what the rule takes - best score) / best score, turned around where higher
    is better. The best is the best of noisy scores, so that no rule has none: this overstates it.

    Args:
        mean, lower, upper: with a 95% interval of Student's t over data sets, at least 0.
        worst: of the data sets, its mean over budgets.
        families: how many; data sets of one source are one.
    """

    mean: float
    lower: float
    upper: float
    worst: float
    families: int

    @classmethod
    def of(
        cls, regrets: NDArray[np.float64], families: Sequence[str] | NDArray[np.str_]
    ) -> "Regret":
        """Return the regret of a rule.

        Args:
            regrets: one a block.
            families: of each block.
        """
        import pandas as pd

        grouped = pd.Series(regrets).groupby(np.asarray(families))
        means = np.asarray(grouped.mean(), dtype=np.float64)
        over = student_interval(
            float(means.mean()),
            influence_error(means),
            freedom=len(means) - 1,
            minimum=0.0,
            maximum=float("inf"),
        )
        return cls(
            mean=over.value,
            lower=over.lower,
            upper=over.upper,
            worst=float(means.max()),
            families=len(means),
        )


def losses(measured: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """Return the regret of each generator (columns) in each block, had it been taken there."""
    if HIGHER_IS_BETTER[metric]:
        best = measured.max(axis=1)
        return measured.sub(best, axis=0).div(-best, axis=0)
    best = measured.min(axis=1)
    return measured.sub(best, axis=0).div(best, axis=0)


def first_choice(expected: "pd.DataFrame", metric: str) -> "pd.Series[Any]":
    """Return the generator that is expected to be best in each block."""
    higher = HIGHER_IS_BETTER[metric]
    return expected.idxmax(axis=1) if higher else expected.idxmin(axis=1)
