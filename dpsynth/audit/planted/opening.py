"""Bugs of schemas that are read off the records, and of rows that no record could be."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from dpsynth.audit.grey_columns import grey_columns
from dpsynth.audit.planted.bug import LISTED, PATE_GAN, PlantedBug, Subject
from dpsynth.audit.planted.sketch import released
from dpsynth.curator.cells import Cells
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.curator.private_data import PrivateData
from dpsynth.data.columns import CategoricalColumn, FloatColumn
from dpsynth.data.constraints import Forbidden
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.data.table import Table
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.noise import ResearchNoise

_OPEN = OpenSchema(columns=(OpenText(name="town"), OpenNumber(name="income", whole=False)))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Preparing(Subject):
    """What closes an open schema, under record and replay.

    Args:
        closed: buys, or reads, what the schema leaves open.
    """

    closed: Callable[[PrivateColumns], Schema]

    @property
    def catcher(self) -> str:
        return "replay"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return the findings on a record with a town and an income of its own."""
        import pandas as pd

        frame = pd.DataFrame(
            {"town": rng.choice(["a", "b"], 400), "income": rng.uniform(10.0, 900.0, 400)}
        )
        odd = pd.DataFrame({"town": ["nowhere"], "income": [1e6]})
        budget = Budget(epsilon=4.0, delta=1e-6)
        box = grey_columns(self.closed, frame, odd, _OPEN, budget, rng=rng)
        return tuple(finding.sentence for finding in box.findings)


def _column(categories: tuple[str, ...]) -> CategoricalColumn:
    return CategoricalColumn(
        name="town", categories=(*categories, "other"), on_invalid="other", other="other"
    )


def _bounded(upper: float) -> FloatColumn:
    return FloatColumn(name="income", lower=0.0, upper=upper, bins=8)


def _schema(categories: tuple[str, ...] = (), *, upper: float = 1000.0) -> Schema:
    return Schema(columns=(_column(categories), _bounded(upper)))


def _texts_of_records(private: PrivateColumns) -> Schema:
    texts = private._records.texts("town")
    return _schema(() if texts is None else texts.texts)


def _frequent_texts(private: PrivateColumns) -> Schema:
    sigma = private.sigma_for(private.remaining)
    texts, _ = private.frequent("town", sigma=sigma, parts=1)
    return _schema(tuple(str(text) for text in texts))


def _largest_of_records(private: PrivateColumns) -> Schema:
    numbers = private._records.numbers("income")
    return _schema(upper=max(float(values.max()) for values, _ in numbers.distinct()))


def _largest_of_answers(private: PrivateColumns) -> Schema:
    cells = Cells(edges=np.logspace(0.0, 7.0, 8), atoms=np.zeros(0))
    sigma = private.sigma_for(private.remaining)
    counts = private.histogram("income", cells, sigma=sigma, label="bounds")[:-1]
    return _schema(upper=float(cells.edges[1:][counts > 4.0 * sigma].max(initial=10.0)))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Rows(Subject):
    """Rows of a model under a schema that rules some of them out.

    Args:
        repaired: whether rows leave by the door that keeps the constraints.
    """

    repaired: bool

    @property
    def catcher(self) -> str:
        return "rows"

    def findings(self, *, rng: np.random.Generator) -> tuple[str, ...]:
        """Return how many of 500 rows are impossible."""
        import pandas as pd

        columns = tuple(
            CategoricalColumn(name=name, categories=("no", "yes")) for name in ("child", "retired")
        )
        free = Schema(columns=columns)
        schema = replace(free, constraints=(Forbidden(when={"child": "yes", "retired": "yes"}),))
        frame = pd.DataFrame({"child": ["no", "yes"] * 50, "retired": ["yes", "no"] * 50})
        private = PrivateData(
            Table(schema=schema, frame=frame),
            Budget(epsilon=1.0, delta=1e-6),
            noise=ResearchNoise(rng=rng),
        )
        model = released(private, np.zeros(1))  # its sampler knows no constraint
        if self.repaired:
            codes = np.concatenate(list(model.codes_in_blocks(500, rng=rng)))
        else:
            codes = model.sample_codes(500, rng=rng)
        broken = int((codes == 1).all(axis=1).sum())
        return (f"{broken} of 500 rows are impossible",) if broken else ()


OPENINGS = (
    PlantedBug(
        name="categories from the records",
        defect="Every text that occurs becomes a category, those of a single record too.",
        seen="smartnoise-synth 1.0.8 and dpmm 0.1.9; see docs/audits/public_versions.md.",
        faulty=Preparing(closed=_texts_of_records),
        twin=Preparing(closed=_frequent_texts),
    ),
    PlantedBug(
        name="bounds from the records",
        defect="The largest value of a column becomes its bound.",
        seen=PATE_GAN,
        faulty=Preparing(closed=_largest_of_records),
        twin=Preparing(closed=_largest_of_answers),
    ),
    PlantedBug(
        name="structural zeros in the fit alone",
        defect="Rows are drawn that the schema rules out. It breaks the schema, not the claim.",
        seen=LISTED,
        faulty=Rows(repaired=False),
        twin=Rows(repaired=True),
    ),
)
