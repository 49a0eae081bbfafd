"""What precision each effect of a small table should have: triples err least for a cost."""

from itertools import combinations
from math import prod, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.generators.marginal.precisions import Precisions
from dpsynth.pgm.measurement import beyond_margins

Array = NDArray[np.float64]

BINARY = dict.fromkeys("abcdefgh", 2)
MIXED = {"a": 2, "b": 7, "c": 2, "d": 4, "e": 3, "f": 2, "g": 2}


def of(sizes: dict[str, int], *, largest: int = 3, label: str | None = None) -> Precisions:
    names = tuple(sizes)
    cliques = [c for k in range(largest + 1) for c in combinations(names, k)]
    return Precisions(
        domain=Domain(sizes=sizes), cliques=tuple(cliques), label=label, label_weight=4.0
    )


def nothing(precisions: Precisions) -> Array:
    return np.zeros(len(precisions.cliques))


def costs_of(precisions: Precisions, *, budget: float) -> Array:
    """What interactions cost: less the fewer codes, in parts of what there is."""
    sizes = precisions.domain.sizes
    parts = [prod(1 - 1 / sizes[a] for a in c) for c in precisions.cliques]
    return np.array(parts, dtype=np.float64) / budget


def errors(precisions: Precisions, bought: Array) -> dict[Clique, float]:
    """For each triple the root of its effects' squared norms, one effect at a time."""
    sizes, found = precisions.domain.sizes, dict[Clique, float]()
    places = {c: i for i, c in enumerate(precisions.cliques)}
    for triple in combinations(precisions.domain.attributes, 3):
        squares = 0.0
        for clique in (c for k in range(4) for c in combinations(triple, k)):
            cells = prod(sizes[a] for a in clique) if clique else 2
            known = bought[places[clique]]
            if len(clique) == 2:
                for third in (a for a in precisions.domain.attributes if a not in clique):
                    above = precisions.domain.canonical((*clique, third))
                    known += bought[places[above]] / sizes[third]
            if len(clique) > 1:
                known += (cells / 0.4) ** 2
            squares += cells**2 * prod(1 - 1 / sizes[a] for a in clique) / known
        found[triple] = sqrt(squares)
    return found


def error(precisions: Precisions, bought: Array) -> float:
    return sum(errors(precisions, bought).values())


@pytest.mark.parametrize("budget", [3e4, 1e6, 1e9])
def test_no_other_purchase_of_attributes_errs_less(budget: float) -> None:
    """A hundredth of what one has, given to another (500 draws, seed 1), the number of records
    among them. Not so with pairs, which have more, and triples, which show pairs."""
    precisions = of(MIXED)
    had, costs = nothing(precisions), costs_of(precisions, budget=budget)
    level, worths = precisions.least_error(had=had, costs=costs)
    bought = precisions.beyond(level, worths, had=had)
    assert bought @ costs == pytest.approx(1.0)
    least, rng = error(precisions, bought), np.random.default_rng(1)
    orders = np.array([len(c) for c in precisions.cliques])
    singles = np.flatnonzero(orders < 2)
    for _ in range(500):
        giver, taker = rng.choice(singles, 2, replace=False)
        changed, part = bought.copy(), 0.01 * bought[giver]
        changed[giver] -= part
        changed[taker] += part * costs[giver] / costs[taker]
        assert error(precisions, changed) > least


@pytest.mark.parametrize("budget", [3e4, 1e6])
def test_it_errs_less_than_the_least_sum_of_squares(budget: float) -> None:
    precisions = of(MIXED)
    had, costs = nothing(precisions), costs_of(precisions, budget=budget)
    level, worths = precisions.least_error(had=had, costs=costs)
    squares = precisions._level(precisions.even, had=had, costs=costs)  # pyright: ignore[reportPrivateUsage]
    found = [
        error(precisions, precisions.beyond(level, worths, had=had)),
        error(precisions, precisions.beyond(squares, precisions.even, had=had)),
    ]
    assert found[0] < 0.998 * found[1]


@pytest.mark.parametrize("known", [None, "d"])
@pytest.mark.parametrize("budget", [3e4, 1e6, 1e9])
def test_a_triple_is_worth_as_little_as_it_errs(budget: float, known: str | None) -> None:
    """Errors of what was bought in the end, with an attribute that was known before or without."""
    precisions = of(MIXED)
    had, costs = nothing(precisions), costs_of(precisions, budget=budget)
    if known:
        had[precisions.cliques.index((known,))] = np.inf
    level, worths = precisions.least_error(had=had, costs=costs)
    own = _by_clique(precisions, worths)
    erring = errors(precisions, had + precisions.beyond(level, worths, had=had))
    products = [own[triple] * of_triple for triple, of_triple in erring.items()]
    assert max(products) < 1.001 * min(products)


def test_columns_alike_have_even_worths() -> None:
    precisions = of(BINARY)
    costs = costs_of(precisions, budget=1e5)
    _, worths = precisions.least_error(had=nothing(precisions), costs=costs)
    assert worths == pytest.approx(precisions.even)
    counts = dict(zip(precisions.cliques, precisions.even, strict=True))
    assert [counts[c] for c in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [56, 21, 6, 1]


def test_what_is_known_is_not_bought_and_leaves_more_for_the_others() -> None:
    precisions = of(MIXED)
    had, costs = nothing(precisions), costs_of(precisions, budget=1e5)
    level, _ = precisions.least_error(had=had, costs=costs)
    had[0] = np.inf  # the number of records
    had[precisions.cliques.index(("b",))] = np.inf
    more, worths = precisions.least_error(had=had, costs=costs)
    bought = precisions.beyond(more, worths, had=had)
    assert bought[had > 0] == pytest.approx(0.0)
    assert bought @ costs == pytest.approx(1.0)
    assert more > level


def test_larger_budgets_buy_triples_and_a_label_gets_more() -> None:
    plain, labelled = of(BINARY), of(BINARY, label="c")
    orders = np.array([len(c) for c in plain.cliques])
    small, large = (plain.wanted(level, plain.even) for level in (10.0, 1000.0))
    assert (small[orders == 3] == 0).all()
    assert (small[orders < 3] > 0).all()
    assert (large > 0).all()
    with_label = _by_clique(labelled, labelled.wanted(10.0, labelled.even))
    assert with_label["c", "d"] == pytest.approx(2 * with_label["a", "b"])


@pytest.mark.parametrize("sizes", [{"a": 2, "b": 3}, {"a": 2, "b": 3, "c": 5}])
def test_two_and_three_attributes_are_a_single_table(sizes: dict[str, int]) -> None:
    precisions = of(sizes, largest=2)
    costs = costs_of(precisions, budget=1e4)
    level, worths = precisions.least_error(had=nothing(precisions), costs=costs)
    assert np.isfinite(level)
    assert (worths > 0).all()


def test_the_noise_of_pairs_is_what_their_noise_is() -> None:
    """Mean total variation of 2,000 draws of the interactions' noise (seed 5), to 3%."""
    precisions = of({"a": 2, "b": 3, "c": 5})
    wanted = precisions.wanted(3000.0, precisions.even)
    rng, found = np.random.default_rng(5), list[float]()
    for pair, precision in _by_clique(precisions, wanted).items():
        if len(pair) == 2:
            shape = [precisions.domain.sizes[a] for a in pair]
            draws = rng.normal(size=(2000, *shape)) / sqrt(precision)
            found.append(float(np.mean([0.5 * np.abs(beyond_margins(d)).sum() for d in draws])))
    assert precisions.noise_of_pairs(wanted) == pytest.approx(np.mean(found), rel=0.03)


def _by_clique(precisions: Precisions, values: Array) -> dict[Clique, float]:
    return dict(zip(precisions.cliques, values.tolist(), strict=True))
