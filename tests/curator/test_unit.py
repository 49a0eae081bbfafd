"""At most k rows of a unit: sampled alike, unmoved by other units, and covered by every query."""

from dataclasses import replace
from functools import cache
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import dpsynth
from dpsynth.curator.best_fit import BestFitQuery
from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.merging import MergedQuery, Merging
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import (
    AdditiveQuery,
    CountQuery,
    DependenceQuery,
    FitErrorsQuery,
    MarginalQuery,
    Query,
    WorstFitQuery,
)
from dpsynth.curator.unit import kept_rows
from dpsynth.data.constraints import Ordered
from dpsynth.data.encoding import Codec
from dpsynth.data.schema import CategoricalColumn, FloatColumn, IntegerColumn, Schema
from dpsynth.data.table import Table
from dpsynth.errors import DataError, InvalidValueError, SchemaError
from dpsynth.opening import opened, read_table
from dpsynth.preparation.prepare import Preparation
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise

CELLS = tuple(product(range(2), range(3)))


def schema(k: int) -> Schema:
    columns = (IntegerColumn(name="a", lower=0, upper=1), IntegerColumn(name="b", lower=0, upper=2))
    return Schema(columns=columns, unit="person", max_rows_per_unit=k)


def frame(*units: tuple[str, list[tuple[int, int]]]) -> pd.DataFrame:
    rows = [(who, *row) for who, own in units for row in own]
    return pd.DataFrame(rows, columns=["person", "a", "b"])


def budget_for(relation: Neighbouring, k: int) -> Budget:
    return Budget(epsilon=1, delta=1e-9, relation=relation, unit="person", max_rows_per_unit=k)


def bounded_codes(data: pd.DataFrame, k: int, words: np.ndarray) -> np.ndarray:
    """Return the codes that a curator would count, were these the words that it drew."""
    table = Table.from_frame(schema(k), data)
    assert table.units is not None
    return Codec(schema=table.schema).encode(table)[kept_rows(table.units, k, words)]


def queries() -> list[Query]:
    rng = np.random.default_rng(3)
    candidates = (("a",), ("b",), ("a", "b"))
    predictions = tuple(rng.exponential(2.0, s) for s in ((2,), (3,), (2, 3)))
    fit = WorstFitQuery(candidates=candidates, predictions=predictions, penalties=(0.0, 1.5, 3.0))
    far = WorstFitQuery(candidates=(("a",),), predictions=(np.array([500.0, 0.0]),), penalties=(0,))
    merging = Merging(groups={"b": (0, 1, 1)})
    return [
        CountQuery(),
        MarginalQuery(clique=("b",)),
        MarginalQuery(clique=("a", "b")),
        InteractionQuery(clique=("a", "b"), shape=(2, 3)),
        FitErrorsQuery(candidates=candidates, predictions=predictions),
        fit,
        far,
        BestFitQuery(cliques=candidates, candidates=(predictions, predictions)),
        replace(fit, weights=(0.5, 1.0, 0.25)),
        DependenceQuery(candidates=(("b", ("a",)), ("a", ("b",))), penalties=(0.0, 2.0)),
        MergedQuery(query=MarginalQuery(clique=("a", "b (groups)")), merging=merging),
        MergedQuery(
            query=InteractionQuery(clique=("a", "b (groups)"), shape=(2, 2)), merging=merging
        ),
    ]


@cache
def tables_of_one_unit(k: int) -> tuple[list[np.ndarray], ...]:
    """Return the tables that agree on all units but one, first without it, then with every multiset
    of at most k + 1 rows for it; each unit keeps at most k rows, and shared rows have their words.
    """
    rng, found = np.random.default_rng(k), []
    crowd = [(f"p{i}", [CELLS[0]] * 4) for i in range(8)]
    for others in ([("p", [CELLS[0]] * 5), ("q", [*CELLS, CELLS[1]])], crowd):
        shared = rng.integers(2**62, size=sum(len(own) for _, own in others)).astype(np.uint64)
        tables = [bounded_codes(frame(*others), k, shared)]
        for size in range(1, k + 2):
            for own in combinations_with_replacement(CELLS, size):
                words = rng.integers(2**62, size=size).astype(np.uint64)
                data = frame(("new", list(own)), *others)
                tables.append(bounded_codes(data, k, np.concatenate([words, shared])))
        found.append(tables)
    return tuple(found)


def largest_change(query: Query, relation: Neighbouring, k: int) -> tuple[float, float]:
    """Return the largest change between neighbours: of a score or in L2 norm, and in L1 norm."""
    largest = np.zeros(2)
    for tables in tables_of_one_unit(k):
        domain = schema(k).domain
        answers = np.array([query.exact(t, domain).ravel() for t in tables], dtype=np.float64)
        first = answers[:1] if relation is Neighbouring.ADD_REMOVE else answers[1:]
        for answer in first:
            gaps = np.abs(answers[1:] - answer)
            norm = (
                np.linalg.norm(gaps, axis=1)
                if isinstance(query, AdditiveQuery | MergedQuery)
                else gaps.max(axis=1)
            )
            largest = np.maximum(largest, [norm.max(), gaps.sum(axis=1).max()])
    return float(largest[0]), float(largest[1])


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("relation", list(Neighbouring))
def test_no_whole_unit_moves_an_answer_by_more_than_declared(
    relation: Neighbouring, k: int
) -> None:
    """Every unit of at most k + 1 rows against every other (or none): all of them, not a sample."""
    budget = budget_for(relation, k)
    unscaled = replace(budget, max_rows_per_unit=1)
    for query in queries():
        changed, absolute = largest_change(query, relation, k)
        assert changed <= query.sensitivity(budget) * (1 + 1e-12)
        if isinstance(query, AdditiveQuery):
            assert absolute <= query.l1_sensitivity(budget) * (1 + 1e-12)
        # The planted bug: a query that forgets to scale is seen. Units of one row and of two differ
        # in one row only, so that one count of a pair is no bug.
        unseen = k == 1 or (isinstance(query, CountQuery) and relation == "replace" and k == 2)
        assert (changed > query.sensitivity(unscaled) * (1 + 1e-9)) != unseen


@st.composite
def crowds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    units = np.array(draw(st.lists(st.integers(0, 4), min_size=1, max_size=30)), dtype=np.int64)
    words = np.array(
        draw(st.lists(st.integers(0, 2**64 - 1), min_size=len(units), max_size=len(units))),
        dtype=np.uint64,
    )
    return units, words, draw(st.integers(1, 3))


@given(crowd=crowds(), gone=st.integers(0, 4))
@settings(max_examples=300, deadline=None)
def test_a_unit_that_leaves_moves_no_other(
    crowd: tuple[np.ndarray, np.ndarray, int], gone: int
) -> None:
    units, words, k = crowd
    kept = kept_rows(units, k, words)
    assert (np.diff(kept) > 0).all()
    for unit in set(units.tolist()):
        assert (units[kept] == unit).sum() == min(k, (units == unit).sum())
    stays = np.flatnonzero(units != gone)
    without = stays[kept_rows(units[stays], k, words[stays])]
    assert without.tolist() == kept[units[kept] != gone].tolist()


@pytest.mark.statistical
def test_every_subset_is_equally_likely_whatever_the_other_units_are() -> None:
    """Chi-square on the 10 pairs of 5 rows, 5,000 fits, seed 0, alpha 1e-4; the control keeps the
    pair of the first rows a twentieth more often."""
    noise = ResearchNoise(rng=np.random.default_rng(0))
    units = np.array([7, 3, 7, 7, 3, 7, 3, 7])
    pairs = {pair: i for i, pair in enumerate(combinations((0, 2, 3, 5, 7), 2))}
    counts = np.zeros(len(pairs))
    for _ in range(5_000):
        kept = kept_rows(units, 2, noise.words(len(units)))
        counts[pairs[tuple(kept[units[kept] == 7].tolist())]] += 1
    assert chisquare(counts).pvalue > 1e-4
    counts[0] += 250
    assert chisquare(counts).pvalue < 1e-4


def test_release_mode_draws_fresh_words() -> None:
    noise = ReleaseNoise()
    assert noise.words(4).dtype == np.uint64
    assert set(noise.words(50).tolist()).isdisjoint(noise.words(50).tolist())


def test_the_curator_counts_bounded_rows() -> None:
    data = frame(("x", [CELLS[0]] * 9), ("y", [CELLS[5]]), ("z", [CELLS[2]] * 2))
    private = PrivateData(
        Table.from_frame(schema(2), data),
        budget_for(Neighbouring.ADD_REMOVE, 2),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
    )
    counter = private._answering.counter  # pyright: ignore[reportPrivateUsage]
    assert counter.counts(("a", "b")).tolist() == [[2, 0, 2], [0, 0, 1]]
    assert private.receipt().unprotected == ()


def test_one_row_a_unit_is_a_public_number_of_units_under_replace() -> None:
    private = PrivateData(
        Table.from_frame(schema(1), frame(("x", [CELLS[0]] * 9), ("y", [CELLS[5]]))),
        budget_for(Neighbouring.REPLACE, 1),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
    )
    assert private.public_rows == 2


def test_without_an_identifier_the_bound_is_a_promise_and_the_receipt_says_so() -> None:
    data = frame(("x", [CELLS[0]] * 9)).drop(columns="person")
    private = PrivateData(
        Table.from_frame(schema(2), data),
        budget_for(Neighbouring.ADD_REMOVE, 2),
        noise=ResearchNoise(rng=np.random.default_rng(0)),
    )
    (said,) = private.receipt().unprotected
    assert "promised and not enforced" in said


def test_the_identifier_bounds_and_is_never_synthesised(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = frame(*((f"{i:03}", [CELLS[i % 6]] * (i % 5 + 1)) for i in range(200)))
    for source in (data, tmp_path / "data.csv", tmp_path / "data.parquet"):
        if not isinstance(source, pd.DataFrame):
            writer = data.to_csv if source.suffix == ".csv" else data.to_parquet
            writer(source, index=False)
        fitted = dpsynth.synthesize(source, schema=schema(2), epsilon=1.0, seed=0)
        assert fitted.sample(50).frame.columns.tolist() == ["a", "b"]
        budget = fitted.receipt.budget
        assert (budget.unit, budget.max_rows_per_unit) == ("person", 2)
        assert "one person, at most 2 row(s) each" in fitted.receipt.to_json()


def test_identifiers_are_equal_where_their_texts_are(tmp_path) -> None:  # type: ignore[no-untyped-def]
    data = frame(*((who, [CELLS[0]]) for who in "abcde"))
    data["person"] = pd.Series([7, "7", 7.0, "07", "x"], dtype=object)
    units = Table.from_frame(schema(2), data).units
    assert units is not None
    assert units.tolist() == [0, 0, 0, 1, 2]
    path = tmp_path / "data.csv"
    path.write_text("person,a,b\n07,0,0\n7,0,0\n7,1,2\n")
    read = dpsynth.load_csv(path, schema(2)).units
    assert read is not None
    assert read.tolist() == [0, 1, 1]


@pytest.mark.parametrize("gap", [None, "", float("nan")])
def test_a_row_of_nobody_is_refused(gap: object) -> None:
    data = frame(("x", [CELLS[0]] * 2))
    data["person"] = pd.Series(["x", gap], dtype=object)
    with pytest.raises(DataError, match="every row must say which unit"):
        Table.from_frame(schema(2), data)


def test_rows_that_keep_the_constraints_keep_their_units() -> None:
    ordered = (Ordered(lower="a", upper="b"),)
    rules = replace(schema(2), constraints=ordered, on_violation="drop")
    data = frame(("x", [(1, 0), (0, 0)]), ("y", [(1, 2), (1, 0), (0, 1)]), ("z", [(1, 0)]))
    units = Table.from_frame(rules, data).units
    assert units is not None
    assert units.tolist() == [0, 1, 1]


def test_rows_that_are_taken_keep_their_units() -> None:
    table = Table.from_frame(schema(2), frame(("x", [CELLS[0]] * 2), ("y", [CELLS[1]])))
    units = table.take(np.array([2, 0])).units
    assert units is not None
    assert units.tolist() == [1, 0]


def test_identifiers_that_a_column_merges_are_told_apart_at_every_door() -> None:
    """Were the rest one person, another's row would take the place of the one who leaves."""
    who = CategoricalColumn(name="who", categories=("x", "rest"), on_invalid="other", other="rest")
    columns = (who, FloatColumn(name="v", lower=0, upper=1))
    merging = Schema(columns=columns, unit="who", max_rows_per_unit=1)
    names = [f"p{i // 2}" for i in range(40)]
    data = pd.DataFrame({"who": names, "v": np.linspace(0, 1, 40)})
    table = Table.from_frame(merging, data)
    budget = Budget(epsilon=1, delta=1e-9, unit="who")
    noise = ResearchNoise(rng=np.random.default_rng(0))
    for source in (data, table, read_table(table, merging)):
        for by in (None, Preparation(most_spread=0.0)):
            private = opened(source, merging, budget, noise=noise, accountant="zcdp", by=by)
            assert private._answering.counter.rows == 20  # pyright: ignore[reportPrivateUsage]
    of_records = Schema(columns=columns)
    assert read_table(table, of_records).units is None


def test_rows_that_were_made_of_codes_have_units_too() -> None:
    columns = (IntegerColumn(name="person", lower=0, upper=4, missing=True),)
    rules = Schema(columns=columns, unit="person", max_rows_per_unit=2)
    codec, budget = Codec(schema=rules), budget_for(Neighbouring.ADD_REMOVE, 2)
    noise = ResearchNoise(rng=np.random.default_rng(0))
    made = codec.decode(np.array([[0]] * 9 + [[3]]), rng=np.random.default_rng(0))
    counter = PrivateData(made, budget, noise=noise)._answering.counter  # pyright: ignore[reportPrivateUsage]
    assert counter.counts(("person",)).tolist() == [2, 0, 0, 1, 0, 0]
    nobody = codec.decode(np.array([[5], [1]]), rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="every row must say which unit"):
        PrivateData(nobody, budget, noise=noise)


def test_a_named_unit_must_say_how_many_rows_it_has() -> None:
    with pytest.raises(SchemaError, match="max_rows_per_unit must be declared"):
        Schema(columns=schema(1).columns, unit="person")


def test_a_smaller_bound_in_the_budget_is_refused() -> None:
    table = Table.from_frame(schema(3), frame(("x", [CELLS[0]])))
    with pytest.raises(InvalidValueError, match="max_rows_per_unit"):
        PrivateData(table, budget_for(Neighbouring.ADD_REMOVE, 2), noise=ReleaseNoise())
