"""Membership: does a release tell whether a person was in the training table?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.attack import Attack, AttackResult, AttackTarget, ThreatModel, fisher_p_value
from dpsynth.audit.membership_features import Summary, draw_queries, summarise, tracing_scores
from dpsynth.audit.records import distances, plain_records
from dpsynth.audit.statistics import clopper_pearson
from dpsynth.data.columns import Column
from dpsynth.data.encoding import Codec
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import auc_score

NEIGHBOURS = 5
LOW_FALSE_POSITIVE_RATE = 0.05


@final
@dataclass(frozen=True, kw_only=True)
class ShadowMembership(Attack):
    """Tell members from non-members with a classifier trained on shadow releases.

    Scenario: the attacker holds the release, knows the mechanism and its budget, and knows every
    record of the training table except whether each of some targets was among them: the neighbours
    of differential privacy. They run the mechanism on tables with and without the targets, learn
    how releases differ, and claim membership from a release that they did not train on. Targets are
    the most isolated records of a sample of the training table. Success: the claim "member" of a
    target that was one. Baseline: the same claim by the toss of a coin. Control: the claim "member"
    of a target in releases that it was not used for. Each target is used for each release with
    probability one half, so that one fit serves all targets, used and unused alike.

    The cost is `fits` runs of the mechanism on tables of about `rows` records. A target stands out
    more among few records than among many, so a small table errs on the side of finding leaks.

    Claims about many targets in one release share its noise: the p-value is exact nevertheless,
    for when nothing leaks claims and memberships are independent; the intervals are too narrow when
    much leaks, and none of this bounds epsilon from below.

    Args:
        targets: records attacked.
        shadows: releases that the classifier learns from.
        releases: releases attacked.
        rows: most records of each training table.
        queries: targeted queries, on one to four columns.

    Raises:
        InvalidValueError: a parameter below 1, or fewer than two shadows.
    """

    name: ClassVar[str] = "membership"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="the mechanism, its budget, and all training records but the targets' membership",
        succeeds="a target that was in the training table is called a member",
    )
    reference: ClassVar[str] = (
        "T. Stadler, B. Oprisanu and C. Troncoso, Synthetic Data: Anonymisation Groundhog Day "
        "(2022), section 5; F. Houssiau et al., TAPAS: a Toolbox for Adversarial Privacy Auditing "
        "of Synthetic Data (2022); targets shared by fits as in N. Carlini et al., Membership "
        "Inference Attacks From First Principles (2022), section 4"
    )
    needs_refit: ClassVar[bool] = True
    targets: int = 16
    shadows: int = 16
    releases: int = 8
    rows: int = 500
    queries: int = 64

    def __post_init__(self) -> None:
        for field, least in (
            ("targets", 1),
            ("shadows", 2),
            ("releases", 1),
            ("rows", 2),
            ("queries", 1),
        ):
            if getattr(self, field) < least:
                raise InvalidValueError(field, getattr(self, field), f"at least {least}")

    @property
    def fits(self) -> int:
        """How often the mechanism runs."""
        return self.shadows + self.releases

    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        if target.refit is None:
            raise InvalidValueError("refit", None, f"given for the attack {self.name!r}")
        if len(target.train) < 2:
            raise InvalidValueError("train", "one record", f"two or more for {self.name!r}")
        sample = target.train.take(rng.permutation(len(target.train))[: self.rows])
        order = np.argsort(-isolation(sample, rng=rng), kind="stable")
        count = min(self.targets, len(sample) // 2)
        people, others = order[:count], order[count:]
        member = rng.random((self.fits, count)) < 0.5
        queries = draw_queries(len(sample.schema.columns), self.queries, rng=rng)
        codec = Codec(schema=sample.schema)
        codes, plain = codec.encode(sample)[people], plain_records(sample)[people]
        summaries: list[Summary] = []
        for chosen, stream in zip(member, rng.spawn(self.fits), strict=True):
            rows = stream.permutation(np.concatenate([others, people[chosen]]))
            release = target.refit(sample.take(rows), rng=stream)
            summaries.append(
                summarise(
                    codec.encode(release),
                    plain_records(release),
                    columns=sample.schema.columns,
                    targets=codes,
                    target_records=plain,
                    queries=queries,
                )
            )
        scores = tracing_scores(
            summaries,
            self.shadows,
            columns=sample.schema.columns,
            targets=codes,
            queries=queries,
        )
        return self._judge(self._classify(scores, member), member, rng)

    def _classify(
        self, scores: NDArray[np.float64], member: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the log-odds of membership for each release and target, learned from shadows."""
        from sklearn.linear_model import LogisticRegression

        families = scores.shape[2]
        known = member[: self.shadows].ravel()
        if known.all() or not known.any():
            return np.zeros(member.shape)
        model = LogisticRegression(C=0.1)
        model.fit(scores[: self.shadows].reshape(-1, families), known)
        return model.decision_function(scores.reshape(-1, families)).reshape(member.shape)

    def _judge(
        self, odds: NDArray[np.float64], member: NDArray[np.bool_], rng: np.random.Generator
    ) -> AttackResult:
        used, guess = member[self.shadows :], odds[self.shadows :]
        claim = guess > 0
        hits, control_hits = int((claim & used).sum()), int((claim & ~used).sum())
        trials, control_trials = int(used.sum()), int((~used).sum())
        return AttackResult(
            attack=self.name,
            identity=self.identity,
            successes=hits,
            trials=trials,
            baseline_successes=int(rng.binomial(trials, 0.5)),
            baseline_trials=trials,
            control_successes=control_hits,
            control_trials=control_trials,
            p_value=fisher_p_value(hits, trials, control_hits, control_trials),
            measures={
                **_area(guess, used),
                **_low_rates(odds, member, self.shadows),
            },
        )


def isolation(table: Table, *, rng: np.random.Generator) -> NDArray[np.float64]:
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


def _area(odds: NDArray[np.float64], member: NDArray[np.bool_]) -> dict[str, float]:
    if member.all() or not member.any():
        return {}
    area = auc_score(odds[member], odds[~member])
    return {"auc": area.value, "auc_lower": area.lower, "auc_upper": area.upper}


def _low_rates(
    odds: NDArray[np.float64], member: NDArray[np.bool_], shadows: int
) -> dict[str, float]:
    """Return both rates at a threshold that few non-members of the shadow releases exceed."""
    unused = odds[:shadows][~member[:shadows]]
    if unused.size == 0:
        return {}
    threshold = float(np.quantile(unused, 1 - LOW_FALSE_POSITIVE_RATE))
    claim, used = odds[shadows:] > threshold, member[shadows:]
    found: dict[str, float] = {}
    for name, part in (("tpr_at_low_fpr", claim[used]), ("low_fpr", claim[~used])):
        if part.size:
            interval = clopper_pearson(int(part.sum()), part.size)
            found[name] = float(part.mean())
            found[f"{name}_lower"], found[f"{name}_upper"] = interval.lower, interval.upper
    return found
