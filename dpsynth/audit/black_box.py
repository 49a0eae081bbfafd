"""The audit of anything that makes synthetic records: independent runs in each world, scored by
queries about the record that differs."""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.claim import ClaimAudit, summarised
from dpsynth.audit.failures import FailedRuns, Failure, tallied
from dpsynth.audit.fits import Fits, Outcome
from dpsynth.audit.neighbours import NeighbouringTables
from dpsynth.audit.registration import Registration, looks_up_to
from dpsynth.audit.scores import BestFeature, Discriminant, Score, Symbols
from dpsynth.audit.sequential import Part, Source, look_at
from dpsynth.audit.subjects import Subject
from dpsynth.audit.tradeoff import TradeOff
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget

_MOST_QUERIES = 40
_STATED = "stated"


def audit_black_box(
    subject: Subject,
    budget: Budget,
    pairs: Mapping[str, NeighbouringTables],
    *,
    runs: int = 300,
    alpha: float = 0.05,
    seed: int = 0,
    cache: Path | None = None,
    workers: int = 1,
    announce: Callable[[Registration], None] | None = None,
) -> ClaimAudit:
    """Return the verdict on the claim that `subject` keeps `budget`, from its outputs alone.

    An audit of n test runs takes 2 n runs in each of two worlds for each pair. The claim that is
    tested is (epsilon, delta) as stated, nothing being known of what is inside.

    Args:
        subject: what is audited.
        budget: the claim.
        pairs: tables by name.
        runs: test runs in each world at the last look.
        alpha: probability of reporting a violation where there is none.
        seed: of the runs that can be seeded.
        cache: a folder where runs are kept.
        workers: processes at a time, 1 or 2.
        announce: is given the registration before anything runs.

    Raises:
        InvalidValueError: fewer than 50 runs, alpha outside (0, 1), workers out of range, or a
            subject that gave no records in any training run.
    """
    fits = [
        Fits(
            subject=subject,
            tables=tables,
            epsilon=budget.epsilon,
            folder=cache,
            workers=workers,
            seed=seed,
        )
        for tables in pairs.values()
    ]
    sources = [QueryScores(f) for f in fits]
    registration = Registration(
        mechanism=subject.name,
        claim=f"({budget.epsilon:g}, {budget.delta:g}), {budget.relation}, as stated",
        pairs=tuple(f"{name} {tables.digest[:12]}" for name, tables in pairs.items()),
        families=sources[0].families,
        looks=looks_up_to(runs),
        alpha=alpha,
        seed=seed,
    )
    if announce is not None:
        announce(registration)
    claim = TradeOff(mu=None, pairs=((budget.epsilon, budget.delta),))
    looks = look_at(sources, [claim] * len(sources), registration, delta=budget.delta)
    return summarised(
        looks,
        registration,
        budget,
        accountant=_STATED,
        claims=dict.fromkeys(registration.pairs, claim),
        failures=tuple(
            failed
            for pair, source in zip(registration.pairs, sources, strict=True)
            for failed in source.failures(pair)
        ),
    )


@final
class QueryScores(Source):
    """Scores of synthetic tables by how many records agree with the one that differs.

    Families: `crash` and `misfit`, whether a run failed in that way; `LDA`, `QDA`, `best query` and
    `atoms` over counts of agreeing records, on sets of columns, and means of columns. What is
    learned is learned on runs that gave records; one that failed stands at their mean, where the
    other families can tell little.

    Args:
        fits: the runs.
    """

    def __init__(self, fits: Fits) -> None:
        self._fits = fits
        self._features = QueryFeatures(fits.tables)
        self._scores: list[Score] = [
            Discriminant(quadratic=False),
            Discriminant(quadratic=True),
            BestFeature(),
            Symbols(bits=False),
        ]
        self._mean: NDArray[np.float64] | None = None
        self._seen: dict[Part, tuple[list[Outcome], list[Outcome]]] = {}

    @property
    def families(self) -> tuple[str, ...]:
        return ("crash", "misfit", *(score.name for score in self._scores))

    def learn(self, runs: int) -> None:
        worlds = [self._outcomes(world, runs, "training") for world in (0, 1)]
        made = [[self._features(o) for o in w if not isinstance(o, Failure)] for w in worlds]
        if not any(made):
            first = next(o.reason for w in worlds for o in w if isinstance(o, Failure))
            rule = f"one that gives records in some runs; all failed, as with {first.rstrip('.')!r}"
            raise InvalidValueError("generator", self._fits.subject.name, rule)
        self._mean = np.concatenate([np.array(w) for w in made if w]).mean(axis=0)
        first, second = (np.array(w or [self._mean]) for w in made)
        for score in self._scores:
            score.learn(first, second)

    def scores(self, world: int, runs: int, *, part: Part) -> NDArray[np.float64]:
        outcomes = self._outcomes(world, runs, part)
        features = np.array([self._filled(o) for o in outcomes])
        failed = [np.array([o == name for o in _names(outcomes)]) for name in ("crash", "misfit")]
        return np.stack(
            [*(f.astype(np.float64) for f in failed), *(score(features) for score in self._scores)]
        )

    def failures(self, pair: str) -> tuple[FailedRuns, ...]:
        """Return the runs that failed among all that the last look had.

        Args:
            pair: the name of the tables.
        """
        first, second = ([o for part in self._seen.values() for o in part[w]] for w in (0, 1))
        return tallied(pair, (first, second))

    def _outcomes(self, world: int, runs: int, part: Part) -> list[Outcome]:
        found = self._fits.outcomes(world, runs, part=part)
        self._seen.setdefault(part, ([], []))[world][:] = found
        return found

    def _filled(self, outcome: Outcome) -> NDArray[np.float64]:
        assert self._mean is not None
        return self._mean if isinstance(outcome, Failure) else self._features(outcome)


def _names(outcomes: list[Outcome]) -> list[str]:
    return [o.kind if isinstance(o, Failure) else "" for o in outcomes]


@final
class QueryFeatures:
    """Numbers that describe a synthetic table by the records that differ between two tables.

    They are the number of rows, the mean code of each column, and for each record in which the
    tables differ the number of rows that agree with it on a set of columns: all sets where there
    are few columns, else single ones, pairs in turn, and all.

    Args:
        tables: the neighbours.
    """

    def __init__(self, tables: NeighbouringTables) -> None:
        first, second = (Counter(map(tuple, codes.tolist())) for codes in tables.codes())
        differing = [*(second - first), *(first - second)][:2]
        self._targets = [np.array(record) for record in differing]
        columns = len(tables.first.schema.names)
        sets = [c for size in range(1, columns + 1) for c in combinations(range(columns), size)]
        if len(sets) > _MOST_QUERIES:
            sets = [*sets[: _MOST_QUERIES - 1], tuple(range(columns))]
        self._queries = [list(s) for s in sets]

    def __call__(self, codes: NDArray[Any]) -> NDArray[np.float64]:
        """Return the features of one synthetic table's codes."""
        means = codes.mean(axis=0) if len(codes) else np.zeros(codes.shape[1])
        counts = [
            np.all(codes[:, query] == target[query], axis=1).sum()
            for target in self._targets
            for query in self._queries
        ]
        return np.array([len(codes), *means, *counts], dtype=np.float64)
