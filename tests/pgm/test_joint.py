"""All cells at once: the same partition function, counts and fits as by the tree."""

from collections.abc import Callable

import numpy as np
import pytest

from dpsynth.data.domain import Domain
from dpsynth.pgm import joint
from dpsynth.pgm.estimation import estimate
from dpsynth.pgm.evidence import zero_weights
from dpsynth.pgm.inference import Oracle
from dpsynth.pgm.junction_tree import JunctionTree
from dpsynth.pgm.measurement import NoisyMarginal, beyond_margins
from dpsynth.pgm.objective import Objective

DOMAIN = Domain(sizes={"a": 3, "b": 1, "c": 4, "d": 2, "e": 3})
TABLE = np.random.default_rng(0).gamma(0.7, 40.0, DOMAIN.shape)
GROUPS = ((0, 0, 1), (0, 1, 1, 2))


def counts(*clique: str) -> NoisyMarginal:
    gone = tuple(i for i, a in enumerate(DOMAIN.attributes) if a not in clique)
    kept = [a for a in DOMAIN.attributes if a in clique]
    values = TABLE.sum(axis=gone).transpose([kept.index(a) for a in clique])
    noise = np.random.default_rng(len(clique)).normal(0, 3.0, values.shape)
    return NoisyMarginal(clique=clique, values=values + noise, sigma=3.0)


def beyond(*clique: str) -> NoisyMarginal:
    values = beyond_margins(counts(*clique).values)
    return NoisyMarginal(clique=clique, values=values, sigma=2.0, centred=True)


def in_groups() -> NoisyMarginal:
    values = np.zeros((2, 3))
    np.add.at(values, np.ix_(*GROUPS), counts("a", "c").values)
    return NoisyMarginal(clique=("a", "c"), values=values, sigma=2.0, groups=GROUPS)


CASES = {
    "a chain": [counts("a", "c"), counts("c", "d"), counts("d", "e")],
    "a loop, and an order of its own": [counts("c", "a"), counts("e", "c"), counts("a", "e")],
    "apart": [counts("a"), counts("b"), counts("d", "e")],
    "one clique in others": [counts("a"), counts("a", "c"), counts("a", "c", "e")],
    "interactions": [counts("a"), counts("c"), beyond("a", "c"), beyond("c", "d", "e")],
    "groups": [counts("a"), in_groups(), beyond("a", "c")],
}
IMPOSSIBLE = {
    "none": {},
    "some": {("a", "c"): np.eye(3, 4, dtype=bool), ("d",): np.array([True, False])},
}


@pytest.fixture
def by_tree(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let what follows go by the tree."""
    return lambda: monkeypatch.setattr(joint, "_MOST", 0)


def objective_of(measured: list[NoisyMarginal], zeros: str) -> Objective:
    cliques, weights = zero_weights(DOMAIN, IMPOSSIBLE[zeros])
    tree = JunctionTree.build(DOMAIN, [*cliques, *(m.clique for m in measured)])
    base = Oracle(tree=tree, cliques=cliques).spread(weights)
    return Objective.of(tree, measured, base=base, total=TABLE.sum())


@pytest.mark.parametrize("zeros", IMPOSSIBLE)
@pytest.mark.parametrize("measured", CASES.values(), ids=CASES)
def test_counts_are_those_of_the_tree(
    measured: list[NoisyMarginal], zeros: str, by_tree: Callable[[], None]
) -> None:
    fast, slow = (objective_of(measured, zeros) for _ in range(2))
    multipliers = np.random.default_rng(1).normal(0, 2.0, (3, len(fast.targets)))
    found = [fast.counts(of) for of in multipliers]
    by_tree()
    for of, (partition, expected) in zip(multipliers, found, strict=True):
        by_sums = slow.counts(of)
        assert partition == pytest.approx(by_sums[0], rel=1e-12)
        assert expected == pytest.approx(by_sums[1], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("zeros", IMPOSSIBLE)
@pytest.mark.parametrize("measured", CASES.values(), ids=CASES)
def test_fits_are_those_of_the_tree(
    measured: list[NoisyMarginal], zeros: str, by_tree: Callable[[], None]
) -> None:
    fast = estimate(DOMAIN, measured, impossible=IMPOSSIBLE[zeros], tolerance=1e-9, steps=3000)
    by_tree()
    slow = estimate(DOMAIN, measured, impossible=IMPOSSIBLE[zeros], tolerance=1e-9, steps=3000)
    for clique in (m.clique for m in measured):
        own, other = fast.marginal(clique), slow.marginal(clique)
        assert own == pytest.approx(other, abs=1e-3 * TABLE.sum())


def test_what_is_too_large_goes_by_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = CASES["a chain"]
    cells = sum(m.values.size for m in measured) * TABLE.size
    made = []
    for most in (cells, cells - 1):
        monkeypatch.setattr(joint, "_MOST", most)
        made.append(objective_of(measured, "none")._joint is not None)
    assert made == [True, False]
