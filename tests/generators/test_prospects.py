"""What pairs can show at most, and which of them are asked."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.domain import Domain
from dpsynth.generators.marginal.prospects import differing, most_dependence, worth_asking
from dpsynth.pgm.model import GraphicalModel


def columns_of(table: np.ndarray) -> GraphicalModel:
    """Return the model of independent columns with the one-way marginals of a table of pairs."""
    sums = {"a": table.sum(axis=1), "b": table.sum(axis=0)}
    with np.errstate(divide="ignore"):
        potentials = tuple(np.log(of) for of in sums.values())
    return GraphicalModel(
        domain=Domain(sizes={a: len(of) for a, of in sums.items()}),
        total=float(table.sum()),
        cliques=tuple((a,) for a in sums),
        potentials=potentials,
    )


def distance(table: np.ndarray) -> float:
    product = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(np.abs(table - product).sum())


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    spread=st.sampled_from([0.05, 0.3, 1.0, 10.0]),
)
@settings(max_examples=300, deadline=None)
def test_no_pair_is_further_from_independence(
    seed: int, shape: tuple[int, int], spread: float
) -> None:
    table = 1e-9 + 100 * np.random.default_rng(seed).gamma(spread, size=shape)
    most = most_dependence(columns_of(table), [("a", "b")])["a", "b"]
    assert distance(table) <= most * (1 + 1e-9)


def test_a_column_that_copies_another_is_as_far_as_can_be() -> None:
    table = np.diag([50.0, 30.0, 20.0])
    most = most_dependence(columns_of(table), [("a", "b")])["a", "b"]
    assert most == pytest.approx(2 * 100 * (1 - 0.25 - 0.09 - 0.04))
    assert distance(table) == pytest.approx(most)


def test_a_column_of_one_value_differs_from_nothing() -> None:
    model = columns_of(np.array([[70.0, 30.0], [0.0, 0.0]]))
    assert differing(model) == {"a": 0.0, "b": pytest.approx(0.42)}
    assert most_dependence(model, [("a", "b")])["a", "b"] == 0.0


def test_pairs_are_asked_as_long_as_all_of_them_can_show_more_than_noise() -> None:
    pairs = list(combinations("abcd", 2))
    most = dict(zip(pairs, [10.0, 1.0, 8.0, 6.0, 3.9, 5.0], strict=True))

    def asked(unit: float) -> list[tuple[str, ...]]:
        return worth_asking(most, lambda queries: unit * queries**0.5)

    assert asked(0.2) == pairs
    assert asked(2.0) == [pairs[0], pairs[2], pairs[3], pairs[5]]  # 2 sqrt(5) is above 3.9
    assert asked(9.9) == [pairs[0]]
    assert asked(10.1) == []
