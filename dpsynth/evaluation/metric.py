"""The contract of a metric: two tables in, one number with its interval out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np

from dpsynth.errors import InvalidValueError
from dpsynth.evaluation.sample import Sample, check_same_columns
from dpsynth.registry import METRICS

if TYPE_CHECKING:
    from dpsynth.data.datasets import Target
    from dpsynth.data.table import Table

CONFIDENCE = 0.95
"""Level of every interval of this package."""


@final
@dataclass(frozen=True, kw_only=True)
class Score:
    """A metric's value and its 95% interval; what the interval covers is stated by the metric.

    Args:
        value: the score.
        lower: lower end, at most `value`.
        upper: upper end, at least `value`.

    Raises:
        InvalidValueError: ends out of order, or a number that is none.
    """

    value: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not self.lower <= self.value <= self.upper:
            rule = f"within its interval [{self.lower!r}, {self.upper!r}]"
            raise InvalidValueError("score", self.value, rule)


@dataclass(frozen=True, kw_only=True)
class Metric(ABC):
    """A measure of utility: frozen parameters, no hidden randomness, no record in its output.

    Metrics see codes under the schema's bins, which are therefore part of what is measured, as are
    the parameters: `identity` names them all. Scores read real records and are not covered by any
    privacy guarantee.

    Class attributes:
        name: the registry's name.
        higher_is_better: direction.
        minimum, maximum: the ends of the range of values.
        reads: the real table that it compares with: "train", what the generator saw, or "holdout",
            records that it never saw.
        reference: where the definition comes from.
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    minimum: ClassVar[float]
    maximum: ClassVar[float]
    reads: ClassVar[Literal["train", "holdout"]]
    reference: ClassVar[str]

    @property
    def identity(self) -> str:
        """Name and parameters: scores of equal identity under equal schemas are comparable."""
        parts = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self)]
        return f"{self.name}({', '.join(parts)})"

    @final
    @property
    def best(self) -> float:
        """The best value that there is."""
        return self.maximum if self.higher_is_better else self.minimum

    @final
    def __call__(self, real: "Table", synthetic: "Table", *, rng: np.random.Generator) -> Score:
        """Return the score of `synthetic` against `real`.

        Args:
            real: real records, of the kind that `reads` names.
            synthetic: synthetic records under the same columns.
            rng: source of any subsampling.

        Raises:
            InvalidValueError: the tables have different columns.
        """
        target = getattr(self, "target", None)
        first, second = Sample.of(real, target=target), Sample.of(synthetic, target=target)
        check_same_columns(first, second)
        return self.score(first, second, rng=rng)

    @abstractmethod
    def value(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> float:
        """Return the value alone; `score` returns the same one, given an equal `rng`."""

    @abstractmethod
    def score(self, real: Sample, synthetic: Sample, *, rng: np.random.Generator) -> Score:
        """Return the value with its interval."""


def make_metrics(names: Iterable[str], *, target: "Target | None" = None) -> tuple[Metric, ...]:
    """Return the registered metrics of these names, with their defaults.

    Args:
        names: names in the registry.
        target: what to predict; metrics that predict nothing do without.

    Raises:
        UnknownNameError: no such metric.
        InvalidValueError: a metric needs a target, and there is none.
    """
    metrics: list[Metric] = []
    for name in names:
        kind = METRICS.get(name)
        needs_target = any(f.name == "target" for f in fields(kind))
        if needs_target and target is None:
            raise InvalidValueError("target", None, f"given for the metric {name!r}")
        metrics.append(kind(target=target) if needs_target else kind())
    return tuple(metrics)
