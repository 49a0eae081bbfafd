"""Counts of blocks: those of records in memory, whatever the blocks, cliques and recodings are."""

from itertools import combinations
from tempfile import TemporaryFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.curator import tally
from dpsynth.curator.best_fit import BestFitQuery
from dpsynth.curator.blocks import BlockCounter
from dpsynth.curator.counting import CellCounter
from dpsynth.curator.interactions import InteractionQuery
from dpsynth.curator.merging import MergedQuery, Merging
from dpsynth.curator.queries import (
    AdditiveQuery,
    CountQuery,
    DependenceQuery,
    FitErrorsQuery,
    MarginalQuery,
    Query,
    WorstFitQuery,
)
from dpsynth.curator.spool import Spool
from dpsynth.curator.tally import covers, passes
from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import RecordsElsewhereError
from dpsynth.privacy.budget import Budget, Neighbouring

SIZES = [1, 2, 3, 15, 16, 255, 256, 257, 300]


def drawn(sizes: list[int], rows: int, seed: int) -> tuple[np.ndarray, Domain]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, sizes, (rows, len(sizes))).astype(np.uint16)
    return codes, Domain(sizes={f"c{i}": size for i, size in enumerate(sizes)})


def spool_of(codes: np.ndarray, domain: Domain, rows: int) -> Spool:
    spool = Spool(TemporaryFile(buffering=0), domain)  # noqa: SIM115 - the spool keeps it
    for start in range(0, len(codes), rows):
        spool.append(codes[start : start + rows])
    return spool


@given(
    sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=5),
    rows=st.integers(1, 60),
    block=st.integers(1, 60),
    seed=st.integers(0, 10**6),
    data=st.data(),
)
@settings(max_examples=100, deadline=None)
def test_blocks_count_what_memory_counts(
    sizes: list[int], rows: int, block: int, seed: int, data: st.DataObject
) -> None:
    codes, domain = drawn(sizes, rows, seed)
    memory, file = CellCounter(codes, domain), BlockCounter(spool_of(codes, domain, block), domain)
    some = st.permutations(domain.attributes).flatmap(
        lambda p: st.integers(1, min(3, len(p))).map(lambda k: tuple(p[:k]))
    )
    cliques = [c for c in data.draw(st.lists(some, min_size=1, max_size=8)) if cells(c, domain)]
    for clique, counted in zip(cliques, file.count_together(cliques), strict=True):
        assert np.array_equal(counted, memory.counts(clique))
        assert np.array_equal(counted, file.counts(clique))
    assert file.rows == memory.rows


def cells(clique: Clique, domain: Domain) -> bool:
    return domain.cells_of(clique) <= 2**18


@pytest.mark.parametrize("block", [7, 1000])
def test_recoded_blocks_count_what_recoded_memory_counts(block: int) -> None:
    codes, domain = drawn([6, 4, 300], 500, 1)
    memory, file = CellCounter(codes, domain), BlockCounter(spool_of(codes, domain, block), domain)
    groups = ({"c0": (0, 1, 1, 2, 0, 2)}, {"c0 (groups)": (1, 0, 1), "c1": (0, 0, 1, 1)})
    for merged in groups:
        tables = Merging(groups=merged).tables(memory.domain)
        memory, file = memory.recoded(tables), file.recoded(tables)
        assert file.domain == memory.domain
        for clique in combinations(memory.domain.attributes, 2):
            assert np.array_equal(file.counts(clique), memory.counts(clique))


def test_several_passes_count_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, domain = drawn([5] * 8, 300, 2)
    pairs = list(combinations(domain.attributes, 2))
    file = BlockCounter(spool_of(codes, domain, 70), domain)
    whole = file.count_together(pairs)
    monkeypatch.setattr(tally, "_COVER_CELLS", 130)
    monkeypatch.setattr(tally, "PASS_CELLS", 400)
    parts = passes(pairs, domain)
    assert len(parts) > 3
    assert sorted(c for part in parts for c in part.cliques) == sorted(pairs)
    again = file.count_together(pairs)
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))


def test_covers_are_few_and_small_and_hold_every_clique() -> None:
    domain = Domain(sizes={f"c{i}": size for i, size in enumerate([20] * 12 + [3] * 8)})
    pairs = list(combinations(domain.attributes, 2))
    found = covers(pairs, domain)
    assert len(found) < len(pairs) / 3
    assert all(domain.cells_of(attributes) <= 2**16 for attributes, _ in found)
    inside = [(set(pairs[i]), set(attributes)) for attributes, where in found for i in where]
    assert all(pair <= attributes for pair, attributes in inside)
    assert sorted(i for _, where in found for i in where) == list(range(len(pairs)))


def test_large_cliques_stay_as_they_are() -> None:
    domain = Domain(sizes={"a": 300, "b": 300, "c": 2})
    assert covers([("b", "a"), ("a", "c")], domain) == [
        (("a", "b"), (0,)),
        (("a", "c"), (1,)),
    ]


def test_announced_cliques_are_counted_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, domain = drawn([4] * 6, 200, 3)
    file, calls = BlockCounter(spool_of(codes, domain, 50), domain), list[int]()
    together = BlockCounter.count_together

    def counted(self: BlockCounter, cliques: list[Clique]) -> list[np.ndarray]:
        calls.append(len(cliques))
        return together(self, cliques)

    monkeypatch.setattr(BlockCounter, "count_together", counted)
    pairs = list(combinations(domain.attributes, 2))
    file.prepare(pairs)
    for pair in pairs:
        file.counts(pair)
    file.derived("rows", pairs, lambda counts: float(counts.sum()))
    assert file.derived("rows", pairs, lambda counts: 0.0) == [200.0] * 15
    assert calls == [15, 15]


PAIR, TRIPLE = ("c0", "c1"), ("c2", "c0", "c1")
QUERIES: list[Query] = [
    CountQuery(),
    MarginalQuery(clique=TRIPLE),
    InteractionQuery(clique=PAIR, shape=(3, 2)),
    FitErrorsQuery(
        candidates=(PAIR, TRIPLE), predictions=(np.full((3, 2), 0.7), np.ones((4, 3, 2)))
    ),
    WorstFitQuery(candidates=(PAIR,), predictions=(np.full((3, 2), 0.3),), penalties=(0.5,)),
    BestFitQuery(cliques=(PAIR,), candidates=((np.full((3, 2), 0.3),), (np.zeros((3, 2)),))),
    DependenceQuery(
        candidates=(("c0", ()), ("c0", ("c1",)), ("c1", ("c2", "c0"))), penalties=(0.0, 1.0, 0.0)
    ),
    MergedQuery(
        query=MarginalQuery(clique=("c2 (groups)",)), merging=Merging(groups={"c2": (0, 1, 1, 0)})
    ),
]


@pytest.mark.parametrize("relation", list(Neighbouring))
@pytest.mark.parametrize("query", QUERIES, ids=lambda q: type(q).__name__)
def test_neighbours_differ_from_the_file_as_from_memory(
    query: Query, relation: Neighbouring
) -> None:
    rng = np.random.default_rng(5)
    codes, domain = drawn([3, 2, 4], 9, 4)
    budget = Budget(epsilon=1.0, delta=1e-6, relation=relation)
    tables = [codes]
    for i in range(len(codes)):
        without = np.delete(codes, i, axis=0)
        other = rng.integers(0, domain.shape, (1, 3)).astype(codes.dtype)
        replaced = relation is Neighbouring.REPLACE
        tables.append(np.concatenate([without, other]) if replaced else without)
    answers = [query.evaluate(BlockCounter(spool_of(t, domain, 4), domain)) for t in tables]
    for table, answer in zip(tables, answers, strict=True):
        assert np.array_equal(answer, query.exact(table, domain))
    changes = [np.asarray(a - answers[0], dtype=float).ravel() for a in answers[1:]]
    # Scores of a selection change one by one, counts together.
    order = 2 if isinstance(query, AdditiveQuery | MergedQuery) else np.inf
    largest = max(np.linalg.norm(change, order) for change in changes)
    assert 0.0 < largest <= query.sensitivity(budget) or isinstance(query, CountQuery)


def test_records_elsewhere_are_not_handed_out() -> None:
    codes, domain = drawn([3], 5, 0)
    counter = BlockCounter(spool_of(codes, domain, 5), domain)
    with pytest.raises(RecordsElsewhereError, match="DP-SGD needs the records in memory"):
        _ = counter.codes
    assert repr(counter) == "BlockCounter(attributes=('c0',))"
