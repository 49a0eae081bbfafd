"""MAMA-MIA: members stand out in the marginals that the mechanism measured."""

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.candidates import CandidateAttack
from dpsynth.attacks.cells import salted
from dpsynth.data.encoding import Codec
from dpsynth.errors import InvalidValueError

if TYPE_CHECKING:
    from dpsynth.data.schema import Schema
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True)
class MamaMia(CandidateAttack):
    """Call candidates members whose cells of the measured marginals are fuller than they should be.

    Scenario: the attacker holds the release, candidates of whom half were used, other records of
    the population, and knows which marginals the mechanism measured. What it measured is what its
    records are true to, so the score is the sum over these marginals of the share of the release in
    the candidate's cell over that of the other records. Success, control and baseline: a candidate
    who was used is called a member; one who was not is; as many claims at random.

    Saved models and open mechanisms tell their marginals. Where none are given, all sets of three
    columns are taken, or `sets` random ones of them: more than most mechanisms measure, so that
    those they did are diluted, and knowing them finds more.

    Args:
        targets, claims: as of `CandidateAttack`, but more of both, since marginals tell a little of
            many and not much of few.
        marginals: sets of columns that were measured.
        sets: random sets, at most, where none are given.
        others: as of `CandidateAttack`; errors too.

    Raises:
        InvalidValueError: an empty marginal.
        UnknownNameError: a column that the schema lacks.
    """

    name: ClassVar[str] = "mama_mia"
    reference: ClassVar[str] = (
        "S. Golob, S. Pentyala, A. Maratkhan and M. De Cock, Privacy Vulnerabilities in "
        "Marginals-based Synthetic Data (2024), section IV"
    )
    targets: int = 5000
    claims: float = 0.5
    marginals: tuple[tuple[str, ...], ...] | None = None
    sets: int = 100

    def scores(
        self,
        candidates: "Table",
        release: "Table",
        reference: "Table",
        *,
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        codec = Codec(schema=candidates.schema)
        asked, made, known = salted(
            [codec.encode(t) for t in (candidates, release, reference)], rng=rng
        )
        score = np.zeros(len(asked))
        for clique in self._cliques(candidates.schema, rng):
            keys = np.concatenate([t[:, clique].sum(axis=1) for t in (asked, made, known)])
            _, cell = np.unique(keys, return_inverse=True)
            own, of_release, of_others = np.split(cell, [len(asked), len(asked) + len(made)])
            cells = int(cell.max()) + 1
            # One record is added to each cell, as a population has cells that no sample shows.
            share = (np.bincount(of_others, minlength=cells) + 1) / (len(known) + 1)
            score += (np.bincount(of_release, minlength=cells) / len(made) / share)[own]
        return score

    def _cliques(self, schema: "Schema", rng: np.random.Generator) -> list[list[int]]:
        names = schema.names
        if self.marginals is None:
            every = list(combinations(range(len(names)), min(3, len(names))))
            return [list(every[i]) for i in rng.permutation(len(every))[: self.sets]]
        for marginal in self.marginals:
            if not marginal:
                raise InvalidValueError("marginals", self.marginals, "sets of one column or more")
            for name in marginal:
                schema.column(name)
        return [[names.index(name) for name in marginal] for marginal in self.marginals]
