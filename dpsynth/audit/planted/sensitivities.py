"""Bugs in how far an answer is said to move: found by asking it of all kinds of neighbours."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.planted.bug import LISTED, PlantedBug
from dpsynth.audit.planted.sketch import (
    ADD_REMOVE,
    REPLACE,
    Fit,
    Released,
    inside,
    records,
    released,
)
from dpsynth.curator.counting import Counter
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import AdditiveQuery, Query
from dpsynth.data.domain import Clique, Domain
from dpsynth.data.table import Table
from dpsynth.privacy.budget import Budget

THREE_ROWS = Budget(epsilon=1.0, delta=1e-6, unit="person", max_rows_per_unit=3)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Stated(AdditiveQuery):
    """Numbers that move by `most` in L2 norm, or so it says.

    Args:
        answer: the exact numbers, from counts.
        size: how many they are.
        most: what is stated, of a budget.
    """

    answer: Callable[[Counter], NDArray[np.int64]]
    size: int
    most: Callable[[Budget], float]

    @property
    def counted(self) -> tuple[Clique, ...]:
        return ()

    def check(self, domain: Domain) -> None:
        """Nothing can be wrong with the domain."""

    def cells(self, domain: Domain) -> int:
        del domain
        return self.size

    def evaluate(self, counter: Counter) -> NDArray[np.int64]:
        return self.answer(counter)

    def sensitivity(self, budget: Budget) -> float:
        return self.most(budget)

    def l1_sensitivity(self, budget: Budget) -> float:
        return self.most(budget) * sqrt(self.size)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class StatedScores(Query):
    """L1 errors of guesses of one-way marginals, each of which moves by `most`, or so it says."""

    most: Callable[[Budget], float]

    def check(self, domain: Domain) -> None:
        """Nothing can be wrong with the domain."""

    def evaluate(self, counter: Counter) -> NDArray[np.float64]:
        counts = (counter.counts((name,)) for name in ("x0", "x1"))
        return np.array([np.abs(found - 6.0).sum() for found in counts])

    def sensitivity(self, budget: Budget) -> float:
        return self.most(budget)


def _histogram(counter: Counter) -> NDArray[np.int64]:
    return counter.counts(("x0",)).ravel()


def _two_histograms(counter: Counter) -> NDArray[np.int64]:
    return np.concatenate([counter.counts((name,)).ravel() for name in ("x0", "x1")])


def _products(clip: int | None) -> Callable[[Counter], NDArray[np.int64]]:
    """Return the sum over records of x0 * x1, of values that are clipped, or not."""

    def answer(counter: Counter) -> NDArray[np.int64]:
        counts = counter.counts(("x0", "x1"))
        values = np.arange(counts.shape[0])
        values = values if clip is None else np.minimum(values, clip)
        return np.array([int((counts * np.multiply.outer(values, values)).sum())])

    return answer


def _asked(
    answer: Callable[[Counter], NDArray[np.int64]], size: int, most: Callable[[Budget], float]
) -> Callable[[PrivateData, np.random.Generator], Released]:
    def rule(private: PrivateData, rng: np.random.Generator) -> Released:
        del rng
        query = Stated(answer=answer, size=size, most=most)
        sigma = inside(private).pricing.sigma(private.remaining, query)
        return released(private, inside(private).measure([("numbers", query, sigma)])[0])

    return rule


def _selected(most: Callable[[Budget], float]) -> Any:
    def rule(private: PrivateData, rng: np.random.Generator) -> Released:
        del rng
        epsilon = private.selection_epsilon_for(private.remaining)
        chosen = inside(private).select("selection", StatedScores(most=most), 2, epsilon)
        return released(private, np.array([chosen]))

    return rule


def _wide() -> Table:
    return records(codes=5)


def _people() -> Table:
    return records(unit="person", rows_a_unit=3)


def _pair(
    rules: tuple[Any, Any], *, budget: Budget = REPLACE, table: Callable[[], Table] = records
) -> tuple[Fit, Fit]:
    faulty, twin = (
        Fit(rule=rule, found_by="sensitivity", budget=budget, table=table) for rule in rules
    )
    return faulty, twin


_RELATION = _pair(
    (
        _asked(_histogram, 2, lambda _: 1.0),
        _asked(_histogram, 2, lambda budget: budget.l2_sensitivity),
    )
)
_JOINT = _pair(
    (
        _asked(_two_histograms, 4, lambda budget: budget.l2_sensitivity),
        _asked(_two_histograms, 4, lambda budget: sqrt(2.0) * budget.l2_sensitivity),
    ),
    budget=ADD_REMOVE,
)
_UNIT = _pair(
    (
        _asked(_histogram, 2, lambda _: 1.0),
        _asked(_histogram, 2, lambda budget: budget.l2_sensitivity),
    ),
    budget=THREE_ROWS,
    table=_people,
)
_SCORE = _pair((_selected(lambda _: 1.0), _selected(lambda budget: budget.l1_sensitivity)))
_COVARIANCE = _pair(
    (_asked(_products(None), 1, lambda _: 1.0), _asked(_products(1), 1, lambda _: 1.0)),
    budget=ADD_REMOVE,
    table=_wide,
)

SENSITIVITIES = (
    PlantedBug(
        name="replace claimed, add/remove computed",
        defect="A histogram under replacement gets noise for one count that moves by one.",
        seen=LISTED,
        faulty=_RELATION[0],
        twin=_RELATION[1],
    ),
    PlantedBug(
        name="joint sensitivity of one part",
        defect="Two histograms in one answer get the noise of one.",
        seen="Not seen under a name; equals noise too small by the root of the number of parts.",
        faulty=_JOINT[0],
        twin=_JOINT[1],
    ),
    PlantedBug(
        name="rows of a unit ignored",
        defect="A person may have three rows, and noise is for one.",
        seen=LISTED,
        faulty=_UNIT[0],
        twin=_UNIT[1],
    ),
    PlantedBug(
        name="score moves by two",
        defect="An L1 error under replacement is said to move by one.",
        seen="Not seen under a name; the histogram's defect, in a score.",
        faulty=_SCORE[0],
        twin=_SCORE[1],
    ),
    PlantedBug(
        name="covariance of unclipped records",
        defect="Products of values are summed without clipping them to the stated bound.",
        seen=LISTED,
        faulty=_COVARIANCE[0],
        twin=_COVARIANCE[1],
    ),
)
