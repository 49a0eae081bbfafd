"""The plain way: everything over the full contingency table of a small domain.

Nothing here uses the tree; it is what the fast paths are compared with.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpsynth.data.domain import Clique, Domain
from dpsynth.pgm.cliques import maximal_cliques
from dpsynth.pgm.factor import Factor
from dpsynth.pgm.measurement import NoisyMarginal

DOMAIN = Domain(sizes={"a": 2, "b": 3, "c": 2, "d": 4, "e": 1, "f": 3})

TOTAL = 400.0

Problem = tuple[Domain, list[NoisyMarginal], float]
"""What an estimator is given: domain, measurements, total."""

CLIQUE_SETS: dict[str, list[Clique]] = {
    "none": [],
    "single": [("b",)],
    "pair": [("a", "c")],
    "chain": [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f")],
    "star": [("a", "b"), ("c", "b"), ("d", "b"), ("b", "e"), ("f", "b")],
    "cycle": [("a", "b"), ("b", "c"), ("c", "d"), ("d", "f"), ("f", "a")],
    "disconnected": [("a", "b"), ("c", "d")],
    "overlapping triples": [("a", "b", "c"), ("b", "c", "d"), ("c", "d", "f")],
    "triples in a ring": [("a", "b", "c"), ("c", "d", "e"), ("e", "f", "a")],
    "duplicates and subsets": [("b", "a"), ("a", "b"), ("a",), ("b",), ("c", "b", "d"), ("d", "c")],
    "all singles": [("a",), ("b",), ("c",), ("d",), ("e",), ("f",)],
    "size one": [("e",)],
    "everything": [("a", "b", "c", "d", "e", "f")],
    "all but one": [("b", "c", "d", "e", "f")],
    "big and nested": [("a", "b", "c", "d"), ("b", "c"), ("c", "d", "f"), ("f",), ("d", "f")],
    "two rings": [("a", "b"), ("b", "c"), ("c", "a"), ("d", "f"), ("f", "e"), ("e", "d")],
    "complete graph": [(x, y) for x in "abcdf" for y in "abcdf" if x < y],
}


def random_potentials(
    domain: Domain, cliques: Sequence[Clique], *, rng: np.random.Generator, scale: float = 2.0
) -> tuple[NDArray[np.float64], ...]:
    return tuple(rng.normal(0.0, scale, domain.project(c).shape) for c in cliques)


def joint(
    domain: Domain, cliques: Sequence[Clique], potentials: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The whole table of log-weights."""
    table = np.zeros(domain.shape)
    for clique, potential in zip(cliques, potentials, strict=True):
        table += Factor(domain=domain.project(clique), values=potential).expand(domain).values
    return table


def with_zeros(
    potentials: Sequence[NDArray[np.float64]], *, rng: np.random.Generator, share: float
) -> tuple[NDArray[np.float64], ...]:
    """The potentials with about a `share` of their cells made structural zeros."""
    return tuple(np.where(rng.random(p.shape) < share, -np.inf, p) for p in potentials)


def probabilities(
    domain: Domain, cliques: Sequence[Clique], potentials: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64] | None:
    """The whole table of probabilities; None when structural zeros leave no cell."""
    logs = joint(domain, cliques, potentials)
    if np.isneginf(logs).all():
        return None
    table = np.exp(logs - logs.max())
    return table / table.sum()


def condition(
    domain: Domain, table: NDArray[np.float64], evidence: dict[str, list[int]]
) -> NDArray[np.float64]:
    """The table with 0 wherever an attribute has a code that `evidence` does not allow."""
    for attribute, codes in evidence.items():
        allowed = np.isin(np.arange(domain.sizes[attribute]), codes)
        shape = [domain.sizes[a] if a == attribute else 1 for a in domain.attributes]
        table = np.where(allowed.reshape(shape), table, 0.0)
    return table


def table_marginal(domain: Domain, table: NDArray[np.float64], attributes: Clique) -> NDArray:
    """Sum of a full table over all but `attributes`, axes in the order given."""
    gone = tuple(i for i, a in enumerate(domain.attributes) if a not in attributes)
    left = [a for a in domain.attributes if a in attributes]
    return table.sum(axis=gone).transpose([left.index(a) for a in attributes])


def indicators(domain: Domain, clique: Clique) -> NDArray[np.float64]:
    """The matrix from a full table, flat, to the cells of a marginal."""
    columns = [
        table_marginal(domain, unit.reshape(domain.shape), clique).ravel()
        for unit in np.eye(domain.cells)
    ]
    return np.stack(columns, axis=1)


def measure(
    cliques: Sequence[Clique], *, sigma: float, seed: int = 0, domain: Domain = DOMAIN
) -> list[NoisyMarginal]:
    """Noisy marginals of a random table of TOTAL records."""
    rng = np.random.default_rng(seed)
    table = TOTAL * rng.dirichlet(np.full(domain.cells, 0.3)).reshape(domain.shape)
    found = []
    for clique in cliques:
        exact = table_marginal(domain, table, clique)
        noisy = exact + rng.normal(0.0, sigma, exact.shape)
        found.append(NoisyMarginal(clique=clique, values=noisy, sigma=sigma))
    return found


def noisy(
    rows: np.ndarray, domain: Domain, cliques: list[Clique], sigma: float, rng: np.random.Generator
) -> Problem:
    found = []
    for clique in cliques:
        shape = domain.project(clique).shape
        cells = np.ravel_multi_index(tuple(rows[:, domain.axes(clique)].T), shape)
        counts = np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
        values = counts + rng.normal(0.0, sigma, shape)
        found.append(NoisyMarginal(clique=clique, values=values, sigma=sigma))
    return domain, found, float(len(rows))


def walks(sigma: float) -> Problem:
    """5,000 walks over ten attributes of five codes; many transitions hardly ever happen."""
    rng = np.random.default_rng(0)
    domain = Domain(sizes={f"x{i}": 5 for i in range(10)})
    rows = np.empty((5000, 10), dtype=np.int64)
    rows[:, 0] = rng.integers(0, 5, 5000)
    for i in range(1, 10):
        steps = np.cumsum(rng.dirichlet(np.full(5, 0.4), size=5), axis=1)[rows[:, i - 1]]
        rows[:, i] = (rng.random((5000, 1)) > steps).sum(axis=1).clip(0, 4)
    cliques: list[Clique] = [*pairwise(domain.attributes)]
    cliques += [(a,) for a in domain.attributes]
    return noisy(rows, domain, cliques, sigma, rng)


def half_chi_square(
    domain: Domain, table: NDArray[np.float64], measurements: Sequence[NoisyMarginal]
) -> float:
    """The objective of estimation, of a full table of expected counts."""
    return sum(
        0.5 * ((table_marginal(domain, table, m.clique) - m.values) ** 2).sum() / m.sigma**2
        for m in measurements
    )


def slow_optimum(
    domain: Domain,
    measurements: Sequence[NoisyMarginal],
    *,
    total: float,
    steps: int,
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Plain mirror descent on the full table; steps grow while the objective falls.

    `start` are log-weights to begin with: minus infinity for a cell that must stay 0.
    """
    log_p = np.zeros(domain.shape) if start is None else start
    best, lowest = np.zeros(domain.shape), np.inf
    size = 1.0 / sum((total / m.sigma) ** 2 for m in measurements)
    for _ in range(steps):
        p = np.exp(log_p - log_p.max())
        p /= p.sum()
        gradient, value = np.zeros(domain.shape), 0.0
        for m in measurements:
            residual = table_marginal(domain, p, m.clique) - m.values / total
            value += 0.5 * (total / m.sigma) ** 2 * float((residual**2).sum())
            order = domain.canonical(m.clique)
            shape = [domain.sizes[a] if a in order else 1 for a in domain.attributes]
            residual = residual.transpose([m.clique.index(a) for a in order]).reshape(shape)
            gradient = gradient + (total / m.sigma) ** 2 * residual
        if value <= lowest:
            lowest, best, size = value, p, size * 1.02
        else:
            size *= 0.5
        log_p = log_p - size * gradient
    return total * best


@st.composite
def models(
    draw: st.DrawFn, zeros: bool = False
) -> tuple[Domain, tuple[Clique, ...], tuple[NDArray[np.float64], ...]]:
    """A small domain, maximal cliques in it, and potentials up to +-30, or structural zeros too."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    domain = Domain(sizes={f"x{i}": n for i, n in enumerate(sizes)})
    names = st.sampled_from(domain.attributes)
    raw = draw(st.lists(st.lists(names, min_size=1, max_size=3), max_size=7))
    cliques = maximal_cliques(domain, raw)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.0, 1.0, 10.0]))
    potentials = random_potentials(domain, cliques, rng=rng, scale=scale)
    if zeros:
        share = draw(st.sampled_from([0.1, 0.4, 0.7]))
        potentials = with_zeros(potentials, rng=rng, share=share)
    return domain, cliques, potentials
