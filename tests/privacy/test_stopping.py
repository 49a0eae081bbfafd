"""The number of runs follows its law, from words of either noise source."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from dpsynth.errors import InvalidValueError
from dpsynth.privacy.events import GaussianEvent, RepeatedEvent, StoppingLaw
from dpsynth.privacy.noise import ReleaseNoise, ResearchNoise
from dpsynth.privacy.stopping import DRAW_DISTANCE, drawn_runs

MEAN, SIZE, ALPHA, SEED = 4.0, 20_000, 1e-4, 20
Masses = Callable[[np.ndarray], np.ndarray]


def event(law: StoppingLaw, mean: float = MEAN) -> RepeatedEvent:
    return RepeatedEvent(run=(GaussianEvent(sigma=1.0),), mean_runs=mean, stopping=law)


def masses(law: StoppingLaw, mean: float) -> Masses:
    match law:
        case StoppingLaw.GEOMETRIC:
            return lambda k: stats.geom.pmf(k, 1.0 / mean)
        case StoppingLaw.POISSON:
            return lambda k: stats.poisson.pmf(k, mean)
        case StoppingLaw.LOGARITHMIC:
            p = brentq(lambda p: float(stats.logser.mean(p)) - mean, 1e-6, 1 - 1e-6)  # pyright: ignore
            return lambda k: stats.logser.pmf(k, p)


def p_value(drawn: np.ndarray, law: Masses) -> float:
    """Pearson's test on the counts 0 to 14, with all that is larger in one cell."""
    expected = law(np.arange(15)) * len(drawn)
    observed = np.bincount(np.minimum(drawn, 15), minlength=16)
    expected = np.append(expected, len(drawn) - expected.sum())
    possible = expected > 0
    if observed[~possible].any():
        return 0.0
    return float(stats.chisquare(observed[possible], expected[possible]).pvalue)


@pytest.mark.statistical
@pytest.mark.parametrize("law", StoppingLaw)
def test_the_number_of_runs_follows_its_law(law: StoppingLaw) -> None:
    """alpha 1e-4 a law, 20,000 draws, seed 20; the control is a mean of 4.4, or another law."""
    noise = ResearchNoise(rng=np.random.default_rng(SEED))
    drawn = np.array([drawn_runs(event(law), noise) for _ in range(SIZE)])
    assert p_value(drawn, masses(law, MEAN)) > ALPHA
    assert p_value(drawn, masses(law, 1.1 * MEAN)) < ALPHA
    for other in set(StoppingLaw) - {law}:
        assert p_value(drawn, masses(other, MEAN)) < ALPHA


def test_only_poisson_may_have_no_run() -> None:
    class Words:
        def __init__(self, word: int) -> None:
            self.word = word

        def words(self, size: int) -> np.ndarray:
            return np.full(size, self.word, dtype=np.uint64)

    least = {law: drawn_runs(event(law), Words(0)) for law in StoppingLaw}  # pyright: ignore
    assert least == {
        StoppingLaw.GEOMETRIC: 1,
        StoppingLaw.LOGARITHMIC: 1,
        StoppingLaw.POISSON: 0,
    }
    # the last uniform number there is: the loop ends, where the tail is below 1e-75
    for law in StoppingLaw:
        most = drawn_runs(event(law), Words(2**64 - 1))  # pyright: ignore
        assert 40 < most < 5000
        assert masses(law, MEAN)(np.array([most]))[0] < 1e-40


def test_release_words_are_the_systems() -> None:
    runs = {drawn_runs(event(StoppingLaw.GEOMETRIC, 1e4), ReleaseNoise()) for _ in range(2)}
    assert len(runs) == 2, "equal with a chance of 5e-5"
    assert 0.0 < DRAW_DISTANCE < 2.0**-100


def test_a_mean_beyond_what_was_computed_is_refused() -> None:
    noise = ResearchNoise(rng=np.random.default_rng(SEED))
    with pytest.raises(InvalidValueError, match="mean_runs"):
        drawn_runs(event(StoppingLaw.POISSON, 1e6), noise)
