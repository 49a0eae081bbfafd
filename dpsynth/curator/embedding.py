"""The mean embedding of records: a sum of random Fourier features, in whole numbers."""

from dataclasses import dataclass
from math import sqrt
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.answering import Answering
from dpsynth.curator.counting import Counter
from dpsynth.curator.pricing import share
from dpsynth.curator.queries import AdditiveQuery
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring

TURN = 2**16
"""Parts of a full circle in which phases are stated: sums of 16-bit numbers wrap as angles do."""

RADIUS = 2**16
"""Length of one feature (its cosine and its sine), in the units in which features are whole."""

# Sums stay exact in a double: fewer than 2**31 records of at most 2**16 each.
_ANSWER_CEILING = 2**22
_CHUNK_FEATURES = 2**22


def circle() -> NDArray[np.int64]:
    """Return cosine and sine of every phase, of shape (2, TURN), times RADIUS, towards zero.

    Rounding towards zero makes nothing longer, so that each column's length is at most RADIUS.
    """
    angles = np.arange(TURN) * (2 * np.pi / TURN)
    return np.trunc(np.stack([np.cos(angles), np.sin(angles)]) * RADIUS).astype(np.int64)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingQuery(AdditiveQuery):
    """The sum over records of m features, cos and sin of an angle, apart for each code of a label.

    A record's j-th angle is the sum over its attributes of what `phases` says of their codes. Its
    features are looked up on a circle of `TURN` points, as integers that depend on its codes alone:
    no order of summation and no processor changes them.

    Sensitivity: cosine and sine of one angle have length at most RADIUS (`circle`, checked in
    integers), so a record's m of them have length at most R = RADIUS sqrt(m), all in the cells of
    its own label. k rows that come or go add up to k R at most, by the triangle inequality, and
    come near it when they are alike. k rows that become k others move the sum by 2 k R at most,
    approached where all angles turn to the other side. In L1 norm at most sqrt(2m) times as much
    a record (Cauchy and Schwarz: it has 2m numbers that are not 0).
    Cost: one Gaussian (or Laplace) event.

    Args:
        phases: uint16, of shape (sum of the attributes' codes, m), attribute after attribute.
        label: the attribute whose codes are kept apart; None: the whole table is one sum.

    Reference: Harder, Adamczewski & Park 2021 (DP-MERF), equations 6 to 9; Rahimi & Recht 2007
        (random Fourier features). Here on sums of records, so that their number is no part of the
        sensitivity.
    """

    phases: NDArray[np.uint16]
    label: str | None = None

    @property
    def counted(self) -> tuple[Clique, ...]:
        return ()

    def check(self, domain: Domain) -> None:
        rows = sum(domain.shape)
        fits = self.phases.ndim == 2 and self.phases.dtype == np.uint16
        if not fits or len(self.phases) != rows or not self.phases.shape[1]:
            rule = f"16-bit angles of {rows} codes, at least one of each"
            raise InvalidValueError("phases", self.phases.shape, rule)
        if self.label is not None:
            domain.canonical((self.label,))  # refuses one that is unknown
        if self.cells(domain) > _ANSWER_CEILING:
            rule = f"at most {_ANSWER_CEILING}, for all codes of the label"
            raise InvalidValueError("features", self.cells(domain), rule)

    def cells(self, domain: Domain) -> int:
        labels = 1 if self.label is None else domain.sizes[self.label]
        return 2 * self.phases.shape[1] * labels

    def evaluate(self, counter: Counter) -> NDArray[np.int64]:
        codes, domain = counter.codes, counter.domain
        axis = None if self.label is None else domain.attributes.index(self.label)
        found = np.zeros((2, self.cells(domain) // self._count // 2, self._count), dtype=np.int64)
        tables = np.split(self.phases, np.cumsum(domain.shape)[:-1])
        waves = circle()
        rows = max(1, _CHUNK_FEATURES // self._count)
        for start in range(0, len(codes), rows):
            block = codes[start : start + rows]
            angles = np.zeros((len(block), self._count), dtype=np.uint16)
            for table, column in zip(tables, block.T, strict=True):
                angles += table[column]
            labels = np.zeros(len(block), dtype=np.int64) if axis is None else block[:, axis]
            for label in np.unique(labels):
                own = angles[labels == label]
                for part, wave in zip(found, waves, strict=True):
                    part[int(label)] += wave[own].sum(axis=0)
        return found

    @property
    def _count(self) -> int:
        return self.phases.shape[1]

    def sensitivity(self, budget: Budget) -> float:
        moved = 1 if budget.relation is Neighbouring.ADD_REMOVE else 2
        length = moved * budget.max_rows_per_unit * RADIUS * sqrt(self._count)
        return length * (1.0 + 2.0**-50)

    def l1_sensitivity(self, budget: Budget) -> float:
        return self.sensitivity(budget) * sqrt(2 * self._count) * (1.0 + 2.0**-50)


def measured_embedding(
    answering: Answering, query: EmbeddingQuery, *, amount: float
) -> tuple[NDArray[np.float64], float]:
    """Charge and answer an `EmbeddingQuery`.

    Args:
        answering: of the records.
        query: what is asked.
        amount: what it may cost, in the accountant's currency.

    Returns:
        Cosines and sines summed over records, of shape (2, label codes, features), in records; and
        the standard deviation of the noise of each.

    Raises:
        BudgetExceededError: the budget does not cover it; nothing has changed.
        InvalidValueError, UnknownNameError: phases or a label that do not fit the domain.
        RecordsElsewhereError: the records are not in memory.
    """
    query.check(answering.pricing.domain)
    _ = answering.records("a mean embedding")
    sigma = answering.pricing.sigma(share(amount, "queries", 1), query)
    noisy = answering.measure([("mean embedding", query, sigma)])[0]
    return noisy / RADIUS, sigma / RADIUS
