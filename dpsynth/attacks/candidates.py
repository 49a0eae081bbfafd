"""Membership from one release: candidates, half of whom were used, scored without a rerun."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.attack import Attack, AttackResult, AttackTarget, Question, ThreatModel
from dpsynth.attacks.claims import check_share, surest
from dpsynth.attacks.curve import LOW_FALSE_POSITIVE_RATE, area, low_rates
from dpsynth.attacks.secrets import dealt

if TYPE_CHECKING:
    from dpsynth.data.table import Table


@dataclass(frozen=True, kw_only=True)
class CandidateAttack(Attack):
    """Call those candidates members that a score ranks first.

    Half of the candidates are records that were used, half are control records; the other control
    records are the attacker's reference, which says what the population is like. The `claims`
    share of all candidates with the highest scores is called members. Scores see candidates in
    random order and without their membership, so that Fisher's exact test holds whatever the score:
    where the release says nothing of its own about used records, which candidates are members is a
    random deal.

    Args:
        targets: candidates of each kind, at most; no more than half of the control records.
        claims: share of the candidates that are called members.
        references: reference records, at most.

    Raises:
        InvalidValueError: a whole number below 1, or `claims` outside (0, 1).
    """

    question: ClassVar[Question] = "inference"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="candidates, half of whom were used, and other records of the population",
        succeeds="a candidate who was in the training table is called a member",
    )
    needs_refit: ClassVar[bool] = False
    targets: int = 1000
    claims: float = 0.1
    references: int = 5000

    def __post_init__(self) -> None:
        self._check_counts()
        check_share(self.claims)

    @abstractmethod
    def scores(
        self, candidates: "Table", release: "Table", reference: "Table", *, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return a number for each candidate, the higher the likelier a member.

        Args:
            candidates: records, in random order.
            release: the synthetic table, its rows in random order.
            reference: other records of the population.
            rng: source of every choice.
        """

    @final
    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        size = min(self.targets, len(target.train), len(target.control) // 2)
        if size == 0:
            none = np.zeros(0, dtype=np.bool_)
            return AttackResult.counted(self, none, none, none)
        control = rng.permutation(len(target.control))
        unused, others = control[:size], control[size : size + self.references]
        used = rng.permutation(len(target.train))[:size]
        member = np.zeros(2 * size, dtype=np.bool_)
        member[rng.permutation(2 * size)[:size]] = True
        scores = self.scores(
            dealt(target.train.take(used), target.control.take(unused), member),
            target.synthetic.take(rng.permutation(len(target.synthetic))),
            target.control.take(others),
            rng=rng,
        )
        claim = surest(scores, self.claims, rng=rng)
        calibration, judged = np.array_split(scores[~member], 2)
        return AttackResult.counted(
            self,
            claim[member],
            claim[~member],
            rng.random(size) < self.claims,
            measures={
                **area(scores[member], scores[~member]),
                **low_rates(
                    calibration,
                    scores[member],
                    judged,
                    false_positive_rate=LOW_FALSE_POSITIVE_RATE,
                ),
            },
        )
