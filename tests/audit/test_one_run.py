"""Audits from one run: valid on exact mechanisms, and loud on what is far from its claim."""

import numpy as np
import pytest

from dpsynth.audit.one_run import LABEL, audit_one_run, smoke_test
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.privacy.budget import Budget

CANARIES = 500


def gaussian_run(rng: np.random.Generator, mu: float):
    """Each canary moves a number of its own by mu: exactly mu-GDP for each coin."""
    included = rng.random(CANARIES) < 0.5
    return mu * included + rng.normal(size=CANARIES), included


def response_run(rng: np.random.Generator, epsilon: float):
    included = rng.random(CANARIES) < 0.5
    honest = rng.random(CANARIES) < 1 / (1 + np.exp(-epsilon))
    return np.where(honest, included, ~included) + 0.1 * rng.random(CANARIES), included


@pytest.mark.statistical
def test_bounds_rarely_exceed_the_truth() -> None:
    """200 runs of each at alpha .05, seed 0: more than 19 have probability below .01. Negative
    control: a mechanism of three times the parameter exceeds it every time."""
    rng = np.random.default_rng(0)
    over = {1.0: 0, 3.0: 0}
    for factor in over:
        for _ in range(200 if factor == 1.0 else 20):
            found = audit_one_run(*gaussian_run(rng, factor), guesses=100, delta=0.0)
            over[factor] += found.mu_lower > 1.0
    assert over[1.0] <= 19
    assert over[3.0] == 20
    above = 0
    for _ in range(200):
        found = audit_one_run(*response_run(rng, 1.0), guesses=CANARIES, delta=0.0)
        above += found.epsilon_lower > 1.0
    assert above <= 19
    assert audit_one_run(*response_run(rng, 3.0), guesses=CANARIES, delta=0.0).epsilon_lower > 1.0


def test_a_positive_delta_lowers_the_bound() -> None:
    scores, included = response_run(np.random.default_rng(1), 4.0)
    bounds = [
        audit_one_run(scores, included, guesses=CANARIES, delta=delta).epsilon_lower
        for delta in (0.0, 1e-5, 1e-4)
    ]
    assert bounds[0] >= bounds[1] > bounds[2] > 0


def test_it_is_labelled_and_stays_below_the_claim() -> None:
    budget = Budget(epsilon=4.0, delta=1e-5)
    found = smoke_test(Independent(), budget, canaries=300, rng=np.random.default_rng(0))
    assert found.label == LABEL
    assert 0 < found.epsilon_lower < 4.0
    assert found.epsilon_lower <= found.epsilon_largest_measurable


@pytest.mark.parametrize(
    "wrong", [{"guesses": 3}, {"guesses": 1000}, {"delta": 1.0}, {"alpha": 0.0}]
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    scores, included = response_run(np.random.default_rng(1), 1.0)
    with pytest.raises(InvalidValueError):
        audit_one_run(scores, included, **{"guesses": 100, "delta": 0.0, **wrong})  # type: ignore[arg-type]
