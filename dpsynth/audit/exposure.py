"""Canaries: does a release show records that were put into the training table on purpose?"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.attack import (
    Attack,
    AttackResult,
    AttackTarget,
    Question,
    ThreatModel,
    fisher_p_value,
)
from dpsynth.audit.records import distances, plain_records
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.estimation import estimate

NEIGHBOURS = 5
# What the mean of the nearest rows counts for beside the nearest one: it decides ties.
_TIE = 1e-3


@final
@dataclass(frozen=True, kw_only=True)
class CanaryExposure(Attack):
    """Tell records that were inserted from equal ones that were not, by how near the release comes.

    Scenario: before training, records of uniformly random values, unlike anybody's, are added to
    the table, each with probability one half. The attacker knows all of them, sees the release, and
    calls those inserted that it comes nearer to than to the median one. Success: the claim of one
    that was inserted. Baseline: the toss of a coin. Control: the claim of one that was not.

    Exposure is how many bits of the search for an inserted record the release saves: log2 of the
    number of records never inserted, and one, less log2 of its rank among them. It is 1.44 bits in
    the mean where the release tells nothing, and at most `exposure_limit`. It measures what a
    model memorises; a low one bounds nothing.

    Args:
        canaries: records that may be inserted.
        copies: how often each of those inserted is.
        releases: runs of the mechanism, each with other records inserted.
        rows: most records of the training table, beside them.

    Raises:
        InvalidValueError: a parameter below 1, or fewer than two canaries.
    """

    name: ClassVar[str] = "canary_exposure"
    question: ClassVar[Question] = "inference"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="all records that may have been inserted",
        succeeds="a record that was inserted is called inserted",
    )
    reference: ClassVar[str] = (
        "N. Carlini, C. Liu, U. Erlingsson, J. Kos and D. Song, The Secret Sharer (2019), "
        "section 4 (exposure), with the distance to the release for the likelihood"
    )
    needs_refit: ClassVar[bool] = True
    canaries: int = 128
    copies: int = 1
    releases: int = 2
    rows: int = 2000

    def __post_init__(self) -> None:
        for field, least in (("canaries", 2), ("copies", 1), ("releases", 1), ("rows", 1)):
            if getattr(self, field) < least:
                raise InvalidValueError(field, getattr(self, field), f"at least {least}")

    def run(self, target: AttackTarget, *, rng: np.random.Generator) -> AttackResult:
        if target.refit is None:
            raise InvalidValueError("refit", None, f"given for the attack {self.name!r}")
        sample = target.train.take(rng.permutation(len(target.train))[: self.rows])
        domain = sample.schema.domain
        anything = GraphicalSyntheticModel(
            schema=sample.schema, model=estimate(domain, (), total=1.0)
        )
        secrets = anything.sample(self.canaries, rng=rng)
        inserted = rng.random((self.releases, self.canaries)) < 0.5
        apart = np.empty((self.releases, self.canaries))
        for k, stream in enumerate(rng.spawn(self.releases)):
            train = _with_records(sample, secrets, inserted[k], self.copies, rng=stream)
            apart[k] = _nearness(secrets, target.refit(train, rng=stream))
        return self._judge(apart, inserted, rng)

    def _judge(
        self, apart: NDArray[np.float64], inserted: NDArray[np.bool_], rng: np.random.Generator
    ) -> AttackResult:
        claim = apart < np.median(apart, axis=1, keepdims=True)
        hits, control_hits = int((claim & inserted).sum()), int((claim & ~inserted).sum())
        trials, control_trials = int(inserted.sum()), int((~inserted).sum())
        found = [exposures(a[i], a[~i]) for a, i in zip(apart, inserted, strict=True)]
        bits = np.concatenate(found)
        unused = int((~inserted).sum(axis=1).max())
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
                "exposure": float(bits.mean()) if bits.size else 0.0,
                "exposure_max": float(bits.max()) if bits.size else 0.0,
                "exposure_limit": float(np.log2(unused + 1)),
            },
        )


def exposures(inserted: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exposure of each inserted record in bits, from distances to the release.

    Args:
        inserted: distance of each.
        others: distances of records that were not inserted; ties count half.
    """
    nearer = (others < inserted[:, None]).sum(axis=1) + 0.5 * (others == inserted[:, None]).sum(
        axis=1
    )
    return np.log2(len(others) + 1) - np.log2(nearer + 1)


def _with_records(
    table: Table,
    secrets: Table,
    inserted: NDArray[np.bool_],
    copies: int,
    *,
    rng: np.random.Generator,
) -> Table:
    """Return the table with copies of the inserted records, in random order."""
    import pandas as pd

    added = secrets.frame[inserted]
    frame = pd.concat([table.frame, *[added] * copies], ignore_index=True)
    return Table.from_frame(table.schema, frame.iloc[rng.permutation(len(frame))])


def _nearness(secrets: Table, release: Table) -> NDArray[np.float64]:
    """Return how far each record is from the release: smaller is nearer."""
    columns, known = secrets.schema.columns, min(NEIGHBOURS, len(release))
    found: list[NDArray[np.float32]] = []
    for chunk in distances(columns, plain_records(secrets), plain_records(release)):
        nearest = np.partition(chunk, known - 1, axis=1)[:, :known]
        found.append(nearest.min(axis=1) + _TIE * nearest.mean(axis=1))
    return np.concatenate(found).astype(np.float64)
