"""Attribute inference: does the nearest synthetic record give a person's secret away?"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.attack import Attack, AttackResult, AttackTarget, Question, ThreatModel
from dpsynth.attacks.records import distances, plain_records
from dpsynth.attacks.secrets import People, draw_people
from dpsynth.data.columns import CategoricalColumn, Column
from dpsynth.errors import InvalidValueError

_TRIED = 100
"""Values, at most, among which the best constant guess of a number is sought."""


@final
@dataclass(frozen=True, kw_only=True)
class AttributeInference(Attack):
    """Guess a person's secret from the synthetic record that is nearest in all other columns.

    Scenario: the attacker holds the release and knows a person's record but for one column, finds
    the nearest synthetic record, and takes its value for the person's. Success: the secret of a
    person who was used is guessed; for numbers, the ranks of guess and truth among all people
    differ by at most `tolerance` of them. Baseline: the one value that is right for most of the
    control sample, which needs no release. Control: the same attack on as many people who were not
    used, which tells what follows from the person from what follows from the population. Each
    person is asked one secret, the columns in turn.

    Args:
        targets: people attacked, and as many controls; fewer where the tables are smaller.
        secrets: columns that are guessed; None for all.
        tolerance: difference of ranks, over the number of people, up to which a number is guessed.

    Raises:
        InvalidValueError: `targets` below 1, no secret, or a tolerance outside [0, 1).
        UnknownNameError: a column that the schema lacks.
    """

    name: ClassVar[str] = "attribute_inference"
    question: ClassVar[Question] = "inference"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="all of a person's record but one value",
        succeeds="the value is guessed, a number up to the tolerance",
    )
    reference: ClassVar[str] = (
        "M. Giomi, F. Boenisch, C. Wehmeyer and B. Tasnadi, A Unified Framework for Quantifying "
        "Privacy Risk in Synthetic Data (2023), section 5.3"
    )
    needs_refit: ClassVar[bool] = False
    targets: int = 5000
    secrets: tuple[str, ...] | None = None
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        self._check_counts()
        if not 0 <= self.tolerance < 1:
            raise InvalidValueError("tolerance", self.tolerance, "at least 0 and below 1")
        if self.secrets is not None:
            object.__setattr__(self, "secrets", tuple(self.secrets))

    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        people = draw_people(target, self.targets, self.secrets, rng=rng)
        synthetic = plain_records(target.synthetic)
        synthetic = synthetic[rng.permutation(len(synthetic))]
        records = plain_records(people.table)
        right, plain = self._guesses(target.train.schema.columns, people, records, synthetic)
        return AttackResult.counted(
            self, right[people.used], right[~people.used], plain[people.used]
        )

    def _guesses(
        self,
        columns: tuple[Column, ...],
        people: People,
        records: NDArray[np.float64],
        synthetic: NDArray[np.float64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return for whom the release's guess is right, and for whom the one without it."""
        right, plain = np.zeros((2, len(records)), dtype=np.bool_)
        for i in np.unique(people.secret).tolist():
            asked = np.flatnonzero(people.secret == i)
            known = [k for k in range(len(columns)) if k != i]
            nearest = [
                block.argmin(axis=1)
                for block in distances(
                    [columns[k] for k in known], records[asked][:, known], synthetic[:, known]
                )
            ]
            right[asked] = self._close(
                columns[i],
                synthetic[np.concatenate(nearest), i],
                records[asked, i],
                everybody=records[:, i],
            )
            plain[asked] = self._without_release(
                columns[i], records[asked, i], records[~people.used, i], everybody=records[:, i]
            )
        return right, plain

    def _close(
        self,
        column: Column,
        guess: NDArray[np.float64],
        truth: NDArray[np.float64],
        *,
        everybody: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Return which guesses are right; both arrays broadcast."""
        same = (guess == truth) | (np.isnan(guess) & np.isnan(truth))
        rising = np.sort(everybody[~np.isnan(everybody)])
        if isinstance(column, CategoricalColumn) or not rising.size:
            return same
        # Missing values have no rank, and are near to nothing.
        return same | (np.abs(_ranks(guess, rising) - _ranks(truth, rising)) <= self.tolerance)

    def _without_release(
        self,
        column: Column,
        truth: NDArray[np.float64],
        others: NDArray[np.float64],
        *,
        everybody: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Return for whom the one value is right that is right for most of `others`."""
        values = np.unique(others)
        values = values[np.linspace(0, len(values) - 1, min(len(values), _TRIED)).astype(np.intp)]
        right = self._close(column, values[:, None], others, everybody=everybody)
        best = values[right.sum(axis=1).argmax()]
        return self._close(column, np.asarray(best), truth, everybody=everybody)


def _ranks(numbers: NDArray[np.float64], rising: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mid-ranks among `rising`, from 0 to 1; NaN for missing numbers."""
    below, up_to = (np.searchsorted(rising, numbers, side) for side in ("left", "right"))
    return np.where(np.isnan(numbers), np.nan, (below + up_to) / (2 * rising.size))
