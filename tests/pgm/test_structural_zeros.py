"""Structural zeros: exact in every answer, in the fit, in a saved model, and in every row."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.data.domain import Clique, Domain
from dpsynth.errors import ContradictionError, InvalidValueError, UnknownNameError
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.estimation import estimate, estimate_total
from dpsynth.pgm.inference import Oracle
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.model import GraphicalModel
from tests.pgm.brute_force import (
    CLIQUE_SETS,
    DOMAIN,
    TOTAL,
    half_chi_square,
    joint,
    measure,
    models,
    probabilities,
    random_potentials,
    slow_optimum,
    table_marginal,
    with_zeros,
)


def compare(domain: Domain, cliques: tuple[Clique, ...], potentials) -> bool:
    """Compare every answer with the full table; return whether any cell was possible."""
    table = probabilities(domain, cliques, potentials)
    if table is None:
        with pytest.raises(ContradictionError, match="no possible record"):
            GraphicalModel(domain=domain, total=2.0, cliques=cliques, potentials=potentials)
        return False
    model = GraphicalModel(domain=domain, total=2.0, cliques=cliques, potentials=potentials)
    logs = joint(domain, cliques, potentials)
    peak = logs.max()
    assert model.calibration.log_partition == pytest.approx(
        np.log(np.exp(logs - peak).sum()) + peak, abs=1e-9, rel=1e-12
    )
    oracle = Oracle(tree=model.tree, cliques=cliques)
    assert oracle.propagator.maximum(oracle.spread(potentials)) == pytest.approx(peak, abs=1e-9)
    names = domain.attributes
    for width in range(1, min(3, len(names)) + 1):
        for wanted in itertools.permutations(names, width):
            same(model.marginal(wanted), 2.0 * table_marginal(domain, table, wanted), logs, domain)
    pairs = list(itertools.permutations(names, 2))
    for pair, found in model.pairs(pairs).items():
        same(found, 2.0 * table_marginal(domain, table, pair), logs, domain)
    rows = model.sample(300, rng=np.random.default_rng(5)).astype(np.int64)
    assert np.isfinite(logs[tuple(rows.T)]).all()
    return True


def same(found, expected, logs: np.ndarray, domain: Domain) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-12, rtol=1e-9)
    assert (found[expected == 0.0] == 0.0).all()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.9])
@pytest.mark.parametrize("cliques", CLIQUE_SETS.values(), ids=CLIQUE_SETS)
def test_equals_the_full_table(cliques: list[Clique], share: float) -> None:
    maximal = maximal_cliques(DOMAIN, cliques)
    rng = np.random.default_rng(1)
    potentials = random_potentials(DOMAIN, maximal, rng=rng)
    possible = compare(DOMAIN, maximal, with_zeros(potentials, rng=rng, share=share))
    assert possible or share > 0.1


@given(models(zeros=True))
@settings(max_examples=60, deadline=None)
def test_equals_the_full_table_for_any_model(model) -> None:
    compare(*model)


def test_a_contradiction_between_cliques_is_refused() -> None:
    equal = np.where(np.eye(2, dtype=bool), 0.0, -np.inf)
    domain = Domain(sizes={"x": 2, "y": 2, "z": 2})
    cliques = (("x", "y"), ("x", "z"), ("y", "z"))
    GraphicalModel(domain=domain, total=1.0, cliques=cliques, potentials=(equal, equal, equal))
    swapped = equal[::-1].copy()
    with pytest.raises(ContradictionError):
        GraphicalModel(
            domain=domain, total=1.0, cliques=cliques, potentials=(equal, equal, swapped)
        )
    zeros = dict(zip(cliques, map(np.isneginf, (equal, equal, swapped)), strict=True))
    with pytest.raises(ContradictionError, match="structural zeros: they leave no possible"):
        estimate(domain, [], impossible=zeros)


def ruled_out() -> dict[Clique, np.ndarray]:
    """Zeros inside a measured clique, across two of them, and where nothing is measured."""
    first = np.zeros((3, 2), dtype=bool)
    first[1] = [True, False]
    second = np.zeros((2, 4), dtype=bool)
    second[0, 1:3] = True
    return {("b", "a"): first, ("c", "d"): second, ("f",): np.array([False, True, False])}


@pytest.mark.parametrize(
    ("name", "sigma"),
    [("pair", 0.5), ("chain", 0.5), ("cycle", 20.0), ("overlapping triples", 0.5)],
)
def test_the_fit_is_the_best_that_has_the_zeros(name: str, sigma: float) -> None:
    measurements = measure(CLIQUE_SETS[name], sigma=sigma)
    zeros = ruled_out()
    model = estimate(DOMAIN, measurements, total=TOTAL, steps=1500, tolerance=0.0, impossible=zeros)
    for clique, array in zeros.items():
        found = model.marginal(clique)
        assert (found[array] == 0.0).all()
        assert (found[~array] > 0.0).all()
    table = model.marginal(DOMAIN.attributes)
    hosts = list(zeros)
    logs = joint(
        DOMAIN,
        [DOMAIN.canonical(c) for c in hosts],
        [
            np.where(zeros[c].transpose([c.index(a) for a in DOMAIN.canonical(c)]), -np.inf, 0.0)
            for c in hosts
        ],
    )
    assert np.isfinite(table).all()
    assert (table[np.isneginf(logs)] == 0.0).all()
    reference = slow_optimum(DOMAIN, measurements, total=TOTAL, steps=1500, start=logs)
    cells = sum(m.values.size for m in measurements)
    best = half_chi_square(DOMAIN, reference, measurements)
    assert half_chi_square(DOMAIN, table, measurements) <= best + 1e-3 * cells


def test_zeros_alone_leave_the_rest_uniform() -> None:
    model = estimate(DOMAIN, [], total=12.0, impossible={("f",): np.array([False, True, False])})
    np.testing.assert_allclose(model.marginal(("f",)), [6.0, 0.0, 6.0])
    np.testing.assert_allclose(model.marginal(("a",)), [6.0, 6.0])


def test_zeros_of_the_start_hold_too() -> None:
    start = estimate(DOMAIN, [], total=TOTAL, impossible={("f",): np.array([True, False, False])})
    more = {("a", "b"): np.arange(6).reshape(2, 3) == 4}
    model = estimate(DOMAIN, measure([("a", "f")], sigma=1.0), start=start, impossible=more)
    assert (model.marginal(("a", "f"))[:, 0] == 0.0).all()
    assert model.marginal(("a", "b"))[1, 1] == 0.0


def test_noise_in_impossible_cells_does_not_count_for_the_total() -> None:
    values = np.array([[10.0, 50.0], [0.0, 0.0], [900.0, -40.0]])
    measured = [NoisyMarginal(clique=("b", "a"), values=values, sigma=2.0)]
    zeros = {("b",): np.array([False, False, True])}
    assert estimate(DOMAIN, measured, impossible=zeros).total == pytest.approx(60.0)
    two = [*measured, NoisyMarginal(clique=("c",), values=np.array([30.0, 40.0]), sigma=2.0)]
    assert estimate_total(two) == pytest.approx((920.0 / 6 + 70.0 / 2) / (1 / 6 + 1 / 2))
    expected = (60.0 / 4 + 70.0 / 2) / (1 / 4 + 1 / 2)
    assert estimate(DOMAIN, two, impossible=zeros).total == pytest.approx(expected)


def test_a_saved_model_keeps_its_zeros() -> None:
    model = estimate(DOMAIN, measure(CLIQUE_SETS["chain"], sigma=1.0), impossible=ruled_out())
    again = GraphicalModel.from_arrays(DOMAIN, model.arrays())
    for clique, array in ruled_out().items():
        assert (again.marginal(clique)[array] == 0.0).all()
    first, second = (m.sample(50, rng=np.random.default_rng(1)) for m in (model, again))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("zeros", "rule"),
    [
        ({("a",): np.zeros(3, dtype=bool)}, r"impossible cells of \('a',\)"),
        ({("a",): np.zeros(2)}, "bool"),
        ({(): np.zeros((), dtype=bool)}, "each named once"),
        ({("a", "a"): np.zeros((2, 2), dtype=bool)}, "each named once"),
    ],
)
def test_bad_zeros_are_refused(zeros: dict, rule: str) -> None:
    with pytest.raises(InvalidValueError, match=rule):
        estimate(DOMAIN, [], impossible=zeros)


def test_unknown_attributes_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="'z'"):
        estimate(DOMAIN, [], impossible={("z",): np.zeros(2, dtype=bool)})


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_no_row_of_any_size_is_in_an_impossible_cell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cliques = maximal_cliques(DOMAIN, CLIQUE_SETS["big and nested"])
    potentials = with_zeros(random_potentials(DOMAIN, cliques, rng=rng), rng=rng, share=0.3)
    if probabilities(DOMAIN, cliques, potentials) is None:
        return
    model = GraphicalModel(domain=DOMAIN, total=1.0, cliques=cliques, potentials=potentials)
    logs = joint(DOMAIN, cliques, potentials)
    for n in (1, 7, 20_000):
        rows = model.sample(n, rng=rng).astype(np.int64)
        assert np.isfinite(logs[tuple(rows.T)]).all()
