"""Canaries: does a release show records that were put into the training table on purpose?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.attacks.attack import Attack, AttackResult, AttackTarget, Question, ThreatModel
from dpsynth.attacks.claims import check_share, surest
from dpsynth.attacks.mama_mia import MamaMia
from dpsynth.attacks.reruns import Reruns, half
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.pgm.estimation import estimate

SETS = 200
"""Pairs of columns, at most."""


@final
@dataclass(frozen=True, kw_only=True)
class CanaryExposure(Attack):
    """Tell records that were inserted from others like them, by how full their cells are.

    Scenario: before training, records of uniformly random values, unlike anybody's, are added to
    the table, each with probability one half, and the mechanism runs again and again, each time
    with other ones, and once with none. The attacker knows all of them, sees the releases, and
    calls a share of them inserted in each: those whose cells of two columns, and of all, are
    fullest there, compared with the release that has none, and weighted by how empty they are among
    other records. Success: the claim of one that was inserted. Baseline: as many claims at random.
    Control: the claim of one that was not.

    Exposure is how many bits of the search for an inserted record the release saves: log2 of the
    number of records never inserted, and one, less log2 of its rank among them. It is 1.44 bits in
    the mean where the release tells nothing, and at most `exposure_limit`. It measures what a
    model memorises; a low one bounds nothing.

    Which records were inserted is a toss of a coin each, and claims are made of releases alone, so
    that Fisher's exact test holds where releases tell nothing. Claims are few since a mechanism may
    give a few records away and hide the others.

    Runs that fail are left out; half of those with records inserted must give a release, and one
    of as many without them.

    Args:
        canaries: records that may be inserted.
        copies: how often each of those inserted is.
        releases: runs of the mechanism, each with other records inserted, besides the one without.
        rows: most records of the training table, beside them.
        claims: share of the canaries that are called inserted.

    Raises:
        InvalidValueError: a whole number below 1, fewer than two canaries, or `claims` outside
            (0, 1).
    """

    name: ClassVar[str] = "canary_exposure"
    question: ClassVar[Question] = "inference"
    threat: ClassVar[ThreatModel] = ThreatModel(
        sees="the synthetic table",
        knows="all records that may have been inserted, and a release without them",
        succeeds="a record that was inserted is called inserted",
    )
    reference: ClassVar[str] = (
        "N. Carlini, C. Liu, U. Erlingsson, J. Kos and D. Song, The Secret Sharer (2019), "
        "section 4 (exposure), with the fullness of cells for the likelihood"
    )
    needs_refit: ClassVar[bool] = True
    canaries: int = 256
    copies: int = 1
    releases: int = 4
    rows: int = 2000
    claims: float = 0.05

    def __post_init__(self) -> None:
        self._check_counts(canaries=2)
        check_share(self.claims)

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
        reruns = Reruns(target.refit, attack=self.name)
        trains = (
            (_with_records(sample, secrets, chosen, self.copies, rng=stream), stream)
            for chosen, stream in zip(inserted, rng.spawn(self.releases), strict=True)
        )
        outcomes = reruns(
            trains, planned=self.releases, needed=half(self.releases), what="runs with canaries"
        )
        without = reruns.first(sample, rng.spawn(self.releases), what="runs without canaries")
        releases = [release for release in outcomes if release is not None]
        inserted = inserted[[release is not None for release in outcomes]]
        full = fullness(secrets, [*releases, without], target.control, rng=rng)
        return self._judge(full[:-1] - full[-1], inserted, reruns.notes, rng)

    def _judge(
        self,
        full: NDArray[np.float64],
        inserted: NDArray[np.bool_],
        notes: tuple[str, ...],
        rng: np.random.Generator,
    ) -> AttackResult:
        found = [exposures(-f[i], -f[~i]) for f, i in zip(full, inserted, strict=True)]
        bits = np.concatenate(found)
        unused = int((~inserted).sum(axis=1).max())
        claim = surest(full, self.claims, rng=rng)
        return AttackResult.counted(
            self,
            claim[inserted],
            claim[~inserted],
            rng.random(int(inserted.sum())) < claim.mean(),
            measures={
                "exposure": float(bits.mean()) if bits.size else 0.0,
                "exposure_max": float(bits.max()) if bits.size else 0.0,
                "exposure_limit": float(np.log2(unused + 1)),
            },
            notes=notes,
        )


def fullness(
    secrets: Table, releases: Sequence[Table], others: Table, *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how full each record's cells of two columns, and of all, are in each release.

    Args:
        secrets: records.
        releases: tables.
        others: records that say how full cells are in the population.
        rng: source of the pairs of columns, where there are too many to take all.

    Returns:
        releases x records.
    """
    names = secrets.schema.names
    every = list(combinations(names, 2))
    pairs = tuple(every[i] for i in rng.permutation(len(every))[:SETS])

    def full(marginals: tuple[tuple[str, ...], ...]) -> NDArray[np.float64]:
        attack = MamaMia(marginals=marginals)
        return np.array([attack.scores(secrets, r, others, rng=rng) for r in releases])

    # A record that is released as it is says as much as all pairs of its values.
    return full(pairs) + max(len(pairs), 1) * full((names,))


def exposures(inserted: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the exposure of each inserted record in bits.

    Args:
        inserted: a number for each, the lower the surer.
        others: numbers of records that were not inserted; ties count half.
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
