"""Selection: the law of both mechanisms in both modes, against closed form, with controls."""

from fractions import Fraction
from itertools import permutations
from math import exp
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from dpsynth.errors import InvalidValueError
from dpsynth.privacy import exact, selection
from dpsynth.privacy.noise import NoiseSource, ReleaseNoise, ResearchNoise
from dpsynth.privacy.words import generator_words

SCORES = np.array([3.0, 0.0, 2.5, -1.0, 3.0])
EPSILON, SENSITIVITY = 1.4, 0.8


class _Seeded:
    """The exact mechanisms on seeded words: what release mode runs, reproducibly."""

    def __init__(self, seed: int) -> None:
        self._words = generator_words(np.random.default_rng(seed))

    def exponential_draws(
        self, scores: NDArray[np.float64], size: int, **terms: Any
    ) -> NDArray[np.intp]:
        return selection.exponential_mechanism(scores, size, words=self._words, **terms)

    def report_noisy_max(self, scores: NDArray[np.float64], **terms: Any) -> int:
        return selection.report_noisy_max(scores, words=self._words, **terms)


def picks(noise: Any, mechanism: str, size: int, **terms: Any) -> NDArray[np.int64]:
    """How often each candidate was picked."""
    if mechanism == "exponential_draws":
        drawn = noise.exponential_draws(SCORES, size, **terms)
    else:
        drawn = [getattr(noise, mechanism)(SCORES, **terms) for _ in range(size)]
    return np.bincount(drawn, minlength=SCORES.size)


def exponential_law(rate: float) -> NDArray[np.float64]:
    mass = np.exp(rate * SCORES)
    return mass / mass.sum()


def permute_and_flip_law(rate: float) -> NDArray[np.float64]:
    """By enumeration of the orders in which candidates can be visited."""
    gamma = rate * (SCORES.max() - SCORES)
    law = np.zeros(SCORES.size)
    orders = list(permutations(range(SCORES.size)))
    for order in orders:
        reached = 1.0
        for i in order:
            law[i] += reached * exp(-gamma[i])
            reached *= 1 - exp(-gamma[i])
    return law / len(orders)


def p_value(counts: NDArray[np.int64], law: NDArray[np.float64]) -> float:
    expected = law * counts.sum()
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.size - 1))


LAWS = {
    "exponential_draws": (exponential_law, 20_000),
    "report_noisy_max": (permute_and_flip_law, 3_000),
}
MECHANISMS = ("exponential_mechanism", "report_noisy_max")


@pytest.mark.statistical
@pytest.mark.parametrize("mechanism", LAWS)
@pytest.mark.parametrize("monotone", [False, True])
@pytest.mark.parametrize("source", ["research", "exact"])
def test_frequencies_are_the_closed_form(mechanism: str, monotone: bool, source: str) -> None:
    # seed fixed, alpha 1e-3, n as in LAWS; controls: the factor that belongs to the other case,
    # and a sensitivity 30% off
    noise = ResearchNoise(rng=np.random.default_rng(3)) if source == "research" else _Seeded(3)
    law, size = LAWS[mechanism]
    terms = {"epsilon": EPSILON, "sensitivity": SENSITIVITY, "monotone": monotone}
    counts = picks(noise, mechanism, size, **terms)
    rate = EPSILON / SENSITIVITY / (1 if monotone else 2)
    assert p_value(counts, law(rate)) > 1e-3
    assert p_value(counts, law(rate * (0.5 if monotone else 2))) < 1e-6
    assert p_value(counts, law(rate * 0.7)) < 1e-6


@pytest.mark.statistical
@pytest.mark.parametrize("mechanism", ["exponential_draws", "exponential_mechanism"])
def test_release_mode_draws_the_exponential_mechanism(mechanism: str) -> None:
    # system randomness: alpha 1e-6, n = 2,000
    counts = picks(ReleaseNoise(), mechanism, 2_000, epsilon=EPSILON, sensitivity=SENSITIVITY)
    assert p_value(counts, exponential_law(EPSILON / SENSITIVITY / 2)) > 1e-6
    assert p_value(counts, exponential_law(EPSILON / SENSITIVITY)) < 1e-6


def test_losses_stay_within_epsilon_when_scores_err_as_much_as_allowed() -> None:
    # Neighbours whose float scores differ by the sensitivity plus twice the allowed error: the
    # exact weights may still differ by no more than exp(epsilon / 2) each way.
    error = SENSITIVITY * 2.0**-16
    scores = np.random.default_rng(0).normal(0, 40, 500)
    shift = (SENSITIVITY + 2 * error) * np.random.default_rng(1).choice([-1, 1], 500)
    steps = []
    for s in (scores, scores + shift):
        exponents = selection._Exponents(s, EPSILON, SENSITIVITY, monotone=False)
        steps.append(np.rint(s / (SENSITIVITY * 2.0**-16)))
        assert exponents.exact(int(s.argmax())) == 0
    unit = selection._Exponents(scores, EPSILON, SENSITIVITY, monotone=False)._step
    assert int(np.abs(steps[0] - steps[1]).max()) * unit <= Fraction(EPSILON) / 2
    assert int(np.abs(steps[0] - steps[1]).max()) * unit > Fraction(EPSILON) / 2 * Fraction(
        9999, 10**4
    )


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("source", [ResearchNoise(rng=np.random.default_rng(0)), ReleaseNoise()])
def test_extremes(mechanism: str, source: NoiseSource) -> None:
    draw = getattr(source, mechanism)
    assert draw(np.array([5.0]), epsilon=1e-3, sensitivity=1.0) == 0
    far = np.array([0.0, 1e9, 0.0])  # the others have probability exp(-5e8)
    assert all(draw(far, epsilon=1.0, sensitivity=1.0) == 1 for _ in range(50))
    many = np.zeros(3000)
    many[1234] = 200.0
    assert all(draw(many, epsilon=1.0, sensitivity=1.0) == 1234 for _ in range(20))
    flat = {draw(np.zeros(3), epsilon=1e-9, sensitivity=1.0) for _ in range(200)}
    assert flat == {0, 1, 2}


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("source", [ResearchNoise(rng=np.random.default_rng(0)), ReleaseNoise()])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": float("inf")}, "epsilon"),
        ({"sensitivity": -1.0}, "sensitivity"),
        ({"sensitivity": float("nan")}, "sensitivity"),
        ({"scores": np.array([])}, "scores"),
        ({"scores": np.zeros((2, 2))}, "scores"),
        ({"scores": np.array([1.0, float("nan")])}, "score"),
        ({"scores": np.array([1.0, float("inf")])}, "score"),
        ({"scores": np.array([2.0**36])}, "score"),
    ],
)
def test_bad_arguments_are_refused(
    mechanism: str, source: NoiseSource, change: dict[str, object], field: str
) -> None:
    arguments = {"scores": SCORES, "epsilon": 1.0, "sensitivity": 1.0, **change}
    with pytest.raises(InvalidValueError, match=field):
        getattr(source, mechanism)(arguments.pop("scores"), **arguments)


@pytest.mark.statistical
def test_permutations_are_uniform() -> None:
    # seed fixed, alpha 1e-3, n = 6,000 over the 24 orders of four; control: cyclic shifts only
    words = generator_words(np.random.default_rng(4))
    orders = {p: i for i, p in enumerate(permutations(range(4)))}
    picks = [orders[tuple(selection._permutation(4, words).tolist())] for _ in range(6_000)]
    uniform = np.full(24, 1 / 24)
    assert p_value(np.bincount(picks, minlength=24), uniform) > 1e-3
    shifts = [orders[tuple(np.roll(np.arange(4), k % 4).tolist())] for k in range(6_000)]
    assert p_value(np.bincount(shifts, minlength=24), uniform) < 1e-6


def test_ties_in_selection_are_decided_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"epsilon": EPSILON, "sensitivity": SENSITIVITY}
    fast = _Seeded(9).exponential_draws(SCORES, 50, monotone=False, **arguments)
    monkeypatch.setattr(exact, "_MARGIN", 1.0)
    assert (_Seeded(9).exponential_draws(SCORES, 50, monotone=False, **arguments) == fast).all()
