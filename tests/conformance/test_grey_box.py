"""Every generator, and what open schemas buy, recorded and replayed on all kinds of neighbours."""

import numpy as np
import pandas as pd
import pytest

from dpsynth.audit.grey_box import grey_box
from dpsynth.audit.grey_columns import grey_columns
from dpsynth.curator.cells import Cells
from dpsynth.curator.column_queries import ColumnHistogram
from dpsynth.curator.private_columns import PrivateColumns
from dpsynth.data.columns import FloatColumn
from dpsynth.data.open_columns import OpenNumber, OpenText
from dpsynth.data.open_schema import OpenSchema
from dpsynth.data.schema import Schema
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import GaussianEvent
from tests.conformance.short import narrow
from tests.conformance.test_generators import NAMES, mixed, needs_torch


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_the_answers_tells_neighbours_apart(name: str, relation: Neighbouring) -> None:
    """Domain, number of records, queries, charges, branches and the model, to the last bit, on a
    record that comes, goes or is replaced; and no answer moves further than was charged."""
    needs_torch(name)
    budget = Budget(epsilon=1.0, delta=1e-9, relation=relation)
    found = grey_box(narrow(name), mixed(60), budget, rng=np.random.default_rng(0))
    assert found.findings == ()
    assert len(found.neighbours) == (4 if relation is Neighbouring.ADD_REMOVE else 3)
    assert found.steps > 0 or name == "uniform"


OPEN = OpenSchema(
    columns=(
        OpenText(name="town"),
        OpenNumber(name="income", whole=False),
        OpenNumber(name="children", whole=True),
        OpenNumber(name="change", whole=False, binning="privtree"),
        FloatColumn(name="share", lower=0.0, upper=1.0, bins=8),
    )
)


def open_records(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "town": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
            "income": rng.lognormal(3, 1, n),
            "children": rng.integers(0, 9, n),
            "change": rng.normal(0, 1, n).round(2),
            "share": rng.random(n),
        }
    )


# values that no other record has, and a record like many
ODD = pd.DataFrame(
    {
        "town": ["nowhere", "a"],
        "income": [1e9, 3.0],
        "children": [10**6, 1],
        "change": [-500.125, 0.0],
        "share": [1.0, 0.25],
    }
)


@pytest.mark.parametrize("accountant", ["zcdp", "gdp", "pure"])
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_what_an_open_schema_buys_does_not_tell_neighbours_apart(
    relation: Neighbouring, accountant: str
) -> None:
    found = grey_columns(
        Preparation().closed,
        open_records(2000),
        ODD,
        OPEN,
        Budget(epsilon=8.0, delta=1e-6, relation=relation),
        rng=np.random.default_rng(1),
        accountant=accountant,
    )
    assert found.findings == ()
    # towns, bounds, values, a tree, spreads and decimals
    assert found.steps >= 14
    assert len(found.neighbours) == (3 if relation is Neighbouring.ADD_REMOVE else 2)


@pytest.mark.parametrize("relation", list(Neighbouring))
def test_a_histogram_that_moves_further_than_its_charge_states_is_found(
    relation: Neighbouring,
) -> None:
    budget = Budget(epsilon=8.0, delta=1e-6, relation=relation)
    cells = Cells(edges=np.linspace(0.0, 1.0, 5), atoms=np.zeros(0))
    for stated, kinds in ((budget.l2_sensitivity, set()), (0.9, {"sensitivity"})):

        def counted(private: PrivateColumns, stated: float = stated) -> Schema:
            event = GaussianEvent(sigma=10.0, sensitivity=stated)
            query = ColumnHistogram(name="share", cells=cells)
            private._answered("shares", event, query, lambda: [np.zeros(query.size)])
            return OPEN.declared

        rng = np.random.default_rng(1)
        found = grey_columns(counted, open_records(100), ODD, OPEN, budget, rng=rng)
        assert {finding.kind for finding in found.findings} == kinds
