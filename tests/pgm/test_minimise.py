"""The minimiser against a slow reference, on measurements that no distribution fits."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.coordinates import Coordinates
from dpsynth.pgm.inference import Oracle
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.measurement import NoisyMarginal, beyond_margins
from dpsynth.pgm.minimise import _descend, _Dual, _Search, minimise
from dpsynth.pgm.objective import Objective
from tests.pgm.brute_force import TOTAL, half_chi_square, measure, noisy, slow_optimum, walks

DOMAIN = Domain(sizes={"a": 4, "b": 5, "c": 3, "d": 2, "e": 6})
CLIQUES: list[tuple[str, ...]] = [
    ("a", "b"),
    ("b", "c"),
    ("c", "d"),
    ("a", "d"),
    ("b", "c", "d"),
    ("e",),
    ("a", "e"),
]


# A skewed table of rare cells and hardly any noise. Measured at 300 evaluations: .022 is left a
# cell, and .22 with a tolerance a thousand times as large.
RARE = Domain(sizes={"a": 60, "b": 40, "c": 2})
RARE_CLIQUES: list[tuple[str, ...]] = [("a", "b"), ("b", "c"), ("a", "c"), ("a",)]


def _objective(
    sigma: float, *, domain: Domain = DOMAIN, cliques: list[tuple[str, ...]] = CLIQUES
) -> Objective:
    tree = JunctionTree.build(domain, cliques)
    base = Oracle(tree=tree, cliques=()).spread([])
    measured = measure(cliques, sigma=sigma, seed=3, domain=domain)
    return Objective.of(tree, measured, base=base, total=TOTAL)


def _value(objective: Objective, multipliers: np.ndarray) -> float:
    _, counts = objective.counts(multipliers)
    return objective.value(objective.margins.beyond(counts))


@pytest.mark.parametrize("sigma", [3.0, 100.0])
def test_reaches_the_optimum_of_a_slow_reference(sigma: float) -> None:
    objective = _objective(sigma)
    found = _value(objective, minimise(objective, steps=1500, tolerance=0.0))
    measured = measure(CLIQUES, sigma=sigma, seed=3, domain=DOMAIN)
    reference = slow_optimum(DOMAIN, measured, total=TOTAL, steps=40_000)
    assert found <= half_chi_square(DOMAIN, reference, measured) * (1 + 1e-4)


@pytest.mark.parametrize("sigma", [0.1, 3.0, 100.0])
def test_few_steps_leave_less_than_the_noise(sigma: float) -> None:
    objective = _objective(sigma)
    found = _value(objective, minimise(objective, steps=300, tolerance=1e-3))
    best = _value(objective, minimise(objective, steps=3000, tolerance=0.0))
    assert found - best < 0.05 * len(objective.targets)


def test_rare_cells_with_little_noise_are_fitted_too() -> None:
    objective = _objective(0.003, domain=RARE, cliques=RARE_CLIQUES)
    found = _value(objective, minimise(objective, steps=300, tolerance=1e-3))
    best = _value(objective, minimise(objective, steps=4000, tolerance=0.0))
    assert found - best < 0.05 * len(objective.targets)


# Many cells of the optimum are 0, which is approached slowly. Measured: 5e-4 is left after 1,000
# evaluations, and 5e-3 when steps are halved and grow anew at every restart.
def test_momentum_is_not_cut_off_by_steps_that_grow() -> None:
    domain, measured, total = walks(3.0)
    tree = JunctionTree.build(domain, [m.clique for m in measured])
    base = Oracle(tree=tree, cliques=()).spread([])
    objective = Objective.of(tree, measured, base=base, total=total)
    search = _Search(objective=objective)
    search.evaluate(np.zeros(len(objective.targets)))
    _descend(search, steps=1000, enough=0.0)
    best = _value(objective, minimise(objective, steps=4000, tolerance=0.0))
    assert search.value <= best * (1 + 1e-3)


def test_never_ends_above_its_start() -> None:
    objective = _objective(10.0)
    start = _value(objective, np.zeros(len(objective.targets)))
    for steps in (0, 1, 2, 5, 40):
        assert _value(objective, minimise(objective, steps=steps, tolerance=1e-3)) <= start


def test_what_is_fitted_exactly_is_no_error() -> None:
    domain = Domain(sizes={"a": 2, "b": 2})
    flat = [NoisyMarginal(clique=(x,), values=np.full(2, 50.0), sigma=1.0) for x in "ab"]
    beyond = NoisyMarginal(clique=("a", "b"), values=np.zeros((2, 2)), sigma=1.0, centred=True)
    tree = JunctionTree.build(domain, [("a", "b")])
    base = Oracle(tree=tree, cliques=()).spread([])
    objective = Objective.of(tree, [*flat, beyond], base=base, total=100.0)
    assert not minimise(objective, steps=300, tolerance=0.0).any()


def test_the_slope_of_a_proximal_dual_is_its_derivative() -> None:
    objective = _objective(3.0)
    rng = np.random.default_rng(5)
    cells = len(objective.targets)
    search = _Search(objective=objective)
    centre, penalty = rng.normal(size=cells), rng.random(cells)
    _, counts = objective.counts(centre)
    coordinates = Coordinates.at(objective.margins, counts, penalty=penalty)
    dual = _Dual(search=search, centre=centre, penalty=penalty, coordinates=coordinates)
    point, direction = rng.normal(size=cells), rng.normal(size=cells)
    step = 1e-5
    rise = dual(point + step * direction)[0] - dual(point - step * direction)[0]
    assert float(dual(point)[1] @ direction) == pytest.approx(rise / (2 * step), rel=1e-6)


# Interactions of codes whose frequencies differ by a factor of a thousand, and one-way marginals
# with a tenth of their noise. Measured at 300 evaluations, .002 and .006 are left a cell. In the
# first case .53 where a cell is scaled by its own second derivative alone, in the second 2.8 where
# the steps of counts are made, and .03 where entropy never rises.
@pytest.mark.parametrize("sigma", [0.5, 0.02])
def test_interactions_of_rare_codes_are_fitted_too(sigma: float) -> None:
    rng = np.random.default_rng(1)
    domain = Domain(sizes=dict.fromkeys("abcde", 12))
    laws = [0.5 ** np.arange(12) / sum(0.5 ** np.arange(12)) for _ in range(5)]
    rows = np.stack([rng.choice(12, size=40_000, p=law) for law in laws], axis=1)
    for i in range(1, 5):
        copied = rng.random(40_000) < 0.5
        rows[copied, i] = rows[copied, i - 1]
    pairs: list[Clique] = [(a, b) for a, b in combinations("abcde", 2)][:6]
    _, ones, total = noisy(rows, domain, [(a,) for a in "abcde"], sigma, rng)
    _, counts, _ = noisy(rows, domain, pairs, 10 * sigma, rng)
    beyond = [replace(m, values=beyond_margins(m.values), centred=True) for m in counts]
    tree = JunctionTree.build(domain, [*[(a,) for a in "abcde"], *pairs])
    base = Oracle(tree=tree, cliques=()).spread([])
    objective = Objective.of(tree, [*ones, *beyond], base=base, total=total)
    found = _value(objective, minimise(objective, steps=300, tolerance=1e-3))
    best = _value(objective, minimise(objective, steps=3000, tolerance=0.0))
    print(
        found / len(objective.targets), best / len(objective.targets), max(c for c in tree.cliques)
    )
    assert found - best < 0.02 * len(objective.targets)
