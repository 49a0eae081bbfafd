"""Linkability: does the release tie two halves of a person's record together?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.attack import (
    Attack,
    AttackResult,
    AttackTarget,
    Question,
    ThreatModel,
    fisher_p_value,
)
from dpsynth.attacks.records import distances, plain_records
from dpsynth.data.columns import Column
from dpsynth.data.schema import Schema
from dpsynth.errors import InvalidValueError


@final
@dataclass(frozen=True, kw_only=True)
class Linkability(Attack):
    """Link two halves of a record through the synthetic record that is nearest to both.

    Scenario: the attacker holds two files about the same people, each with half of the columns and
    no common key, and the release. For a person in the first file and one in the second, they claim
    a link when some synthetic record is among the `neighbours` nearest to both halves. Success: the
    claim is made for two halves of one person. Baseline: synthetic records picked at random for
    each half, which needs no release. Control: the same attack on as many people who were not in
    the training table. Equally near synthetic records are taken in one random order for both
    halves, so that the order of rows in the release plays no part.

    Args:
        targets: people attacked, and as many controls; fewer where the tables are smaller.
        neighbours: nearest synthetic records that are looked at for each half.
        known: columns of the first file; None draws half of them at random.

    Raises:
        InvalidValueError: `targets` or `neighbours` below 1.
    """

    name: ClassVar[str] = "linkability"
    question: ClassVar[Question] = "linkability"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="two files about the same people, each with half of the columns, and no key",
        succeeds="one synthetic record is nearest to both halves of a person's record",
    )
    reference: ClassVar[str] = (
        "M. Giomi, F. Boenisch, C. Wehmeyer and B. Tasnadi, A Unified Framework for Quantifying "
        "Privacy Risk in Synthetic Data (2023), section 5.2"
    )
    needs_refit: ClassVar[bool] = False
    targets: int = 500
    neighbours: int = 1
    known: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        self._check_counts()
        if self.known is not None:
            object.__setattr__(self, "known", tuple(self.known))

    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        halves = self._halves(target.train.schema, rng)
        size = min(self.targets, len(target.train), len(target.control))
        used, unused = (
            plain_records(table.take(rng.permutation(len(table))[:size]))
            for table in (target.train, target.control)
        )
        synthetic = plain_records(target.synthetic)
        synthetic = synthetic[rng.permutation(len(synthetic))]
        columns = target.train.schema.columns
        linked = np.concatenate(
            [self._linked(columns, halves, people, synthetic) for people in (used, unused)]
        )
        hits, control_hits = int(linked[:size].sum()), int(linked[size:].sum())
        guesses = self._guess(size, len(synthetic), rng)
        return AttackResult(
            attack=self.name,
            identity=self.identity,
            successes=hits,
            trials=size,
            baseline_successes=int(guesses.sum()),
            baseline_trials=size,
            control_successes=control_hits,
            control_trials=size,
            p_value=fisher_p_value(hits, size, control_hits, size),
        )

    def _halves(self, schema: Schema, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        count = len(schema.names)
        if count < 2:
            raise InvalidValueError("columns", schema.names, "at least two for linkability")
        if self.known is None:
            order = rng.permutation(count).tolist()
            return order[: count // 2], order[count // 2 :]
        for name in self.known:
            schema.column(name)
        first = [i for i, name in enumerate(schema.names) if name in self.known]
        second = [i for i in range(count) if i not in first]
        if not first or not second:
            raise InvalidValueError("known", self.known, "some of the columns, and not all")
        return first, second

    def _linked(
        self,
        columns: Sequence[Column],
        halves: tuple[list[int], list[int]],
        people: NDArray[np.float64],
        synthetic: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Return, for each record of `people`, whether its halves share a nearest record."""
        first, second = (
            self._nearest([columns[i] for i in half], people[:, half], synthetic[:, half])
            for half in halves
        )
        return (first[:, :, None] == second[:, None, :]).any(axis=(1, 2))

    def _nearest(
        self, columns: Sequence[Column], people: NDArray[np.float64], synthetic: NDArray[np.float64]
    ) -> NDArray[np.intp]:
        """Return the row numbers of the nearest synthetic records, ties by row number."""
        rows = np.arange(len(synthetic))
        count = min(self.neighbours, len(synthetic))
        found: list[NDArray[np.intp]] = []
        for block in distances(columns, people, synthetic):
            if count == 1:
                found.append(block.argmin(axis=1)[:, None])
                continue
            # One whole number orders by distance first and by row number among equals.
            key = np.rint(block * 2.0**20).astype(np.int64) * len(synthetic) + rows
            found.append(np.argpartition(key, count - 1, axis=1)[:, :count])
        return np.concatenate(found)

    def _guess(self, people: int, rows: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return whether records picked at random for both halves share one."""
        count = min(self.neighbours, rows)
        # The overlap of two random sets depends on their sizes alone: fix the first.
        drawn = rng.hypergeometric(count, rows - count, count, size=people)
        return drawn > 0
