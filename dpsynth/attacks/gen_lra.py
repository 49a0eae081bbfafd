"""Gen-LRA: members are those whom the records of the release near them would have predicted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.candidates import CandidateAttack
from dpsynth.attacks.density import kernel_at
from dpsynth.attacks.records import distances, plain_records

if TYPE_CHECKING:
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True)
class GenLra(CandidateAttack):
    """Call candidates members who make the nearest synthetic records likelier.

    Scenario: the attacker holds the release, candidates of whom half were used, and other records
    of the population. For each candidate they estimate the population's density twice, without the
    candidate and with them, and ask how much likelier the second makes the synthetic records
    nearest to the candidate: the score is that logarithm of a likelihood ratio. Success, control
    and baseline: a candidate who was used is called a member; one who was not is; as many claims at
    random.

    Args:
        neighbours: nearest synthetic records whose likelihood counts.
        others: as of `CandidateAttack`; errors too.
    """

    name: ClassVar[str] = "gen_lra"
    reference: ClassVar[str] = (
        "J. Ward, C.-H. Wang and G. Cheng, Privacy Auditing Synthetic Data Release through Local "
        "Likelihood Attacks (2025), section 4"
    )
    neighbours: int = 1

    def scores(
        self,
        candidates: "Table",
        release: "Table",
        reference: "Table",
        *,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        kernel, points, widths = kernel_at(candidates, population=reference)
        widths = np.repeat(widths, count := min(self.neighbours, len(release)))
        synthetic = kernel.place(plain_records(release))
        near: list[NDArray[np.intp]] = []
        apart: list[NDArray[np.float32]] = []
        for block in distances(kernel.columns, points, synthetic):
            found = np.argpartition(block, count - 1, axis=1)[:, :count]
            near.append(found.ravel())
            apart.append(np.take_along_axis(block, found, axis=1).ravel())
        own = -np.concatenate(apart).astype(np.float64) / widths
        before = kernel.log_sum(synthetic[np.concatenate(near)], kernel.reference, widths=widths)
        # log (S + K) / S for sums S of the reference; the factor n / (n + 1) changes no rank.
        return np.logaddexp(0.0, own - before).reshape(-1, count).sum(axis=1)
