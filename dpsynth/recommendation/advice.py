"""How good generators should be at one metric, and how far such advice has been from the best."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.recommendation.benchmark import HIGHER_IS_BETTER, LARGEST
from dpsynth.recommendation.expectation import Expectation
from dpsynth.recommendation.regret import Regret, first_choice, losses

BASELINE = "two_stage"
COVERED = 0.9
"""Of the data sets left out, the part whose scores were within intervals like those shown."""


@final
@dataclass(frozen=True, kw_only=True)
class Advice:
    """What a benchmark says of one metric.

    Args:
        expectation: of the metric.
    """

    expectation: Expectation

    def scores(self, features: NDArray[np.float64]) -> dict[str, tuple[float, float, float]]:
        """Return score, lower and upper bound of each ranked generator, the best first.

        Args:
            features: as of `Facts.features`.
        """
        order = self.expectation.at(features).sort_values(ascending=not self._higher)
        return {str(name): self.around(str(name), float(order[name])) for name in order.index}

    def around(self, generator: str, score: float) -> tuple[float, float, float]:
        """Return `score` with its interval, as wide as data sets left out need it."""
        seen, expected = (
            frame[generator].to_numpy(dtype=np.float64)
            for frame in (self.expectation.measured, self.expectation.left_out)
        )
        most = LARGEST[self.expectation.column]
        score = min(score, most)
        if self._higher:
            width = float(np.quantile(np.abs(seen - expected), COVERED))
            return score, max(0.0, score - width), min(most, score + width)
        factor = float(np.exp(np.quantile(np.abs(np.log(seen / expected)), COVERED)))
        return score, score / factor, min(most, score * factor)

    def regrets(self) -> tuple[Regret, Regret]:
        """Return the regrets of choosing by facts, and of always taking the baseline."""
        lost = losses(self.expectation.measured, self.expectation.column)
        choice = first_choice(self.expectation.left_out, self.expectation.column)
        chosen = lost.to_numpy()[np.arange(len(lost)), lost.columns.get_indexer(choice.array)]
        families = self.expectation.families
        return Regret.of(chosen, families), Regret.of(lost[BASELINE].to_numpy(), families)

    def elsewhere(self) -> dict[str, float]:
        """Return, of generators that are not ranked, the mean ratio of scores to the baseline's
        where both were measured; the geometric mean. None is listed that has no such score."""
        benchmark = self.expectation.benchmark
        measured = benchmark.values(self.expectation.column)
        ratios = np.exp(np.log(measured.div(measured[BASELINE], axis=0)).mean())
        return {
            str(name): float(ratio)
            for name, ratio in ratios.sort_values(ascending=not self._higher).items()
            if name not in benchmark.ranked and np.isfinite(ratio)
        }

    @property
    def _higher(self) -> bool:
        return HIGHER_IS_BETTER[self.expectation.column]
