"""What every metric must do, as checks that run on anyone's: ours, yours, another library's.

    subject = Subject.of(my_metric)                # one of this package's kind
    subject = Subject(                             # or any function of two tables
        name="theirs",
        measure=lambda real, synthetic, rng: their_score(real.frame, synthetic.frame),
        higher_is_better=True, minimum=0.0, maximum=1.0,
    )
    failures = examine(subject)                    # {"row_order": "...", ...}; empty is a pass

Records come from a small law of mixed columns with missing values (`known_law`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from math import isfinite
from typing import TypeAlias, final

import numpy as np
import pandas as pd

from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.evaluation import known_law
from dpsynth.evaluation.metric import Metric

Measure: TypeAlias = Callable[[Table, Table, np.random.Generator], float]
Spoil: TypeAlias = Callable[..., Table]


class ConformanceError(AssertionError):
    """A metric that does not do what every metric must."""


@final
@dataclass(frozen=True, kw_only=True)
class Subject:
    """A metric under examination.

    Args:
        name: for messages.
        measure: real table, synthetic table, rng -> value.
        higher_is_better: direction.
        minimum, maximum: ends of the range of values.
        predicts: whether real records are test records, on which training records are not perfect.
        spoil: (table, share, rng=...) -> a table worse by the share, in what the metric is for:
            `known_law.corrupt` (noise) or `known_law.collapse` (few kinds of records).
        lose: table -> one that lost a class which the metric is about: `known_law.lose_class` or,
            for metrics of what is rare, `known_law.lose_tail`.
        slack: how far a value may move, as a part of what separates the law from ruin, when nothing
            of substance does.
        rows: records of a table.
    """

    name: str
    measure: Measure
    higher_is_better: bool
    minimum: float
    maximum: float
    predicts: bool = False
    spoil: Spoil = field(default=known_law.corrupt)
    lose: Callable[[Table], Table] = field(default=known_law.lose_class)
    slack: float = 1e-9
    rows: int = 800

    @classmethod
    def of(
        cls,
        metric: Metric,
        *,
        spoil: Spoil = known_law.corrupt,
        lose: Callable[[Table], Table] = known_law.lose_class,
    ) -> "Subject":
        """Return a metric of this package as a subject; one that predicts has more slack."""
        predicts = metric.reads == "holdout"
        return cls(
            name=metric.name,
            measure=lambda real, synthetic, rng: metric(real, synthetic, rng=rng).value,
            higher_is_better=metric.higher_is_better,
            minimum=metric.minimum,
            maximum=metric.maximum,
            predicts=predicts,
            spoil=spoil,
            lose=lose,
            slack=0.2 if predicts else 1e-9,
        )

    @property
    def best(self) -> float:
        """The best value that there is."""
        return self.maximum if self.higher_is_better else self.minimum

    def loss(self, synthetic: Table, real: Table | None = None) -> float:
        """Return how far from the best value a table is, against a table of the law.

        Raises:
            ConformanceError: a value that is none, or is out of range.
        """
        against = table_of(self.rows, 0) if real is None else real
        value = float(self.measure(against, synthetic, _stream(0)))
        _demand(isfinite(value), self, f"scores {value!r}")
        inside = self.minimum - 1e-9 <= value <= self.maximum + 1e-9
        _demand(inside, self, f"scores {value!r}, out of its range")
        return abs(value - self.best)


@cache
def table_of(rows: int, seed: int) -> Table:
    """Return records of the law, the same ones for the same arguments."""
    return known_law.draw(rows, rng=_stream(seed))


def examine(subject: Subject) -> dict[str, str]:
    """Return what a metric fails: name of the invariant -> a sentence; empty when it passes all."""
    failures: dict[str, str] = {}
    for name, check in INVARIANTS.items():
        try:
            check(subject)
        except Exception as error:  # noqa: BLE001 - whatever it raises is a failure of the metric
            failures[name] = f"{type(error).__name__}: {error}"
    return failures


def _stream(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _demand(holds: bool, subject: Subject, what: str) -> None:
    if not holds:
        raise ConformanceError(f"{subject.name} {what}")


@cache
def _ruin(subject: Subject) -> tuple[float, float]:
    """Return the loss of a fresh table of the law, and how much worse a ruined one is.

    Raises:
        ConformanceError: ruin is no worse.
    """
    fresh = table_of(subject.rows, 1)
    ruined = subject.spoil(fresh, 1.0, rng=_stream(2))
    loss = subject.loss(fresh)
    worse = subject.loss(ruined) - loss
    _demand(worse > 0, subject, "is no worse for a ruined table")
    return loss, worse


def _same(subject: Subject, first: float, second: float, what: str) -> None:
    allowed = subject.slack * max(_ruin(subject)[1], 1e-9) + 1e-9 * abs(subject.best)
    _demand(abs(first - second) <= allowed, subject, f"moves from {first} to {second} with {what}")


def same_law(subject: Subject) -> None:
    """Two fresh samples of the law score alike, and far from ruin."""
    loss, worse = _ruin(subject)
    other = subject.loss(table_of(subject.rows, 3))
    _demand(abs(other - loss) < 0.3 * worse, subject, "tells two samples of one law apart")


def identity(subject: Subject) -> None:
    """The real records themselves score best; in prediction no fresh ones are much better."""
    itself = subject.loss(table_of(subject.rows, 0))
    if not subject.predicts:
        _same(subject, itself, 0.0, "the real records themselves")
    loss, worse = _ruin(subject)
    _demand(itself <= loss + 0.3 * worse, subject, "scores real records worse than fresh ones")


def lost_class(subject: Subject) -> None:
    """A table without one of two classes is worse."""
    loss, worse = _ruin(subject)
    lost = subject.loss(subject.lose(table_of(subject.rows, 1)))
    _demand(lost > loss + 0.05 * worse, subject, "does not count a lost class")


def lost_values(subject: Subject) -> None:
    """A table whose values are all missing in two columns is worse."""
    loss, _ = _ruin(subject)
    emptied = known_law.replace(table_of(subject.rows, 1), visits=pd.NA, work=None)
    _demand(subject.loss(emptied) > loss, subject, "does not count missing values")


def unequal_sizes(subject: Subject) -> None:
    """Half and twice as many records of the law are far from ruin too."""
    loss, worse = _ruin(subject)
    for rows in (subject.rows // 2, 2 * subject.rows):
        other = subject.loss(table_of(rows, 4))
        _demand(other < loss + 0.5 * worse, subject, f"takes {rows} records of the law for ruin")


def row_order(subject: Subject) -> None:
    """The order of rows, real and synthetic, plays no part."""
    real, fresh = table_of(subject.rows, 0), table_of(subject.rows, 1)
    order = _stream(5).permutation(subject.rows)
    turned = subject.loss(fresh.take(order), real.take(order[::-1]))
    _same(subject, turned, subject.loss(fresh), "the order of rows")


def column_order(subject: Subject) -> None:
    """The order of columns plays no part."""
    schema = Schema(columns=known_law.SCHEMA.columns[::-1])
    real, fresh = (
        Table.from_frame(schema, table_of(subject.rows, seed).frame[list(schema.names)])
        for seed in (0, 1)
    )
    loss = subject.loss(table_of(subject.rows, 1))
    _same(subject, subject.loss(fresh, real), loss, "the order of columns")


def formatting(subject: Subject) -> None:
    """Where in its bin a value lies plays no part: models draw it at random."""
    codec, fresh = Codec(schema=known_law.SCHEMA), table_of(subject.rows, 1)
    drawn = codec.decode(codec.encode(fresh), rng=_stream(6))
    _same(subject, subject.loss(drawn), subject.loss(fresh), "values within their bins")


def constant_columns(subject: Subject) -> None:
    """Columns of one value are no obstacle."""
    schema = Schema(
        columns=(
            CategoricalColumn(name="only", categories=("x",)),
            CategoricalColumn(name="ill", categories=("no", "yes")),
            IntegerColumn(name="same", lower=0, upper=5),
        )
    )
    frame = pd.DataFrame({"only": "x", "ill": ["no", "yes"] * 20, "same": 3})
    real = Table.from_frame(schema, frame)
    loss = subject.loss(real, real)
    if not subject.predicts:
        _same(subject, loss, 0.0, "constant columns, in equal tables")


def one_row(subject: Subject) -> None:
    """One synthetic record has a score, and so has one real record against itself."""
    one = table_of(subject.rows, 1).take(np.array([0]))
    subject.loss(one)
    if not subject.predicts:  # a single test record has no two classes
        _same(subject, subject.loss(one, one), 0.0, "one record, in equal tables")


def seeded(subject: Subject) -> None:
    """Equal seeds give equal values, whatever was drawn in between."""
    real, fresh = table_of(subject.rows, 0), table_of(subject.rows, 1)
    first = subject.measure(real, fresh, _stream(8))
    subject.measure(fresh, real, _stream(9))
    again = subject.measure(real, fresh, _stream(8))
    _demand(first == again, subject, f"scores {first!r} and then {again!r} with one seed")


def monotone(subject: Subject) -> None:
    """More is worse: a table that is spoilt by growing shares, but for 5% that chance may do."""
    # Prediction from half spoilt records is as good as from none: it is asked for less.
    shares = (0.0, 0.5, 1.0) if subject.predicts else (0.0, 0.35, 0.7, 1.0)
    fresh = table_of(subject.rows, 1)
    losses = [subject.loss(subject.spoil(fresh, share, rng=_stream(2))) for share in shares]
    worse = losses[-1] - losses[0]
    _demand(worse > 0, subject, "does not see corruption")
    falls = max(first - second for first, second in pairwise(losses))
    _demand(falls <= 0.05 * worse, subject, f"is not monotone under corruption: {losses}")


def untouched(subject: Subject) -> None:
    """What is read is not changed."""
    fresh = known_law.draw(100, rng=_stream(10))
    before = known_law.codes_of(fresh).copy()
    subject.loss(fresh)
    kept = np.array_equal(known_law.codes_of(fresh), before)
    _demand(kept, subject, "changes the table that it reads")


def other_columns(subject: Subject) -> None:
    """A table under other columns is refused, not scored."""
    renamed = replace(known_law.SCHEMA.columns[0], name="area")
    schema = Schema(columns=(renamed, *known_law.SCHEMA.columns[1:]))
    frame = table_of(subject.rows, 1).frame.rename(columns={"region": "area"})
    try:
        value = subject.loss(Table.from_frame(schema, frame))
    except ConformanceError:
        raise
    except Exception:  # noqa: BLE001 - which error is the metric's own affair
        return
    raise ConformanceError(f"{subject.name} scores {value} for a table under other columns")


INVARIANTS: Mapping[str, Callable[[Subject], None]] = {
    check.__name__: check
    for check in (
        same_law,
        identity,
        lost_class,
        lost_values,
        unequal_sizes,
        row_order,
        column_order,
        formatting,
        constant_columns,
        one_row,
        seeded,
        monotone,
        untouched,
        other_columns,
    )
}
"""All checks by name."""
