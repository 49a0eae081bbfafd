"""Generators that are one function, and what they release: hosts for bugs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.audit.grey_box import grey_box
from dpsynth.audit.planted.bug import Subject
from dpsynth.curator.answering import Answering
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.generators.base import Generator, SyntheticModel
from dpsynth.privacy.budget import Budget, Neighbouring

NAMES = ("x0", "x1", "x2")
ADD_REMOVE = Budget(epsilon=1.0, delta=1e-6)
REPLACE = Budget(epsilon=1.0, delta=1e-6, relation=Neighbouring.REPLACE)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Released(SyntheticModel):
    """An array, and the number of rows to sample."""

    schema: Schema
    total: float
    values: NDArray[np.float64]

    def sample_codes(self, n: int, *, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
        return rng.integers(0, self.schema.domain.shape, (n, len(self.schema.names)))

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        return {"values": self.values, "total": np.array(self.total)}

    @classmethod
    def from_arrays(cls, schema: Schema, arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(schema=schema, total=float(arrays["total"]), values=arrays["values"])


Rule: TypeAlias = Callable[[PrivateData, np.random.Generator], Released]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Sketch(Generator):
    """A generator that is one function.

    Args:
        rule: what `fit` does.
    """

    name: ClassVar[str] = "sketch"
    accountant: ClassVar[str] = "gdp"
    reference: ClassVar[str] = "none"
    model: ClassVar[type[SyntheticModel]] = Released
    rule: Rule

    def fit(self, private: PrivateData, *, rng: np.random.Generator) -> Released:
        return self.rule(private, rng)


def released(private: PrivateData, values: NDArray[Any], *, total: float = 10.0) -> Released:
    """Return the model of an array."""
    return Released(schema=private.schema, total=float(total), values=np.asarray(values, float))


def inside(private: PrivateData) -> Answering:
    """Return what is behind the door: a bug reaches for it, correct code never does."""
    return private._answering


def records(*, codes: int = 2, rows: int = 12, unit: str = "record", rows_a_unit: int = 1) -> Table:
    """Return records of three columns, none of them with the highest code anywhere.

    Args:
        codes: of each column.
        rows: how many.
        unit: the unit of privacy; if named, every row is a unit of its own here.
        rows_a_unit: the most that a unit may have.
    """
    import pandas as pd

    labels = tuple(str(code) for code in range(codes))
    columns = tuple(CategoricalColumn(name=name, categories=labels) for name in NAMES)
    if unit == "record":
        schema = Schema(columns=columns)
    else:
        schema = Schema(columns=columns, unit=unit, max_rows_per_unit=rows_a_unit)
    codes_of = np.arange(rows) % max(1, codes - 1)
    frame = pd.DataFrame({name: [labels[c] for c in codes_of] for name in NAMES})
    if unit != "record":
        frame[unit] = range(rows)
    return Table(schema=schema, frame=frame)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Fit(Subject):
    """A generator under record and replay.

    Args:
        rule: the generator.
        found_by: "record", "sensitivity" or "replay".
        budget: the claim.
        accountant: whose claim it is.
        table: what it is fitted to.
        recordings: how many fits are recorded, until one finds something.
    """

    rule: Rule
    found_by: str
    budget: Budget = ADD_REMOVE
    accountant: str = "gdp"
    table: Callable[[], Table] = records
    recordings: int = 1

    @property
    def catcher(self) -> str:
        return self.found_by

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the findings of the catcher, and of cheaper ones."""
        kinds = {"record": ("charge",), "sensitivity": ("charge", "sensitivity")}
        looked_at = kinds.get(self.found_by, ("charge", "sensitivity", "replay"))
        for _ in range(self.recordings):
            box = grey_box(
                Sketch(rule=self.rule),
                self.table(),
                self.budget,
                rng=rng,
                accountant=self.accountant,
            )
            found = tuple(f.sentence for f in box.findings if f.kind in looked_at)
            if found:
                return found
        return ()
