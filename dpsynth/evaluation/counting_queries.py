"""Shares of records that satisfy conjunctions of conditions: range and point queries, and HOC."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.data.columns import CategoricalColumn
from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import influence_error, student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample

Conjunction: TypeAlias = dict[int, NDArray[np.bool_]]
"""Position of a column -> which of its codes satisfy the condition on it."""


@dataclass(frozen=True, kw_only=True)
class QueryMetric(Metric):
    """A mean over queries of how far real and synthetic shares of satisfying records are apart.

    The interval covers the expected score of a fresh synthetic table of the same size from the same
    model, for these queries, by the infinitesimal jackknife.

    Args:
        queries: how many are asked.
        seed: of the queries; part of the identity, so that two scores compare.
        most: records that are drawn from a larger table.

    Raises:
        InvalidValueError: no query, no record, or a negative seed.
    """

    reads: ClassVar[Literal["train", "holdout"]] = "train"
    minimum: ClassVar[float] = 0.0
    scale: ClassVar[float]
    queries: int = 300
    seed: int = 0
    most: int = 20_000

    def __post_init__(self) -> None:
        for field, least in (("queries", 1), ("most", 1), ("seed", 0)):
            if getattr(self, field) < least:
                raise InvalidValueError(field, getattr(self, field), f"at least {least}")

    @abstractmethod
    def asked(self, real: Sample, order: list[int], rng: np.random.Generator) -> list[Conjunction]:
        """Return the queries; `order` has the positions of columns by name."""

    @final
    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        return self.score(real, synthetic, rng=rng).value

    @final
    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        asked = self.asked(real, real.by_name, np.random.Generator(np.random.PCG64(self.seed)))
        first, second = (s.at_most(self.most, rng=rng) for s in (real, synthetic))
        apart, influence = 0.0, np.zeros(len(second))
        for query in asked:
            satisfying = _satisfied(second, query)
            excess = float(satisfying.mean() - _satisfied(first, query).mean())
            apart += abs(excess)
            influence += np.sign(excess) * satisfying
        mean = apart / len(asked)
        return student_interval(
            self.scale * (1.0 - mean if self.higher_is_better else mean),
            self.scale * influence_error(influence / len(asked)),
            freedom=max(len(second) - 1, 1),
            minimum=self.minimum,
            maximum=self.maximum,
        )


@final
@dataclass(frozen=True, kw_only=True)
class QueryError(QueryMetric):
    """Mean absolute error of queries on `ways` columns each: ranges of numbers, single categories.

    A range is one of all between two codes; the code of missing values is a range of its own.

    Args:
        ways: columns a query.

    Raises:
        InvalidValueError: no column.
    """

    name: ClassVar[str] = "query_error"
    higher_is_better: ClassVar[bool] = False
    maximum: ClassVar[float] = 1.0
    scale: ClassVar[float] = 1.0
    reference: ClassVar[str] = (
        "Range and point queries on k columns, mean absolute error of the share of records: "
        "R. McKenna, D. Sheldon and G. Miklau, Graphical-model based Estimation and Inference for "
        "Differential Privacy (2019), section 5, with errors not divided by the answers"
    )
    ways: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ways < 1:
            raise InvalidValueError("ways", self.ways, "at least 1")

    def asked(self, real: Sample, order: list[int], rng: np.random.Generator) -> list[Conjunction]:
        return [self._ask(real, order, rng) for _ in range(self.queries)]

    def _ask(self, real: Sample, order: list[int], rng: np.random.Generator) -> Conjunction:
        chosen = rng.choice(len(order), min(self.ways, len(order)), replace=False)
        query: Conjunction = {}
        for position in (order[int(k)] for k in chosen):
            column, codes = real.schema.columns[position], np.arange(real.sizes[position])
            low, high = np.sort(rng.integers(len(codes), size=2))
            missing = column.missing and high == codes[-1]
            if isinstance(column, CategoricalColumn) or missing:
                low = high
            query[position] = (codes >= low) & (codes <= high)
        return query


@final
@dataclass(frozen=True, kw_only=True)
class HigherOrderConjunctions(QueryMetric):
    """1,000 (1 - mean absolute difference of the shares of records similar to a real one).

    A query is a real record, of which each column is asked for with probability 1/3 (at least one
    of them is): a number within a random part of the column's range, a category among a random
    set that has the record's own.
    """

    name: ClassVar[str] = "hoc"
    higher_is_better: ClassVar[bool] = True
    maximum: ClassVar[float] = 1000.0
    scale: ClassVar[float] = 1000.0
    reference: ClassVar[str] = (
        "NIST, 2018 Differential Privacy Synthetic Data Challenge, Match 2 scoring (higher order "
        "conjunctions): 300 rules, each column in a rule with probability .33"
    )

    def asked(self, real: Sample, order: list[int], rng: np.random.Generator) -> list[Conjunction]:
        # Records are drawn by their rank, so that the order of rows plays no part.
        ranked = np.lexsort([real.codes[:, i] for i in order])
        chosen = ranked[(rng.random(self.queries) * len(real)).astype(np.intp)]
        return [self._ask(real, real.codes[row], order, rng) for row in chosen]

    def _ask(
        self,
        real: Sample,
        record: NDArray[np.integer[Any]],
        order: list[int],
        rng: np.random.Generator,
    ) -> Conjunction:
        included = rng.random(len(order)) < 1 / 3
        included[rng.integers(len(order))] = True
        query: Conjunction = {}
        for position, wanted in zip(order, included, strict=True):
            part = rng.random(real.sizes[position])
            if not wanted:
                continue
            codes, own = np.arange(real.sizes[position]), int(record[position])
            if isinstance(real.schema.columns[position], CategoricalColumn):
                near = part < 0.5
            else:
                near = np.abs(codes - own) <= part[0] * len(codes)
                if real.schema.columns[position].missing:
                    near[-1] = False
            near[own] = True
            query[position] = near
        return query


def _satisfied(sample: Sample, query: Conjunction) -> NDArray[np.bool_]:
    found = np.ones(len(sample), dtype=np.bool_)
    for position, codes in query.items():
        found &= codes[sample.columns[position]]
    return found
