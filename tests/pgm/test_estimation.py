"""Estimation: the optimum of the convex objective, totals, warm starts, and hostile noise."""

import itertools

import numpy as np
import pytest

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import InvalidValueError, UnknownNameError
from dpsynth.pgm.estimation import estimate, estimate_total
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel
from tests.pgm.brute_force import (
    CLIQUE_SETS,
    DOMAIN,
    TOTAL,
    half_chi_square,
    measure,
    slow_optimum,
)

# The others are slow in the reference, and say nothing new about the fit.
NAMES = [n for n in CLIQUE_SETS if n not in ("none", "all but one", "big and nested", "two rings")]


@pytest.mark.parametrize("sigma", [0.5, 20.0])
@pytest.mark.parametrize("name", NAMES)
def test_reaches_the_optimum(name: str, sigma: float) -> None:
    measurements = measure(CLIQUE_SETS[name], sigma=sigma)
    model = estimate(DOMAIN, measurements, total=TOTAL, steps=5000, tolerance=0.0)
    reference = slow_optimum(DOMAIN, measurements, total=TOTAL, steps=5000)
    found = half_chi_square(DOMAIN, model.marginal(DOMAIN.attributes), measurements)
    cells = sum(m.values.size for m in measurements)
    assert found <= half_chi_square(DOMAIN, reference, measurements) + 1e-3 * cells
    uniform = np.full(DOMAIN.shape, TOTAL / DOMAIN.cells)
    assert found <= half_chi_square(DOMAIN, uniform, measurements) + 1e-9


def test_noise_free_marginals_are_reproduced() -> None:
    measurements = measure(CLIQUE_SETS["cycle"], sigma=1e-2)
    model = estimate(DOMAIN, measurements, total=TOTAL, steps=5000, tolerance=0.0)
    for m in measurements:
        np.testing.assert_allclose(model.marginal(m.clique), m.values, atol=0.1)


def test_what_is_not_measured_stays_uniform() -> None:
    model = estimate(DOMAIN, measure([("a", "b")], sigma=1.0), total=TOTAL)
    np.testing.assert_allclose(model.marginal(("d",)), TOTAL / 4)
    pair = model.marginal(("a", "d"))
    np.testing.assert_allclose(pair, np.outer(model.marginal(("a",)), np.full(4, 0.25)))


def test_entropy_is_maximal_given_the_measurements() -> None:
    model = estimate(DOMAIN, measure([("a",), ("b",), ("c",)], sigma=1.0), total=TOTAL)
    a, b, c = (model.marginal((x,)) / TOTAL for x in "abc")
    np.testing.assert_allclose(
        model.marginal(("a", "b", "c")), TOTAL * np.einsum("a,b,c->abc", a, b, c)
    )


def test_no_measurement_gives_the_uniform_model() -> None:
    model = estimate(DOMAIN, [], total=10.0)
    np.testing.assert_allclose(model.marginal(DOMAIN.attributes), 10.0 / DOMAIN.cells)
    assert estimate(DOMAIN, []).total == 1.0


def test_axes_follow_the_cliques_own_order() -> None:
    forward = measure([("b", "d")], sigma=0.1)[0]
    backward = NoisyMarginal(clique=("d", "b"), values=forward.values.T, sigma=0.1)
    first = estimate(DOMAIN, [forward], total=TOTAL).marginal(("b", "d"))
    second = estimate(DOMAIN, [backward], total=TOTAL).marginal(("b", "d"))
    np.testing.assert_array_equal(first, second)


def test_repeated_measurements_weigh_by_their_precision() -> None:
    values = np.array([100.0, 300.0])
    exact = NoisyMarginal(clique=("a",), values=values, sigma=1.0)
    rough = NoisyMarginal(clique=("a",), values=values[::-1], sigma=3.0)
    model = estimate(DOMAIN, [exact, rough], total=TOTAL, steps=2000, tolerance=0.0)
    np.testing.assert_allclose(model.marginal(("a",)), [120.0, 280.0], rtol=1e-4)


def test_total_is_the_minimum_variance_estimate() -> None:
    measurements = [
        NoisyMarginal(clique=("a",), values=np.array([40.0, 60.0]), sigma=1.0),
        NoisyMarginal(clique=("b",), values=np.array([40.0, 40.0, 50.0]), sigma=2.0),
    ]
    expected = (100 / 2 + 130 / 12) / (1 / 2 + 1 / 12)
    assert estimate_total(measurements) == pytest.approx(expected)
    assert estimate(DOMAIN, measurements).total == pytest.approx(expected)


@pytest.mark.parametrize("sigma", [1e3, 1e6, 1e-6])
@pytest.mark.parametrize("seed", range(4))
def test_hostile_noise_neither_crashes_nor_gives_nan(sigma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cliques = [("a", "b"), ("b", "d"), ("c",)]
    measurements = [
        NoisyMarginal(clique=c, values=rng.normal(0, sigma, DOMAIN.project(c).shape), sigma=sigma)
        for c in cliques
    ]
    model = estimate(DOMAIN, measurements)
    assert model.total >= 1.0
    table = model.marginal(DOMAIN.attributes)
    assert np.isfinite(table).all()
    assert table.sum() == pytest.approx(model.total)
    assert model.sample(2, rng=rng).shape == (2, 6)


def test_a_warm_start_needs_fewer_steps() -> None:
    measurements = measure(CLIQUE_SETS["overlapping triples"], sigma=2.0)
    cold = estimate(DOMAIN, measurements[:2], total=TOTAL, steps=2000)
    short = estimate(DOMAIN, measurements, total=TOTAL, steps=3)
    warm = estimate(DOMAIN, measurements, total=TOTAL, steps=3, start=cold)
    losses = [
        half_chi_square(DOMAIN, m.marginal(DOMAIN.attributes), measurements) for m in (warm, short)
    ]
    assert losses[0] < losses[1]


def test_a_warm_start_keeps_what_the_measurements_do_not_touch() -> None:
    start = estimate(DOMAIN, measure([("a", "b")], sigma=0.1), total=TOTAL)
    model = estimate(DOMAIN, measure([("c", "d")], sigma=0.1), total=TOTAL, start=start)
    np.testing.assert_allclose(model.marginal(("a", "b")), start.marginal(("a", "b")))
    still = estimate(DOMAIN, [], total=TOTAL, start=start)
    np.testing.assert_allclose(still.marginal(("a", "b")), start.marginal(("a", "b")))


def test_same_input_same_model() -> None:
    measurements = measure(CLIQUE_SETS["cycle"], sigma=5.0)
    first, second = (estimate(DOMAIN, measurements) for _ in range(2))
    for a, b in zip(first.potentials, second.potentials, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("clique", "values", "message"),
    [
        (("a",), np.zeros(3), "shape of the marginal"),
        (("a",), np.array([1.0, np.nan]), "finite"),
        (("a", "a"), np.zeros((2, 2)), "each named once"),
        ((), np.zeros(()), "each named once"),
    ],
)
def test_bad_measurements_are_refused(clique: Clique, values: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        estimate(DOMAIN, [NoisyMarginal(clique=clique, values=values, sigma=1.0)])


def test_bad_arguments_are_refused() -> None:
    measurements = measure([("a",)], sigma=1.0)
    with pytest.raises(InvalidValueError, match="total is -1"):
        estimate(DOMAIN, measurements, total=-1.0)
    with pytest.raises(InvalidValueError, match="steps is -1"):
        estimate(DOMAIN, measurements, steps=-1)
    with pytest.raises(UnknownNameError, match="'z'"):
        estimate(DOMAIN, [NoisyMarginal(clique=("z",), values=np.zeros(2), sigma=1.0)])


def test_too_large_a_tree_is_refused() -> None:
    names = [f"x{i}" for i in range(10)]
    domain = Domain(sizes=dict.fromkeys(names, 20))
    pairs = [
        NoisyMarginal(clique=c, values=np.zeros((20, 20)), sigma=1.0)
        for c in itertools.combinations(names, 2)
    ]
    with pytest.raises(InvalidValueError, match="cells of the junction tree is 10240000000000"):
        estimate(domain, pairs)


def test_sixty_columns() -> None:
    names = [f"x{i:02}" for i in range(60)]
    domain = Domain(sizes=dict.fromkeys(names, 10))
    rng = np.random.default_rng(0)
    measurements = [
        NoisyMarginal(
            clique=c,
            values=rng.gamma(1.0, 1.0, (10, 10)) * 100 + rng.normal(0, 5, (10, 10)),
            sigma=5,
        )
        for c in itertools.pairwise(names)
    ]
    model = estimate(domain, measurements, steps=20)
    assert isinstance(model, GraphicalModel)
    assert model.sample(100, rng=rng).shape == (100, 60)
