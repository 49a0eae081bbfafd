"""What was measured: scores of generators by data set and budget, as they come with the package.

`datasets.csv` has public facts of the data sets, `scores.csv` means over seeds of what generators
scored and took there; `scripts/build_recommendations.py` makes both from results stores.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy.budget import Budget
from dpsynth.recommendation.facts import NAMES, Facts

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent
METRICS = ("tvd_1way", "tvd_2way", "workload_error", "correlation_difference", "tstr_auc")
HIGHER_IS_BETTER = {metric: metric == "tstr_auc" for metric in METRICS}
LARGEST = {**dict.fromkeys(METRICS, 1.0), "workload_error": 2.0, "correlation_difference": 2.0}
"""The largest value that each metric can have."""
COSTS = ("seconds", "memory_mb")
FEW_SOURCES = 10
"""A generator measured on fewer families of data sets than this is named, but not ranked."""
BLOCK = ["dataset", "epsilon", "delta"]
"""One data set at one budget: what generators are compared on."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Benchmark:
    """Scores and costs of generators, by data set and budget.

    Args:
        datasets: facts, one line a data set, indexed by name.
        scores: one line a data set, budget and generator.
    """

    datasets: "pd.DataFrame"
    scores: "pd.DataFrame"

    @classmethod
    def load(cls, folder: Path = FOLDER) -> "Benchmark":
        """Return the benchmark that comes with the package, or the one in `folder`."""
        import pandas as pd

        datasets = pd.read_csv(folder / "datasets.csv").set_index("dataset")
        return cls(datasets=datasets, scores=pd.read_csv(folder / "scores.csv"))

    @cached_property
    def blocks(self) -> "pd.DataFrame":
        """Data set, epsilon and delta of each block, in order."""
        return self.scores[BLOCK].drop_duplicates().reset_index(drop=True)

    def features(self, *, rows_known: bool) -> NDArray[np.float64]:
        """Return `Facts.features` of each block."""
        lines: list[Any] = list(self.blocks.itertuples(index=False, name=None))
        return np.array(
            [
                self.facts(dataset).features(
                    Budget(epsilon=epsilon, delta=delta), rows_known=rows_known
                )
                for dataset, epsilon, delta in lines
            ]
        )

    @cached_property
    def families(self) -> NDArray[np.str_]:
        """The family of each block: data sets of one source are left out together."""
        return self.datasets.loc[self.blocks["dataset"], "family"].to_numpy(dtype=str)

    @cached_property
    def sources(self) -> dict[str, int]:
        """Generator -> on how many families of data sets it was measured."""
        families = self.datasets.loc[self.scores["dataset"], "family"]
        found = families.groupby(self.scores["generator"].to_numpy()).nunique()
        return {str(name): int(number) for name, number in found.items()}

    @property
    def ranked(self) -> list[str]:
        """Generators that were measured on enough of them."""
        return [name for name, number in self.sources.items() if number >= FEW_SOURCES]

    def facts(self, dataset: Any) -> Facts:
        """Return the facts of a data set."""
        line: Any = self.datasets.loc[dataset]
        return Facts(**{name: line[name] for name in NAMES})

    def values(self, column: str) -> "pd.DataFrame":
        """Return a metric or cost by block (lines) and generator (columns); NaN: not measured."""
        wide = self.scores.pivot_table(index=BLOCK, columns="generator", values=column)
        lines = self.blocks.itertuples(index=False, name=None)
        return wide.reindex(index=list(lines), columns=list(self.sources)).reset_index(drop=True)
