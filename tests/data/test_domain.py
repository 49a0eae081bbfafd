"""The domain keeps order, refuses nonsense, and survives pickling."""

import pickle
from math import prod

import pytest

from dpsynth.data.domain import Domain
from dpsynth.errors import InvalidValueError, UnknownNameError

DOMAIN = Domain(sizes={"b": 3, "a": 2, "c": 5})


def test_cells_are_those_of_the_projection() -> None:
    domain = Domain(sizes={"a": 3, "b": 10**12, "c": 10**12})
    for clique in ((), ("b",), ("c", "a", "b")):
        assert domain.cells_of(clique) == prod(domain.sizes[a] for a in clique)
    with pytest.raises(UnknownNameError, match="'d'"):
        domain.cells_of(("a", "d"))


def test_order_is_the_order_given() -> None:
    assert DOMAIN.attributes == ("b", "a", "c")
    assert DOMAIN.shape == (3, 2, 5)
    assert DOMAIN.cells == 30
    assert DOMAIN.axes(("c", "b")) == (2, 0)


def test_projection_follows_the_request_and_canonical_follows_the_domain() -> None:
    assert DOMAIN.project(("c", "b")).shape == (5, 3)
    assert DOMAIN.canonical(["c", "b", "c"]) == ("b", "c")


def test_cells_are_exact_however_many() -> None:
    wide = Domain(sizes={f"x{i}": 10 for i in range(60)})
    assert wide.cells == 10**60


def test_unknown_attributes_are_named() -> None:
    with pytest.raises(UnknownNameError, match="'z'"):
        DOMAIN.project(("a", "z"))
    with pytest.raises(UnknownNameError, match="'z'"):
        DOMAIN.canonical(("z",))


def test_empty_domains_and_sizes_are_refused() -> None:
    with pytest.raises(InvalidValueError):
        Domain(sizes={})
    with pytest.raises(InvalidValueError):
        Domain(sizes={"a": 0})


def test_equality_hash_and_pickle() -> None:
    again = pickle.loads(pickle.dumps(DOMAIN))
    assert again == DOMAIN
    assert hash(again) == hash(DOMAIN)


def test_sizes_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        DOMAIN.sizes["a"] = 7  # type: ignore[index]
