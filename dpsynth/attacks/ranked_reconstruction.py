"""Confidence-ranked reconstruction: which records does the release say most surely existed?"""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.attack import Attack, AttackResult, AttackTarget, Question, ThreatModel
from dpsynth.attacks.dealing import permutation_p_value
from dpsynth.data.encoding import Codec

Codes = NDArray[np.integer[Any]]


@final
@dataclass(frozen=True, kw_only=True)
class RankedReconstruction(Attack):
    """Name whole records, the surest first, from how often the release has them.

    Scenario: the attacker holds the release and nothing else, and claims of its distinct records,
    the most frequent first, that a person with all these codes was in the training table. Success:
    there is one in the training sample. Baseline: as many distinct records with each column drawn
    from the control sample by itself, as anybody could who knows the columns. Control: the same
    claims, held against as many records that were not used: what is common in the population is
    found there too.

    The p-value re-deals the records of both samples at random, as a claim may be met by several.

    Args:
        claims: records claimed, at most as many as the release has distinct ones.
        records: most records of each sample.

    Raises:
        InvalidValueError: a parameter below 1.
    """

    name: ClassVar[str] = "ranked_reconstruction"
    question: ClassVar[Question] = "inference"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="the public schema",
        succeeds="a claimed record is in the training sample, code for code",
    )
    reference: ClassVar[str] = (
        "T. Dick, C. Dwork, M. Kearns, T. Liu, A. Roth, G. Vietri and Z. S. Wu, "
        "Confidence-Ranked Reconstruction of Census Microdata from Published Statistics (2023), "
        "with the release itself for the reconstructions"
    )
    needs_refit: ClassVar[bool] = False
    claims: int = 500
    records: int = 10_000

    def __post_init__(self) -> None:
        self._check_counts()

    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        codec = Codec(schema=target.train.schema)
        size = min(self.records, len(target.train), len(target.control))
        used, unused = (
            codec.encode(table.take(rng.permutation(len(table))[:size]))
            for table in (target.train, target.control)
        )
        claimed = self._ranked(codec.encode(target.synthetic), rng)
        alone = np.column_stack([rng.permutation(column) for column in unused.T])
        guesses = self._ranked(alone, rng)
        both = np.concatenate([used, unused])
        matched = _matches(claimed, both)
        hits, control_hits = _met(matched[:, :size]), _met(matched[:, size:])
        return AttackResult.counted(
            self,
            hits,
            control_hits,
            _met(_matches(guesses, used)),
            p_value=permutation_p_value(
                matched, int(hits.sum()) - int(control_hits.sum()), success="any", rng=rng
            ),
        )

    def _ranked(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """Return the most frequent distinct records, the equally frequent in random order."""
        distinct, counts = np.unique(codes, axis=0, return_counts=True)
        return distinct[np.lexsort((rng.random(len(counts)), -counts))[: self.claims]]


def _matches(claims: Codes, records: Codes) -> NDArray[np.bool_]:
    """Return claims x records: which are equal. Claims are distinct."""
    _, place = np.unique(np.concatenate([claims, records]), axis=0, return_inverse=True)
    own, theirs = np.split(place.reshape(-1), [len(claims)])
    return own[:, None] == theirs[None, :]


def _met(matched: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which claims match any record."""
    return np.asarray(matched.any(axis=1))
