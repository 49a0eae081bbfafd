"""Exact copies: does the release hold training records, value for value?"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from dpsynth.attacks.attack import Attack, AttackResult, AttackTarget, Question, ThreatModel
from dpsynth.attacks.records import plain_records, record_keys


@final
@dataclass(frozen=True, kw_only=True)
class ExactCopies(Attack):
    """Look each record up in the release.

    Scenario: the attacker holds the release and the whole record of a person, and looks it up.
    Success: a synthetic record equals that of a person who was used, in every value. Baseline: the
    same, with the control sample for the release: how often real records coincide. Control: a
    synthetic record equals that of a person who was not used. A copy where records often coincide
    says little, and one where they never do says all; the control tells which.

    Args:
        records: most records of each sample.

    Raises:
        InvalidValueError: `records` below 1.
    """

    name: ClassVar[str] = "exact_copies"
    question: ClassVar[Question] = "singling out"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="the whole record of a person",
        succeeds="a synthetic record equals a training record in every value",
    )
    reference: ClassVar[str] = (
        "M. Platzer and T. Reutterer, Holdout-Based Empirical Assessment of Mixed-Type Synthetic "
        "Data (2021), section 3.2, the share of identical matches beside that of a hold-out"
    )
    needs_refit: ClassVar[bool] = False
    records: int = 20_000

    def __post_init__(self) -> None:
        self._check_counts()

    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        size = min(self.records, len(target.train), len(target.control))
        used, unused = (
            record_keys(plain_records(table.take(rng.permutation(len(table))[:size])))
            for table in (target.train, target.control)
        )
        released = record_keys(plain_records(target.synthetic))
        return AttackResult.counted(
            self, np.isin(used, released), np.isin(unused, released), np.isin(used, unused)
        )
