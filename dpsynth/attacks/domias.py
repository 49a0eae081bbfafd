"""DOMIAS: members are where the release is denser than the population."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.candidates import CandidateAttack
from dpsynth.attacks.density import kernel_at
from dpsynth.attacks.records import plain_records

if TYPE_CHECKING:
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True)
class Domias(CandidateAttack):
    """Call candidates members where the release is denser than the population.

    Scenario: the attacker holds the release, candidates of whom half were used, and other records
    of the population. A generator that overfits puts more of its records around those it was
    fitted to than the population has there: the score is the logarithm of the density of the
    release at the candidate over that of the other records, both by one kernel. Success, control
    and baseline: a candidate who was used is called a member; one who was not is; as many claims at
    random.

    Args: as of `CandidateAttack`; errors too.
    """

    name: ClassVar[str] = "domias"
    reference: ClassVar[str] = (
        "B. van Breugel, H. Sun, Z. Qian and M. van der Schaar, Membership Inference Attacks "
        "against Synthetic Data through Overfitting Detection (2023), equation 2"
    )

    def scores(
        self,
        candidates: "Table",
        release: "Table",
        reference: "Table",
        *,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        kernel, points, widths = kernel_at(candidates, population=reference)
        of_release, of_population = (
            kernel.log_sum(points, records, widths=widths)
            for records in (kernel.place(plain_records(release)), kernel.reference)
        )
        # Sizes of both tables are the same for all candidates, and change no rank.
        return of_release - of_population
