"""Whether effects of interventions, under a user's causal graph, survive in the synthetic table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.intervals import jackknife_error, student_interval
from dpsynth.evaluation.metric import Metric, Score
from dpsynth.evaluation.sample import Sample
from dpsynth.sampling.causal_graph import CausalGraph

Codes: TypeAlias = NDArray[np.intp]
Array: TypeAlias = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class InterventionalTvd(Metric):
    """Mean total variation distance of P(effect | do(cause = v)), synthetic from real.

    For each column with effects in the graph, each of its descendants, and each value v that the
    column has among the real records, in proportion to their number: the law of the descendant, had
    everyone the value v. It is found by adjustment for the column's own causes z,
    sum over z of P(effect | v, z) P(z), over those z in which some real record has v. Where no
    synthetic record has v and z, that part of the law is nowhere, and all of it is wrong. So what
    counts is whether an analyst who trusts the graph draws the same conclusions from both tables;
    whether the graph is right neither can tell.

    The interval covers the expected score of a fresh synthetic table of the same size from the same
    model, by a delete-a-group jackknife over synthetic records.

    Args:
        graph: column -> its direct causes. Public knowledge: one that was learnt from the records
            has to be bought.
        groups: groups of the jackknife.

    Raises:
        InvalidValueError: a graph without an arrow or with a cycle; fewer than 2 groups.
        UnknownNameError: in scoring, a column that the schema lacks.
    """

    name: ClassVar[str] = "interventional_tvd"
    higher_is_better: ClassVar[bool] = False
    minimum: ClassVar[float] = 0.0
    maximum: ClassVar[float] = 1.0
    reads: ClassVar[Literal["train", "holdout"]] = "train"
    reference: ClassVar[str] = (
        "J. Pearl, Causality (2009), theorem 3.2.2 (adjustment for direct causes), weighted as in "
        "D. Horvitz and D. Thompson, A generalization of sampling without replacement (1952)"
    )
    graph: Mapping[str, tuple[str, ...]]
    groups: int = 20

    def __post_init__(self) -> None:
        arrows = {c: tuple(sorted(self.graph[c])) for c in sorted(self.graph) if self.graph[c]}
        if not arrows:
            raise InvalidValueError("graph", dict(self.graph), "with at least one arrow")
        CausalGraph(parents=arrows)
        # One order: equal graphs are equal metrics, however they were written.
        object.__setattr__(self, "graph", arrows)
        if self.groups < 2:
            raise InvalidValueError("groups", self.groups, "at least 2")

    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:  # noqa: ARG002
        return _distance(self._interventions(real, synthetic), np.arange(len(synthetic)))

    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        asked = self._interventions(real, synthetic)
        error = jackknife_error(
            lambda rows: _distance(asked, rows), len(synthetic), groups=self.groups, rng=rng
        )
        return student_interval(
            _distance(asked, np.arange(len(synthetic))),
            error,
            freedom=max(min(self.groups, len(synthetic)) - 1, 1),
            minimum=self.minimum,
            maximum=self.maximum,
        )

    def _interventions(self, real: Sample, synthetic: Sample) -> "list[_Intervention]":
        graph = CausalGraph.of(real.schema, self.graph)
        position = {name: i for i, name in enumerate(real.schema.names)}
        causes = sorted({cause for listed in self.graph.values() for cause in listed})
        return [
            _Intervention.of(
                real,
                synthetic,
                cause=position[name],
                adjusted=[position[c] for c in graph.parents.get(name, ())],
                effects=[position[effect] for effect in graph.descendants({name})],
            )
            for name in causes
        ]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class _Intervention:
    """Interventions on one column, and what both tables hold of them.

    Args:
        shares: of the column's values among the real records.
        cell: cell (v, z) of each synthetic record.
        stratum: z of each synthetic record.
        value_of, stratum_of: v and z of each cell.
        occupied: whether a real record is in the cell.
        outcomes: an array an effect, of v and effect of each synthetic record, as one number.
        laws: the real law of each effect, a row a value v.
    """

    shares: Array
    cell: Codes
    stratum: Codes
    value_of: Codes
    stratum_of: Codes
    occupied: NDArray[np.bool_]
    outcomes: list[Codes]
    laws: list[Array]

    @classmethod
    def of(
        cls,
        real: Sample,
        synthetic: Sample,
        *,
        cause: int,
        adjusted: list[int],
        effects: list[int],
    ) -> Self:
        """Return interventions on column `cause`, adjusted for others, on its effects."""
        n, size = len(real), real.sizes[cause]
        stratum = _numbered([_both(real, synthetic, i) for i in adjusted], n + len(synthetic))
        value = _both(real, synthetic, cause)
        cell = _numbered([stratum, value], len(value))
        cells = int(cell.max()) + 1
        value_of, stratum_of = np.empty(cells, dtype=np.intp), np.empty(cells, dtype=np.intp)
        value_of[cell], stratum_of[cell] = value, stratum
        outcomes = [value * real.sizes[e] + _both(real, synthetic, e) for e in effects]
        occupied = np.bincount(cell[:n], minlength=cells) > 0
        weight = _weights(cell[:n], stratum[:n], value_of, stratum_of, occupied)
        return cls(
            shares=np.bincount(value[:n], minlength=size) / n,
            cell=cell[n:],
            stratum=stratum[n:],
            value_of=value_of,
            stratum_of=stratum_of,
            occupied=occupied,
            outcomes=[o[n:] for o in outcomes],
            laws=[
                _law(o[:n], weight, (size, real.sizes[e]))
                for o, e in zip(outcomes, effects, strict=True)
            ],
        )

    def distances(self, rows: Codes) -> list[float]:
        """Return the distance of the law of each effect, by the synthetic records at `rows`."""
        weight = _weights(
            self.cell[rows], self.stratum[rows], self.value_of, self.stratum_of, self.occupied
        )
        found: list[float] = []
        for outcome, law in zip(self.outcomes, self.laws, strict=True):
            made = _law(outcome[rows], weight, law.shape)
            nowhere = np.maximum(1 - made.sum(axis=1), 0)
            found.append(float(self.shares @ (np.abs(law - made).sum(axis=1) + nowhere)) / 2)
        return found


def _distance(asked: list[_Intervention], rows: Codes) -> float:
    return float(np.mean([d for intervention in asked for d in intervention.distances(rows)]))


def _both(first: Sample, second: Sample, column: int) -> Codes:
    return np.concatenate([first.columns[column], second.columns[column]])


def _numbered(columns: list[Codes], rows: int) -> Codes:
    """Return the number of each row's combination of values, among those that occur."""
    found = np.zeros(rows, dtype=np.intp)
    for column in columns:
        found = np.unique(found * (int(column.max()) + 1) + column, return_inverse=True)[1]
    return found


def _weights(
    cell: Codes,
    stratum: Codes,
    value_of: Codes,
    stratum_of: Codes,
    occupied: NDArray[np.bool_],
) -> Array:
    """Return what each record weighs in the law of effects under do(cause = its own value).

    P(z) / n(v, z), with P(z) among those z in which a real record has v: weighted so, the records
    that have v have the law that all would have. Records that no real one is like weigh nothing.
    """
    around = np.bincount(stratum, minlength=int(stratum_of.max()) + 1)[stratum_of] * occupied
    total = np.bincount(value_of, weights=around)[value_of]
    here = np.bincount(cell, minlength=len(value_of))
    weight: Array = around / np.maximum(total, 1) / np.maximum(here, 1)
    return weight[cell]


def _law(outcome: Codes, weight: Array, shape: tuple[int, ...]) -> Array:
    law: Array = np.bincount(outcome, weights=weight, minlength=shape[0] * shape[1])  # pyright: ignore[reportAssignmentType] - with weights they are floats
    return law.reshape(shape)
