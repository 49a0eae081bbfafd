"""Membership from shadow releases: the mechanism runs with and without each of some targets."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.attack import Attack, AttackResult, AttackTarget, Question, ThreatModel
from dpsynth.attacks.curve import area, low_rates
from dpsynth.attacks.records import distances, plain_records
from dpsynth.attacks.reruns import Reruns, failing_with, half
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.data.columns import Column
    from dpsynth.data.table import Table

NEIGHBOURS = 5
LOW_FALSE_POSITIVE_RATE = 0.05
"""Shadow releases are too few to place a threshold that fewer non-members exceed."""


@dataclass(frozen=True, kw_only=True)
class ShadowAttack(Attack):
    """Tell members from non-members by what shadow releases with and without them look like.

    The attacker knows the mechanism, its budget, and every record of the training table except
    whether each of some targets was among them: the neighbours of differential privacy. Targets are
    the most isolated records of a sample of the training table. Each is used for each release with
    probability one half, so that one fit serves all targets, used and unused alike; the first
    releases are the shadows, whose membership the attacker knows.

    The cost is `fits` runs of the mechanism on tables of about `rows` records. A target stands out
    more among few records than among many, so a small table errs on the side of finding leaks.

    Claims about many targets in one release share its noise: the p-value is exact nevertheless,
    for when nothing leaks claims and memberships are independent; the intervals are too narrow when
    much leaks, and none of this bounds epsilon from below.

    A run that fails is an outcome: in an attacked one those targets are claimed with which shadows
    failed more often than without. Half of the shadows and half of the releases must give records.

    Args:
        targets: records attacked.
        shadows: releases that the attacker learns from.
        releases: releases attacked.
        rows: most records of each training table.

    Raises:
        InvalidValueError: a whole number below 1, or fewer than two shadows or rows.
    """

    question: ClassVar[Question] = "inference"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="the mechanism, its budget, and all training records but the targets' membership",
        succeeds="a target that was in the training table is called a member",
    )
    needs_refit: ClassVar[bool] = True
    targets: int = 64
    shadows: int = 16
    releases: int = 8
    rows: int = 500

    def __post_init__(self) -> None:
        self._check_counts(shadows=2, rows=2)

    @final
    @property
    def fits(self) -> int:
        """How often the mechanism runs."""
        return self.shadows + self.releases

    @abstractmethod
    def scores(
        self,
        releases: Sequence["Table"],
        member: NDArray[np.bool_],
        targets: "Table",
        *,
        known: "Table",
        population: "Table",
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        """Return a number for each release and target, the higher the likelier a member.

        Args:
            releases: all of them, the shadows first.
            member: shadows x targets; which targets each shadow was fitted to.
            targets: the records attacked.
            known: the records of every training table and the targets.
            population: control records.
            rng: source of every choice.
        """

    @final
    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        if target.refit is None:
            raise InvalidValueError("refit", None, f"given for the attack {self.name!r}")
        if len(target.train) < 2:
            raise InvalidValueError("train", "one record", f"two or more for {self.name!r}")
        reruns = Reruns(target.refit, attack=self.name)
        sample = target.train.take(rng.permutation(len(target.train))[: self.rows])
        order = np.argsort(-isolation(sample, rng=rng), kind="stable")
        count = min(self.targets, len(sample) // 2)
        people, others = order[:count], order[count:]
        member = rng.random((self.fits, count)) < 0.5
        trains = _trains(sample, others, people, member, rng.spawn(self.fits))
        releases = self._released(reruns, trains)
        made = np.array([release is not None for release in releases])
        known = member[: self.shadows][made[: self.shadows]]
        scores = self.scores(
            [release for release in releases if release is not None],
            known,
            sample.take(people),
            known=sample,
            population=target.control,
            rng=rng,
        )
        learned, guess = scores[: len(known)], scores[len(known) :]
        tells = known.any() and not known.all()
        used, whole = member[self.shadows :], made[self.shadows :]
        claim = np.tile(failing_with(~made[: self.shadows], member[: self.shadows]), (len(used), 1))
        claim[whole] = guess > (split_point(learned, known) if tells else np.inf)
        seen = used[whole]
        return AttackResult.counted(
            self,
            claim[used],
            claim[~used],
            rng.random(int(used.sum())) < 0.5,
            measures=_measures(learned[~known], guess[seen], guess[~seen]),
            notes=reruns.notes,
        )

    def _released(
        self, reruns: Reruns, trains: "Iterator[tuple[Table, np.random.Generator]]"
    ) -> "list[Table | None]":
        """Return what shadows and attacked runs release, None where one failed."""
        shadows = reruns(
            islice(trains, self.shadows),
            planned=self.shadows,
            needed=max(2, half(self.shadows)),
            what="shadow runs",
        )
        attacked = reruns(
            trains, planned=self.releases, needed=half(self.releases), what="attacked runs"
        )
        return [*shadows, *attacked]


def _measures(
    unused: NDArray[np.float64], used: NDArray[np.float64], others: NDArray[np.float64]
) -> dict[str, float]:
    """Return how well scores tell used targets from others, from shadows' scores of unused ones."""
    low = low_rates(unused, used, others, false_positive_rate=LOW_FALSE_POSITIVE_RATE)
    return {**area(used, others), **low}


def _trains(
    sample: "Table",
    others: NDArray[np.intp],
    people: NDArray[np.intp],
    member: NDArray[np.bool_],
    streams: Sequence[np.random.Generator],
) -> "Iterator[tuple[Table, np.random.Generator]]":
    """Yield the training table of each run, in random order, and its stream."""
    for chosen, stream in zip(member, streams, strict=True):
        rows = stream.permutation(np.concatenate([others, people[chosen]]))
        yield sample.take(rows), stream


def split_point(scores: NDArray[np.float64], member: NDArray[np.bool_]) -> float:
    """Return the threshold above which claims and membership of shadows are most correlated.

    The correlation is the significance of what claims show, but for a factor. Where a release gives
    a few targets away and hides the others, the difference of both rates alone is often largest
    among the hidden, whose scores are noise.

    Args:
        scores: of shadow releases.
        member: which of them are of targets that were used; some are, and some are not.

    Reference: B. Matthews, Comparison of the Predicted and Observed Secondary Structure of T4 Phage
    Lysozyme (1975).
    """
    order = np.argsort(-scores.ravel(), kind="stable")
    used, falling = member.ravel()[order], scores.ravel()[order]
    gap = np.cumsum(used) / used.sum() - np.cumsum(~used) / (~used).sum()
    claimed = np.arange(1, len(used) + 1) / len(used)
    correlation = gap / np.sqrt(np.maximum(claimed * (1 - claimed), 1e-12))
    # Equal scores are on one side: a threshold lies between two that differ.
    correlation[:-1][falling[:-1] == falling[1:]] = -np.inf
    last = int(correlation.argmax())
    return float(falling[last] if last + 1 == len(falling) else falling[last : last + 2].mean())


def isolation(table: "Table", *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how far each record lies from its nearest neighbours in the table.

    The mean distance to the five nearest others, ties in random order: far records are the
    vulnerable ones.

    Reference: M. Meeus, F. Guepin, A.-M. Cretu and Y.-A. de Montjoye, Achilles' Heels: Vulnerable
    Record Identification in Synthetic Data Publishing (2023), section 4.
    """
    columns: Sequence[Column] = table.schema.columns
    records = plain_records(table)
    count = min(NEIGHBOURS + 1, len(records))
    near = [
        np.partition(block, count - 1, axis=1)[:, :count].sum(axis=1)
        for block in distances(columns, records, records)
    ]
    # The record itself is among them, at distance 0.
    mean = np.concatenate(near).astype(np.float64) / max(count - 1, 1)
    return mean + 1e-9 * rng.random(len(mean))
