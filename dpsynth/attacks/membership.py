"""Membership by features of the release: a classifier trained on shadow releases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.membership_features import draw_queries, summarise, tracing_scores
from dpsynth.attacks.records import plain_records
from dpsynth.attacks.shadows import ShadowAttack
from dpsynth.data.encoding import Codec

if TYPE_CHECKING:
    from dpsynth.data.table import Table


@final
@dataclass(frozen=True, kw_only=True)
class ShadowMembership(ShadowAttack):
    """Tell members from non-members with a classifier trained on shadow releases.

    Scenario: the attacker holds the release, knows the mechanism and its budget, and knows every
    record of the training table except whether each of some targets was among them. They run the
    mechanism on tables with and without the targets, learn how features of releases differ (means,
    histograms, correlations, targeted queries, nearness), and claim membership from a release that
    they did not train on, by the threshold at which claims on shadows go with membership most.
    Success: the claim "member" of a target that was one. Baseline: the same claim by the toss of a
    coin. Control: the claim "member" of a target in releases that it was not used for.

    Args:
        queries: targeted queries, on one to four columns; one more is on all of them.
        others: as of `ShadowAttack`; errors too.
    """

    name: ClassVar[str] = "membership"
    reference: ClassVar[str] = (
        "T. Stadler, B. Oprisanu and C. Troncoso, Synthetic Data: Anonymisation Groundhog Day "
        "(2022), section 5; F. Houssiau et al., TAPAS: a Toolbox for Adversarial Privacy Auditing "
        "of Synthetic Data (2022); targets shared by fits as in N. Carlini et al., Membership "
        "Inference Attacks From First Principles (2022), section 4"
    )
    queries: int = 64

    def scores(
        self,
        releases: Sequence["Table"],
        member: NDArray[np.bool_],
        targets: "Table",
        *,
        known: "Table",
        population: "Table",  # noqa: ARG002
        rng: np.random.Generator,
    ) -> NDArray[np.float64]:
        columns = known.schema.columns
        whole = tuple(range(len(columns)))
        queries = [*draw_queries(len(columns), self.queries, rng=rng), whole]
        codec = Codec(schema=known.schema)
        codes, plain = codec.encode(targets), plain_records(targets)
        summaries = [
            summarise(
                codec.encode(release),
                plain_records(release),
                columns=columns,
                targets=codes,
                target_records=plain,
                queries=queries,
            )
            for release in releases
        ]
        scores = tracing_scores(
            summaries, len(member), columns=columns, targets=codes, queries=queries
        )
        return _log_odds(scores, member)


def _log_odds(scores: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the log-odds of membership for each release and target, learned from shadows."""
    from sklearn.linear_model import LogisticRegression

    releases, targets, families = scores.shape
    known = member.ravel()
    if known.all() or not known.any():
        return np.zeros((releases, targets))
    model = LogisticRegression(C=0.1)
    model.fit(scores[: len(member)].reshape(-1, families), known)
    return model.decision_function(scores.reshape(-1, families)).reshape(releases, targets)
