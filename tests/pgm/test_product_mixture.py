"""A mixture of products: its pairs, its rows, and the fit that brings it near to pairs."""

from dataclasses import replace

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.errors import ContradictionError, InvalidValueError
from dpsynth.pgm.evidence import Likelihood
from dpsynth.pgm.mixture_fitting import PairTargets, fit_components, near_equal, near_rows
from dpsynth.pgm.one_hot import OneHot
from dpsynth.pgm.product_mixture import ProductMixture
from tests.pgm.brute_force import table_marginal

DOMAIN = Domain(sizes={"a": 2, "b": 3, "e": 1, "c": 4})
LAYOUT = OneHot(domain=DOMAIN)


def random_components(number: int, *, seed: int, spread: float = 2.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0.0, spread, (number, LAYOUT.width))
    return LAYOUT.softmax(logits).astype(np.float32)


def mixture(number: int, *, seed: int = 0) -> ProductMixture:
    components = random_components(number, seed=seed)
    return ProductMixture(domain=DOMAIN, total=500.0, components=components)


def targets_of(components: np.ndarray) -> PairTargets:
    return PairTargets(
        domain=DOMAIN,
        singles=components.mean(axis=0).astype(np.float64),
        pairs=(components.T @ components / len(components)).astype(np.float64),
        weights=np.ones((LAYOUT.width, LAYOUT.width)),
    )


def misses(components: np.ndarray, targets: PairTargets) -> float:
    gap = components.T @ components / len(components) - targets.pairs
    return 0.5 * float((np.where(LAYOUT.beside, gap, 0.0) ** 2).sum())


def test_pairs_are_the_mean_of_the_products() -> None:
    model = mixture(7)
    b, c = (model.components[:, LAYOUT.columns[a]].astype(np.float64) for a in ("b", "c"))
    expected = 500.0 * np.mean([np.outer(p, q) for p, q in zip(b, c, strict=True)], axis=0)
    found = model.pair_matrix()[LAYOUT.columns["b"], LAYOUT.columns["c"]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def full_table(model: ProductMixture) -> np.ndarray:
    """Probabilities of all cells: the mean of the components' outer products."""
    weights = np.full(len(model.components), 1 / len(model.components))
    weights = weights if model.weights is None else model.weights
    parts = [model.components[:, LAYOUT.columns[a]].astype(np.float64) for a in DOMAIN.attributes]
    return np.einsum("k,ka,kb,ke,kc->abec", weights, *parts)


@pytest.mark.parametrize("attributes", [("c", "a"), ("b",), ("a", "b", "e", "c"), ()])
def test_marginals_are_sums_of_the_full_table(attributes: tuple[str, ...]) -> None:
    model = mixture(6)
    expected = 500.0 * table_marginal(DOMAIN, full_table(model), attributes)
    np.testing.assert_allclose(model.marginal(attributes), expected, rtol=1e-5)
    with pytest.raises(InvalidValueError, match="once"):
        model.marginal(("a", "a"))


@pytest.mark.parametrize("spread", [2.0, 60.0])  # components that are nearly certain of their codes
def test_given_is_the_full_table_cut(spread: float) -> None:
    components = random_components(9, seed=3, spread=spread)
    model = ProductMixture(domain=DOMAIN, total=500.0, components=components)
    soft = np.array([0.0, 0.25, 1.0, 0.5])
    cut = full_table(model) * soft
    cut[:, 1] = 0.0
    found = model.given({"b": [0, 2], "c": Likelihood(values=soft)})
    assert found.total == pytest.approx(500.0 * cut.sum(), rel=1e-5)
    np.testing.assert_allclose(full_table(found), cut / cut.sum(), atol=1e-6)
    names = DOMAIN.attributes
    np.testing.assert_allclose(found.marginal(names) / found.total, cut / cut.sum(), atol=1e-6)
    pairs = found.pair_matrix()[LAYOUT.columns["a"], LAYOUT.columns["c"]] / found.total
    np.testing.assert_allclose(pairs, cut.sum(axis=(1, 2)) / cut.sum(), atol=1e-5)
    again = ProductMixture.from_arrays(DOMAIN, found.arrays())
    first, second = (m.sample(50, rng=np.random.default_rng(2)) for m in (found, again))
    np.testing.assert_array_equal(first, second)
    # In steps it is the same; rows keep to it, each cell of a component to within one.
    steps = model.given({"c": Likelihood(values=soft)}).given({"b": [0, 2]})
    np.testing.assert_allclose(full_table(steps), full_table(found), atol=1e-6)
    rows = found.sample(20_000, rng=np.random.default_rng(4)).astype(np.int64)
    drawn = np.bincount(np.ravel_multi_index(tuple(rows.T), DOMAIN.shape), minlength=DOMAIN.cells)
    assert 0.5 * np.abs(drawn / 20_000 - (cut / cut.sum()).ravel()).sum() < 0.01


def test_impossible_evidence_is_refused() -> None:
    components = np.tile([1, 0, 1, 0, 0, 1, 1, 0, 0, 0], (2, 1)).astype(np.float32)
    model = ProductMixture(domain=DOMAIN, total=5.0, components=components)
    with pytest.raises(ContradictionError, match="'a', 'b'"):
        model.given({"a": 0, "b": 1})
    with pytest.raises(InvalidValueError, match="weights"):
        replace(model, weights=np.array([0.5, 0.6]))


def test_rows_have_the_mixtures_pairs() -> None:
    """20,000 rows, seed 1: a share's standard error is at most .0036. A mixture of one component
    with the same single columns is the control."""
    model = mixture(5)
    rows = LAYOUT.encode(model.sample(20_000, rng=np.random.default_rng(1)))
    drawn = np.where(LAYOUT.beside, rows.T @ rows / len(rows), 0.0)

    def gap(expected: ProductMixture) -> float:
        shares = np.where(LAYOUT.beside, expected.pair_matrix() / expected.total, 0.0)
        return float(np.abs(drawn - shares).max())

    flat = model.components.mean(axis=0, keepdims=True)
    alone = ProductMixture(domain=DOMAIN, total=500.0, components=flat)
    assert gap(model) < 0.018 < gap(alone)


@pytest.mark.parametrize("n", [1, 3, 50])
def test_any_number_of_rows_in_range_and_by_the_seed(n: int) -> None:
    model = mixture(12)
    first, again, other = (model.sample(n, rng=np.random.default_rng(s)) for s in (2, 2, 3))
    assert first.shape == (n, 4)
    assert (first < np.array(DOMAIN.shape)).all()
    np.testing.assert_array_equal(first, again)
    assert n < 50 or not np.array_equal(first, other)


def test_saved_arrays_give_the_same_rows() -> None:
    model = mixture(6)
    loaded = ProductMixture.from_arrays(DOMAIN, model.arrays())
    first, again = (m.sample(30, rng=np.random.default_rng(4)) for m in (model, loaded))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("components", {"components": random_components(3, seed=1)[:, 1:]}),
        ("components", {"components": random_components(3, seed=1) - 0.5}),
        ("probabilities", {"components": random_components(3, seed=1) * 0.9}),
        ("total", {"total": 0.0}),
    ],
)
def test_what_is_no_mixture_is_refused(field: str, change: dict) -> None:
    with pytest.raises(InvalidValueError, match=field):
        ProductMixture(
            **{"domain": DOMAIN, "total": 1.0, "components": random_components(3, seed=1)} | change
        )


def test_a_fit_comes_near_pairs_that_a_mixture_can_have() -> None:
    truth = random_components(3, seed=5)
    targets = targets_of(truth)
    rng = np.random.default_rng(6)
    start = near_equal(DOMAIN, targets.singles, 40, spread=0.3, rng=rng)
    found = fit_components(targets, start, steps=200)
    assert misses(found, targets) < 0.01 * misses(start, targets)
    np.testing.assert_allclose(found.mean(axis=0), targets.singles, atol=0.02)


def test_a_fit_ends_when_the_misses_are_small_enough() -> None:
    targets = targets_of(random_components(3, seed=5))
    start = near_equal(DOMAIN, targets.singles, 40, spread=0.3, rng=np.random.default_rng(6))
    enough = 0.3 * misses(start, targets)
    ended = fit_components(targets, start, steps=200, enough=enough)
    assert 0.1 * enough < misses(ended, targets) <= enough


def test_a_cell_without_weight_is_not_fitted() -> None:
    truth = random_components(3, seed=5)
    targets = targets_of(truth)
    b, c = LAYOUT.columns["b"], LAYOUT.columns["c"]
    spoiled = targets.pairs.copy()
    spoiled[b, c], spoiled[c, b] = 7.0, 7.0
    weights = targets.weights.copy()
    weights[b, c] = weights[c, b] = 0.0
    start = near_equal(DOMAIN, targets.singles, 40, spread=0.3, rng=np.random.default_rng(6))
    wrong = PairTargets(
        domain=DOMAIN, singles=targets.singles, pairs=spoiled, weights=targets.weights
    )
    blind = PairTargets(domain=DOMAIN, singles=targets.singles, pairs=spoiled, weights=weights)
    other = np.where(targets.weights * (weights > 0), 1.0, 0.0) * LAYOUT.beside
    gaps = [
        float((other * (f.T @ f / len(f) - targets.pairs) ** 2).sum())
        for f in (fit_components(t, start, steps=200) for t in (blind, wrong))
    ]
    assert gaps[0] < 0.1 * gaps[1]


def test_a_start_from_rows_is_close_to_them() -> None:
    codes = np.array([[1, 2, 0, 3], [0, 0, 0, 1]])
    singles = random_components(1, seed=7)[0].astype(np.float64)
    start = near_rows(DOMAIN, codes, singles, smooth=0.1)
    np.testing.assert_allclose(OneHot(domain=DOMAIN).block_sums(start), 1.0)
    assert (start > 0).all()
    assert start[0, LAYOUT.columns["c"]].argmax() == 3
    assert start[1, LAYOUT.columns["c"]][1] > 0.9
