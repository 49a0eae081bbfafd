"""Junction trees: cover, running intersection, order, exact sizes, refusal of what is too large."""

import itertools
import tracemalloc

import pytest
from hypothesis import given, settings

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.triangulation import adjacency, triangulate
from tests.pgm.brute_force import CLIQUE_SETS, DOMAIN, models


def check(tree: JunctionTree, cliques: list[Clique]) -> None:
    sets = [set(c) for c in tree.cliques]
    assert set().union(*sets) == set(tree.domain.attributes)
    for clique in cliques:
        assert any(set(clique) <= s for s in sets)
    assert tree.parents[0] == -1
    assert tree.separators[0] == ()
    for i, parent in enumerate(tree.parents[1:], start=1):
        assert 0 <= parent < i
        assert set(tree.separators[i]) == sets[i] & sets[parent]
        # Running intersection: what a clique shares with all earlier ones, its parent has.
        assert sets[i] & set().union(*sets[:i]) == set(tree.separators[i])
    assert not any(a < b for a, b in itertools.permutations(sets, 2))


@pytest.mark.parametrize("cliques", CLIQUE_SETS.values(), ids=CLIQUE_SETS)
def test_is_a_junction_tree(cliques: list[Clique]) -> None:
    check(JunctionTree.build(DOMAIN, cliques), cliques)


@given(models())
@settings(max_examples=100, deadline=None)
def test_is_a_junction_tree_for_any_cliques(model) -> None:
    domain, cliques, _ = model
    check(JunctionTree.build(domain, cliques), list(cliques))


def test_a_tree_of_pairs_needs_no_fill_in() -> None:
    star = CLIQUE_SETS["star"]
    tree = JunctionTree.build(DOMAIN, star)
    assert {frozenset(c) for c in tree.cliques} == {frozenset(c) for c in star}
    assert tree.cells == sum(DOMAIN.project(c).cells for c in star)


def test_a_cycle_is_filled_with_triangles() -> None:
    tree = JunctionTree.build(DOMAIN, CLIQUE_SETS["cycle"])
    widths = sorted(len(c) for c in tree.cliques)
    assert widths == [1, 3, 3, 3]  # a cycle of five needs three triangles; "e" stands alone


def test_cliques_that_make_the_same_graph_have_the_same_tree() -> None:
    pairs = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]
    assert JunctionTree.build(DOMAIN, pairs) == JunctionTree.build(
        DOMAIN, [("b", "a", "c"), ("d", "c")]
    )


def test_the_smaller_of_both_orders_is_kept() -> None:
    domain = Domain(sizes={"a": 50, "b": 2, "c": 50, "d": 2})
    square = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
    # Fill-in b-d makes two cliques of 200 cells; a-c would make two of 5,000.
    assert JunctionTree.build(domain, square).cells == 400
    graph = adjacency(domain, square)
    assert triangulate(domain, graph, by_fill=False) == (("a", "b", "d"), ("b", "c", "d"))


def test_too_large_is_refused_before_memory_is_spent() -> None:
    names = [f"x{i:02}" for i in range(40)]
    domain = Domain(sizes=dict.fromkeys(names, 10))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidValueError) as caught:
            JunctionTree.build(domain, itertools.combinations(names, 2))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert caught.value.value == 10**40
    assert "cells of the junction tree" in str(caught.value)
    assert "16777216" in str(caught.value)


def test_the_ceiling_is_inclusive() -> None:
    assert JunctionTree.build(DOMAIN, [("b", "d")], ceiling=20).cells == 20
    with pytest.raises(InvalidValueError, match="20, but it must be at most 19"):
        JunctionTree.build(DOMAIN, [("b", "d")], ceiling=19)
