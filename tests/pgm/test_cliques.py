"""Clique sets: what is maximal, what covers what."""

import pytest

from dpsynth.data.domain import Domain
from dpsynth.errors import UnknownNameError
from dpsynth.pgm.cliques import covering, maximal_cliques

DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 100, "d": 4})


def test_subsets_duplicates_and_orders_collapse() -> None:
    given = [("b", "a"), ("a", "b", "b"), ("a",), (), ("d", "c"), ("c",)]
    assert maximal_cliques(DOMAIN, given) == (("a", "b"), ("c", "d"))


def test_unknown_attributes_are_named() -> None:
    with pytest.raises(UnknownNameError, match="'z'"):
        maximal_cliques(DOMAIN, [("a", "z")])


def test_the_smallest_cover_in_cells_wins() -> None:
    cliques = [("a", "c"), ("a", "b", "d")]
    assert covering(DOMAIN, cliques, ["a"]) == 1
    assert covering(DOMAIN, cliques, ["c", "a"]) == 0
    assert covering(DOMAIN, cliques, ["c", "d"]) is None
