"""What a generator should score on a table of which nothing but public facts is known.

In logarithms, but for areas: the mean over generators is linear in facts and budget (ridge
regression), and how each differs from it is the mean over the measurements with the nearest facts
and budget; of scores, not of costs, the nearest facts that were measured stand in for those beyond
them. How far that errs is seen on each data set, by what is expected of it from the others.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.recommendation.benchmark import HIGHER_IS_BETTER, Benchmark

if TYPE_CHECKING:
    import pandas as pd

Floats: TypeAlias = NDArray[np.float64]
NEIGHBOURS = 10
"""Measurements that a mean is taken of; distances count facts in standard deviations."""
PENALTY = 3.0
"""Weight of squared coefficients beside squared residuals, facts likewise."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Expectation:
    """What is expected of the ranked generators in one column of a benchmark.

    All rests on blocks where every one of them was measured, so that they have the same neighbours.

    Args:
        benchmark: what was measured.
        column: a metric or cost.
        rows_known: whether the number of records may be looked at.
    """

    benchmark: Benchmark
    column: str
    rows_known: bool

    @cached_property
    def measured(self) -> "pd.DataFrame":
        """What was measured: blocks (lines) by generator."""
        return self.benchmark.values(self.column)[self.benchmark.ranked].dropna()

    @cached_property
    def families(self) -> NDArray[np.str_]:
        """The family of each of these blocks."""
        return self.benchmark.families[self.measured.index]

    def at(self, features: Floats) -> "pd.Series[float]":
        """Return what is expected of each generator where the facts are `features`."""
        everywhere = np.ones(len(self.measured), dtype=bool)
        return self._expected(everywhere, features[None, :]).iloc[0]

    @cached_property
    def left_out(self) -> "pd.DataFrame":
        """What is expected in each of these blocks from the data sets of other families."""
        import pandas as pd

        parts: list[pd.DataFrame] = []
        for family in np.unique(self.families):
            own = self.families == family
            expected = self._expected(~own, self._features[own])
            parts.append(expected.set_axis(self.measured.index[own]))
        return pd.concat(parts).sort_index()

    @cached_property
    def _features(self) -> Floats:
        return self.benchmark.features(rows_known=self.rows_known)[self.measured.index]

    def _expected(self, used: NDArray[np.bool_], features: Floats) -> "pd.DataFrame":
        import pandas as pd

        areas = HIGHER_IS_BETTER.get(self.column, False)
        values = self.measured[used].to_numpy(dtype=np.float64)
        scaled = values if areas else np.log(np.maximum(values, 1e-9))
        level = scaled.mean(axis=1, keepdims=True)
        known = self._features[used]
        if self.column in HIGHER_IS_BETTER:
            # A line soon says what no score can be; costs do grow beyond what was measured.
            features = np.clip(features, known.min(axis=0), known.max(axis=0))
        linear, nearest = _models(int(used.sum()))
        linear.fit(known, level[:, 0])
        nearest.fit(known, scaled - level)
        found = linear.predict(features)[:, None] + nearest.predict(features)
        back = np.clip(found, 0, 1) if areas else np.exp(found)
        return pd.DataFrame(back, columns=self.measured.columns)


def _models(measured: int) -> tuple[Any, Any]:
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    nearest = KNeighborsRegressor(min(NEIGHBOURS, measured))
    return (
        make_pipeline(StandardScaler(), Ridge(alpha=PENALTY)),
        make_pipeline(StandardScaler(), nearest),
    )
