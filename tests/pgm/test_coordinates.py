"""Coordinates of multipliers: transposes of each other, all directions, and even curvature."""

import numpy as np
import pytest

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.coordinates import Coordinates
from dpsynth.pgm.inference import Oracle
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.measurement import NoisyMarginal, beyond_margins
from dpsynth.pgm.objective import Objective
from tests.pgm.brute_force import indicators

DOMAIN = Domain(sizes={"a": 5, "b": 4, "c": 3})
ROWS = 10_000.0
PAIR: Clique = ("a", "b")
IN_GROUPS = ((0, 0, 1, 2, 2), None)


def single(attribute: str) -> NoisyMarginal:
    return NoisyMarginal(clique=(attribute,), values=np.zeros(DOMAIN.sizes[attribute]), sigma=0.7)


def beyond(*clique: str, groups: tuple = ()) -> NoisyMarginal:
    pairs = zip(clique, groups or [None] * len(clique), strict=True)
    shape = [DOMAIN.sizes[a] if g is None else max(g) + 1 for a, g in pairs]
    values = np.zeros(shape)
    return NoisyMarginal(clique=clique, values=values, sigma=5.0, groups=groups, centred=True)


ALL_ONES = [single(a) for a in DOMAIN.attributes]
CASES = {
    "pair": [*ALL_ONES, beyond("a", "b")],
    "triple": [*ALL_ONES, beyond("b", "c"), beyond("a", "b", "c")],
    "in groups": [*ALL_ONES, beyond("a", "b", groups=IN_GROUPS), beyond("b", "c")],
    "without its one-way marginal": [single("a"), beyond("a", "b")],
    "of one attribute": [beyond("a"), beyond("b"), beyond("a", "b")],
    "counts": [*ALL_ONES, NoisyMarginal(clique=PAIR, values=np.zeros((5, 4)), sigma=5.0)],
}


def objective_of(measured: list[NoisyMarginal]) -> Objective:
    tree = JunctionTree.build(DOMAIN, [m.clique for m in measured])
    base = Oracle(tree=tree, cliques=()).spread([])
    return Objective.of(tree, measured, base=base, total=ROWS)


def skewed() -> np.ndarray:
    """Probabilities of codes of very different frequency, not independent."""
    frequent = [0.1 ** np.arange(n) for n in DOMAIN.shape]
    table = np.einsum("i,j,k->ijk", *frequent)
    table *= np.random.default_rng(2).uniform(0.5, 2.0, DOMAIN.shape)
    return table / table.sum()


def operator(objective: Objective, measured: list[NoisyMarginal]) -> np.ndarray:
    """What is measured of a table, as a matrix: a row a cell."""
    blocks = []
    for m in measured:
        block = indicators(DOMAIN, m.clique)
        cells = m.cells(DOMAIN)
        if cells is not None:
            block = np.stack([block[cells == i].sum(axis=0) for i in range(m.values.size)])
        if m.centred:
            columns = [beyond_margins(c.reshape(m.values.shape)).ravel() for c in block.T]
            block = np.stack(columns, axis=1)
        blocks.append(block)
    found = np.concatenate(blocks)
    assert len(found) == len(objective.targets)
    return found


def counts_of(measured: list[NoisyMarginal], table: np.ndarray) -> np.ndarray:
    found = []
    for m in measured:
        counts, cells = ROWS * indicators(DOMAIN, m.clique) @ table.ravel(), m.cells(DOMAIN)
        found.append(counts if cells is None else np.bincount(cells, counts, m.values.size))
    return np.concatenate(found)


def matrix(coordinates: Coordinates, cells: int) -> np.ndarray:
    return np.stack([coordinates.multipliers(unit) for unit in np.eye(cells)], axis=1)


@pytest.mark.parametrize("measured", CASES.values(), ids=CASES)
def test_slopes_are_by_the_transpose(measured: list[NoisyMarginal]) -> None:
    objective = objective_of(measured)
    cells = len(objective.targets)
    coordinates = Coordinates.at(
        objective.margins, counts_of(measured, skewed()), penalty=objective.variances
    )
    slopes = np.stack([coordinates.slope(unit) for unit in np.eye(cells)], axis=1)
    assert slopes == pytest.approx(matrix(coordinates, cells).T, abs=1e-9)


@pytest.mark.parametrize("measured", CASES.values(), ids=CASES)
def test_no_direction_is_lost(measured: list[NoisyMarginal]) -> None:
    objective = objective_of(measured)
    operated = operator(objective, measured)
    coordinates = Coordinates.at(
        objective.margins, counts_of(measured, skewed()), penalty=objective.variances
    )
    reached = operated.T @ matrix(coordinates, len(objective.targets))
    rank = np.linalg.matrix_rank(operated)
    scaled = reached / np.linalg.norm(reached, axis=0).clip(1e-12)
    assert np.linalg.matrix_rank(scaled, tol=1e-6) == rank


@pytest.mark.parametrize("case", ["pair", "triple", "in groups"])
def test_interactions_leave_their_own_margins_as_they_are(case: str) -> None:
    """By the first order, where nothing else has a penalty; in their groups, where they have."""
    measured, table = CASES[case], (skewed() + 1e-3) / (1 + 1e-3 * DOMAIN.cells)
    objective = objective_of(measured)
    coordinates = Coordinates.at(
        objective.margins,
        counts_of(measured, table),
        penalty=np.zeros(len(objective.targets)),
    )
    operated, law = operator(objective, measured), table.ravel()
    weights = operated.T @ matrix(coordinates, len(objective.targets))
    moved = law[:, None] * (weights - law @ weights)
    start = 0
    for m in measured:
        of = moved[:, start : start + m.values.size]
        start += m.values.size
        assert np.abs(of).max() > 1e-4
        for attribute, groups in zip(m.clique, m.groups or [None] * 3, strict=False):
            margin = indicators(DOMAIN, (attribute,)) @ of
            if groups is not None:
                margin = np.stack([margin[np.array(groups) == g].sum(axis=0) for g in range(3)])
            assert not m.centred or np.abs(margin).max() < 1e-12


def test_curvature_is_even() -> None:
    measured, table = CASES["pair"], skewed()
    objective = objective_of(measured)
    penalty = 0.1 * objective.variances
    operated, law = operator(objective, measured), table.ravel()
    covariance = operated @ (np.diag(law) - np.outer(law, law)) @ operated.T * ROWS
    counts = counts_of(measured, table)
    coordinates = Coordinates.at(objective.margins, counts, penalty=penalty)

    def spread(by: np.ndarray) -> float:
        """Of the second derivatives in all directions that change the law."""
        weights = operated.T @ by
        weights -= weights.mean(axis=0)
        rank = np.linalg.matrix_rank(operated - operated.mean(axis=1, keepdims=True))
        of = by @ np.linalg.svd(weights)[2][:rank].T
        values = np.linalg.eigvalsh(of.T @ (covariance + np.diag(penalty)) @ of)
        return float(values[-1] / values[0])

    assert spread(matrix(coordinates, len(penalty))) < 10
    assert spread(np.diag(1.0 / np.sqrt(counts.clip(0.1) + penalty))) > 100
