"""Tables that are simulated from a schema alone: their columns depend, and constraints hold."""

from itertools import combinations

import numpy as np
import pytest

from dpsynth.data.constraints import Within
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import InvalidValueError
from dpsynth.tuning.simulated import simulated_table, simulated_under

COLUMNS = (
    *(CategoricalColumn(name=f"c{i}", categories=("a", "b", "c", "d")) for i in range(4)),
    IntegerColumn(name="age", lower=0, upper=79, missing=True),
    FloatColumn(name="pay", lower=0.0, upper=1.0, bins=16),
)
SCHEMA = Schema(columns=COLUMNS)


def simulated(seed: int, rows: int = 3000) -> Table:
    return simulated_table(SCHEMA, rows, rng=np.random.default_rng(seed))


def dependences(table: Table) -> list[float]:
    """Return the total variation of each pair of columns from independence."""
    codes, sizes = Codec(schema=table.schema).encode(table), table.schema.domain.shape
    found = []
    for i, j in combinations(range(len(sizes)), 2):
        joint = np.zeros((sizes[i], sizes[j]))
        np.add.at(joint, (codes[:, i], codes[:, j]), 1.0 / len(codes))
        found.append(float(0.5 * np.abs(joint - np.outer(joint.sum(1), joint.sum(0))).sum()))
    return found


def test_columns_depend_on_one_another_more_than_chance_has_it() -> None:
    """Seeds 0 to 5; the control is the same tables with each column permuted on its own."""
    for seed in range(6):
        table, rng = simulated(seed, 20_000), np.random.default_rng(9)
        frame = table.frame.apply(rng.permutation)
        shuffled = Table.from_frame(SCHEMA, frame.astype(table.frame.dtypes))
        assert np.mean(dependences(table)) > 2.0 * np.mean(dependences(shuffled))


def test_seeds_decide_the_law_and_the_rows() -> None:
    assert simulated(3).frame.equals(simulated(3).frame)
    assert not simulated(3).frame.equals(simulated(4).frame)
    assert simulated_under(SCHEMA, 50, seed=1).frame.equals(
        simulated_under(SCHEMA, 50, seed=1).frame
    )


def test_constraints_of_the_schema_hold() -> None:
    rule = Within(when={"c0": "a"}, then={"c1": "b"})
    free = simulated(0)
    broken = (free.frame["c0"] == "a") & (free.frame["c1"] != "b")
    assert broken.any(), "the law alone breaks it"
    kept = simulated_table(
        Schema(columns=COLUMNS, constraints=(rule,)), 3000, rng=np.random.default_rng(0)
    )
    assert (kept.frame.loc[kept.frame["c0"] == "a", "c1"] == "b").all()


@pytest.mark.parametrize("rows", [1, 0, -3])
def test_too_few_rows_are_refused(rows: int) -> None:
    with pytest.raises(InvalidValueError, match="at least 2"):
        simulated(0, rows)
