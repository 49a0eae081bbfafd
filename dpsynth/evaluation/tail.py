"""Whether what is rare in the real table occurs in the synthetic one at all."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.contingency import choose_sets
from dpsynth.evaluation.intervals import student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample


@final
@dataclass(frozen=True, kw_only=True)
class TailRecall(Metric):
    """Share of the real categories, and cells of pairs, under `rare` that occur in the synthetic.

    Where nothing is rare it is 1. Uniform noise occurs everywhere, and so recalls all: read it
    beside a total variation distance. The interval covers the expected score of a fresh synthetic
    table of the same size from the same model, by a delete-a-group jackknife.

    Args:
        rare: what is rare, as a share of the real records; above 0 and at most 1.
        limit: most pairs of columns.
        groups: groups of the jackknife.

    Raises:
        InvalidValueError: a parameter out of its range.
    """

    name: ClassVar[str] = "tail_recall"
    higher_is_better: ClassVar[bool] = True
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    reads: ClassVar[Literal["train", "holdout"]] = "train"
    reference: ClassVar[str] = (
        "Category coverage restricted to rare categories and cells; as support coverage in "
        "A. Goncalves, P. Ray, B. Soper, J. Stevens, L. Coyle and A. Sales, Generation and "
        "evaluation of synthetic patient data (2020), equation 7"
    )
    rare: float = 0.01
    limit: int = 1000
    groups: int = 20

    def __post_init__(self) -> None:
        if not 0.0 < self.rare <= 1.0:
            raise InvalidValueError("rare", self.rare, "above 0 and at most 1")
        for field, least in (("limit", 1), ("groups", 2)):
            if getattr(self, field) < least:
                raise InvalidValueError(field, getattr(self, field), f"at least {least}")

    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return self.score(real, synthetic, rng=rng).value

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        groups = min(self.groups, len(synthetic))
        group = rng.permutation(len(synthetic)) % groups
        rare, found = 0, np.zeros(groups + 1)
        for first, second in _cells(real, synthetic, self.limit):
            cells, here = np.unique(first, return_counts=True)
            cells = cells[here < self.rare * len(real)]
            place = np.searchsorted(cells, second)
            held = np.append(cells, -1)[place] == second
            # Counts by cell and group: leaving one group out is a subtraction.
            index = place[held] * groups + group[held]
            counts = np.bincount(index, minlength=cells.size * groups).reshape(-1, groups)
            total = counts.sum(axis=1)
            rare += cells.size
            found[0] += np.count_nonzero(total)
            found[1:] += np.count_nonzero(total[:, None] > counts, axis=0)
        if not rare:
            return Score(value=1.0, lower=1.0, upper=1.0)
        shares = found / rare
        single = np.sqrt((groups - 1) * float(np.var(shares[1:]))) if groups > 1 else np.nan
        return student_interval(
            float(shares[0]),
            float(single),
            freedom=max(groups - 1, 1),
            minimum=self.minimum,
            maximum=self.maximum,
        )


def _cells(
    real: Sample, synthetic: Sample, limit: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the cell of each real and each synthetic record in every column and pair."""
    width = len(real.sizes)
    found = [(real.columns[i], synthetic.columns[i]) for i in range(width)]
    pairs = [s for s in choose_sets(width, 2, limit=limit, seed=0) if len(s) == 2]
    for i, j in pairs:
        first, second = (s.columns[i] * s.sizes[j] + s.columns[j] for s in (real, synthetic))
        found.append((first, second))
    return found
