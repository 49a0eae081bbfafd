"""Constraints at the door: refused before anything is spent, known in views, neighbours stay so."""

import itertools

import numpy as np
import pandas as pd
import pytest

import dpsynth
from dpsynth.curator.counting import CellCounter
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import CountQuery, MarginalQuery
from dpsynth.data.constraints import Constraint, Forbidden, Within
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import ContradictionError, DataError, InvalidValueError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ResearchNoise

COLUMNS = tuple(IntegerColumn(name=name, lower=0, upper=2) for name in "abc")
RULES = (Forbidden(when={"a": 0, "b": 0}), Within(when={"b": ">=1"}, then={"c": "<2"}))


def table(rows: list[tuple[int, ...]], *constraints: Constraint, **fields) -> Table:
    schema = Schema(columns=COLUMNS, constraints=constraints, **fields)
    return Table.from_frame(schema, pd.DataFrame(rows, columns=list("abc")))


def private(records: Table, relation: Neighbouring = Neighbouring.ADD_REMOVE) -> PrivateData:
    budget = Budget(epsilon=1.0, delta=1e-9, relation=relation)
    return PrivateData(records, budget, noise=ResearchNoise(rng=np.random.default_rng(0)))


# Any a puts b at 0, which puts c at 0, which no a allows.
IMPOSSIBLE = (
    Within(when={"a": "0..2"}, then={"b": "<1"}),
    Within(when={"b": "<1"}, then={"c": "<1"}),
    Forbidden(when={"c": "<1", "a": "0..2"}),
)


def test_a_contradiction_is_refused_before_there_is_a_ledger() -> None:
    """Each pair of rules has a possible record, so that only all of them together have none."""
    for two in itertools.combinations(IMPOSSIBLE, 2):
        private(table([(0, 0, 0), (1, 1, 1), (0, 0, 1)], *two, on_violation="drop"))
    schema = Schema(columns=COLUMNS, constraints=IMPOSSIBLE)
    # The records are checked too, and none can pass: a table that was not is what shows the door.
    records = table([(0, 0, 0)])
    object.__setattr__(records, "_schema", schema)
    with pytest.raises(ContradictionError, match="constraints on 'a', 'b', 'c'"):
        private(records)


def test_contradictory_constraints_are_said_to_be_so_and_no_record_is_blamed() -> None:
    schema = Schema(columns=COLUMNS, constraints=IMPOSSIBLE)
    frame = pd.DataFrame([(1, 1, 1)], columns=list("abc"))
    with pytest.raises(ContradictionError, match="together they leave no possible record"):
        dpsynth.synthesize(frame, schema=schema, epsilon=1.0, generator="independent", seed=0)


def test_records_that_break_a_constraint_are_refused_and_nothing_is_spent() -> None:
    frame = pd.DataFrame([(0, 0, 0), (1, 1, 1)], columns=list("abc"))
    schema = Schema(columns=COLUMNS, constraints=RULES)
    with pytest.raises(DataError, match="constraint 1 of the schema"):
        dpsynth.synthesize(frame, schema=schema, epsilon=1.0, generator="independent", seed=0)


def test_dropping_records_is_refused_where_their_number_is_public() -> None:
    records = table([(1, 1, 1)], *RULES, on_violation="drop")
    private(records)
    with pytest.raises(InvalidValueError, match="'add_remove' for a schema that drops records"):
        private(records, Neighbouring.REPLACE)
    private(table([(1, 1, 1)], *RULES), Neighbouring.REPLACE)


@pytest.mark.parametrize("query", [CountQuery(), MarginalQuery(clique=("a", "c"))])
def test_tables_that_differ_in_a_record_differ_in_at_most_that_one_after_dropping(query) -> None:
    """Brute force: with any further record, dropped or not, a query moves by its sensitivity."""
    base = [(1, 1, 1), (2, 0, 2), (0, 2, 0)]
    budget = Budget(epsilon=1.0, delta=1e-9)
    moved = set()

    def answer(rows: list[tuple[int, ...]]) -> np.ndarray:
        records = table(rows, *RULES, on_violation="drop")
        codec = Codec(schema=records.schema)
        return query.evaluate(CellCounter(codec.encode(records), codec.domain))

    for record in itertools.product(range(3), repeat=3):
        change = np.linalg.norm((answer([*base, record]) - answer(base)).astype(float))
        moved.add(float(change))
    assert moved == {0.0, query.sensitivity(budget)}


def test_a_view_of_groups_knows_what_is_impossible_of_whole_groups() -> None:
    records = private(table([(1, 1, 1)], *RULES))
    view = records.merged({"b": (0, 1, 1)})
    assert list(view.domain.attributes) == ["a", "b (groups)", "c"]
    assert view.impossible["a", "b (groups)"].tolist() == [
        [True, False],
        [False, False],
        [False, False],
    ]
    assert view.impossible["b (groups)", "c"].tolist() == [[False] * 3, [False, False, True]]
    # A group is impossible only where all its codes are: nothing is left of either rule.
    assert records.merged({"b": (0, 0, 1)}).impossible["b (groups)", "c"].sum() == 1
    assert ("a", "b (groups)") not in records.merged({"b": (0, 0, 1)}).impossible
    twice = view.merged({"a": (0, 0, 1)})
    assert ("a (groups)", "b (groups)") not in twice.impossible


def test_constraints_larger_than_a_generators_tree_are_refused_before_anything_is_spent() -> None:
    from dpsynth.generators.marginal.mst import Mst

    records = table([(1, 1, 1)], *RULES)
    with pytest.raises(InvalidValueError, match=r"largest_tree is 17, .* at least 18"):
        dpsynth.synthesize(records, generator=Mst(largest_tree=17), epsilon=1.0, seed=0)
    dpsynth.synthesize(records, generator=Mst(largest_tree=18), epsilon=1.0, seed=0)
