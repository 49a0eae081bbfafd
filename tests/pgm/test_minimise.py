"""The minimiser against a slow reference, on measurements that no distribution fits."""

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.pgm.inference import Oracle
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.measurement import NoisyMarginal
from dpsynth.pgm.minimise import minimise
from dpsynth.pgm.objective import Objective

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


def _objective(sigma: float, *, total: float = 2000.0, seed: int = 3) -> Objective:
    rng = np.random.default_rng(seed)
    truth = total * rng.dirichlet(np.full(DOMAIN.cells, 0.05)).reshape(DOMAIN.shape)
    measured: list[NoisyMarginal] = []
    for clique in CLIQUES:
        gone = tuple(i for i, a in enumerate(DOMAIN.attributes) if a not in clique)
        counts = truth.sum(axis=gone)
        values = counts + rng.normal(0, sigma, counts.shape)
        measured.append(NoisyMarginal(clique=clique, values=values, sigma=sigma))
    tree = JunctionTree.build(DOMAIN, CLIQUES)
    oracle = Oracle(tree=tree, cliques=())
    return Objective.of(tree, measured, base=oracle.spread([]), total=total)


def _value(objective: Objective, multipliers: np.ndarray) -> float:
    return objective.value(objective.expected(multipliers)[1])


def _reference(objective: Objective, steps: int = 40_000) -> float:
    """Plain mirror descent, without momentum, in safe steps."""
    here, lowest = np.zeros(len(objective.targets)), np.inf
    starts = np.cumsum([0, *(part.size for part in objective.parts(here))])[:-1]
    size = 1.0 / (objective.total * float((1 / objective.variances[starts]).sum()))
    for _ in range(steps):
        _, expected = objective.expected(here)
        value = objective.value(expected)
        if value <= lowest:
            lowest, size = value, size * 1.02
        else:
            size *= 0.5
        here = here - size * (expected - objective.targets) / objective.variances
    return lowest


@pytest.mark.parametrize("sigma", [3.0, 100.0])
def test_reaches_the_optimum_of_a_slow_reference(sigma: float) -> None:
    objective = _objective(sigma)
    found = _value(objective, minimise(objective, steps=1500, tolerance=0.0))
    assert found <= _reference(objective) * (1 + 1e-4)


@pytest.mark.parametrize("sigma", [0.1, 3.0, 100.0])
def test_few_steps_leave_less_than_the_noise(sigma: float) -> None:
    objective = _objective(sigma)
    found = _value(objective, minimise(objective, steps=300, tolerance=1e-3))
    best = _value(objective, minimise(objective, steps=3000, tolerance=0.0))
    assert found - best < 0.05 * len(objective.targets)


def test_never_ends_above_its_start() -> None:
    objective = _objective(10.0)
    start = _value(objective, np.zeros(len(objective.targets)))
    for steps in (0, 1, 2, 5, 40):
        assert _value(objective, minimise(objective, steps=steps, tolerance=1e-3)) <= start
