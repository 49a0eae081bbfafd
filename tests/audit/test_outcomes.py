"""Audits of components: silent on exact mechanisms, loud on faults that only one score can see."""

import numpy as np
import pytest
from numpy.typing import NDArray

from dpsynth.audit.claim import ClaimAudit
from dpsynth.audit.outcomes import audit_outcomes
from dpsynth.audit.scores import last_bits
from dpsynth.privacy.budget import Budget

PURE = Budget(epsilon=1.0, delta=0.0)


def families_that_reject(found: ClaimAudit) -> set[str]:
    return {test.family for test in found.tests if test.violated}


def laplace(
    rng: np.random.Generator, *, floating: bool = False, skipped: float = 0.0, epsilon: float = 1.0
):
    """Laplace noise on counts 0 and 1: rounded to a fine grid, or as floating point has it."""

    def draw(world: int, runs: int) -> NDArray[np.float64]:
        noise = rng.laplace(0.0, 1.0 / epsilon, (runs, 1))
        noise[rng.random(runs) < skipped] = 0.0
        return noise + world if floating else np.rint(noise * 2.0**20) / 2.0**20 + world

    return draw


def randomised_response(rng: np.random.Generator, epsilon: float):
    def draw(world: int, runs: int) -> NDArray[np.float64]:
        honest = rng.random(runs) < 1 / (1 + np.exp(-epsilon))
        return np.where(honest, world, 1 - world)[:, None].astype(float)

    return draw


@pytest.mark.statistical
def test_an_exact_mechanism_is_rarely_rejected_over_all_looks() -> None:
    """200 audits with looks at 300 and 1,000 runs, alpha .05, seed 0: more than 18 have
    probability below .01. Negative control: randomised response of epsilon 1.8."""
    rng = np.random.default_rng(0)

    def rejections(epsilon: float, audits: int) -> int:
        draw = randomised_response(rng, epsilon)
        return sum(audit_outcomes(draw, PURE, runs=1000).violated for _ in range(audits))

    assert rejections(1.0, 200) <= 18
    assert rejections(1.8, 20) >= 18


@pytest.mark.statistical
def test_floating_point_noise_is_seen_by_its_bits_alone() -> None:
    # 10,000 test runs a world, alpha .05, seed 1
    found = audit_outcomes(laplace(np.random.default_rng(1), floating=True), PURE, runs=10_000)
    assert families_that_reject(found) == {"bit patterns"}
    assert not audit_outcomes(laplace(np.random.default_rng(1)), PURE, runs=10_000).violated


@pytest.mark.statistical
def test_noise_left_out_now_and_then_is_seen_by_atoms() -> None:
    # 1% of runs without noise: 10,000 test runs a world, alpha .05, seed 2
    found = audit_outcomes(laplace(np.random.default_rng(2), skipped=0.01), PURE, runs=10_000)
    assert "atoms" in families_that_reject(found)
    assert not families_that_reject(found) & {"LDA", "QDA", "best query"}


@pytest.mark.statistical
def test_another_covariance_is_seen_by_qda() -> None:
    # two Gaussians of equal means, correlated in opposite ways; 2,000 test runs a world, seed 3
    rng = np.random.default_rng(3)

    def draw(world: int, runs: int) -> NDArray[np.float64]:
        both = rng.normal(size=(runs, 2))
        return np.column_stack([both[:, 0], both[:, 0] * (2 * world - 1) + 0.3 * both[:, 1]])

    found = audit_outcomes(draw, PURE, runs=2000)
    assert "best query" not in families_that_reject(found), "each number alone has one law"
    reached = {test.family: 0.0 for test in found.tests}
    for test in found.tests:
        reached[test.family] = max(reached[test.family], test.epsilon_lower)
    assert reached["QDA"] > reached["LDA"] + 1.0


def test_an_audit_stops_at_the_look_that_rejects() -> None:
    rng = np.random.default_rng(4)
    found = audit_outcomes(randomised_response(rng, 5.0), PURE, runs=10_000)
    assert found.violated
    assert found.runs == 300
    assert [look.runs for look in found.looks] == [300]


def test_last_bits_are_exponents() -> None:
    values = np.array([0.0, 1.0, 3.0, -4.0, 0.5, 1.0 + 2.0**-52, np.inf, 5e-324])
    assert last_bits(values).tolist() == [0, 0, 0, 2, -1, -52, 0, -1074]
