import numpy as np
import pytest
from scipy.stats import binom, binomtest

from dpsynth.audit.statistics import binomial_lower, binomial_upper, clopper_pearson
from dpsynth.errors import InvalidValueError


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (3, 10), (1, 1), (499, 1000)])
def test_clopper_pearson_equals_the_reference(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(0.9, method="exact")
    interval = clopper_pearson(successes, trials, alpha=0.1)
    assert interval.lower == pytest.approx(expected.low, abs=1e-12)
    assert interval.upper == pytest.approx(expected.high, abs=1e-12)


def test_bounds_are_vectorised_and_one_sided() -> None:
    counts = np.array([0, 7, 20])
    upper, lower = (f(counts, 20, alpha=0.01) for f in (binomial_upper, binomial_lower))
    assert upper.shape == lower.shape == (3,)
    # the defining property: at the bound itself, so few (many) successes have probability alpha
    assert binom.cdf(7, 20, upper[1]) == pytest.approx(0.01)
    assert binom.sf(6, 20, lower[1]) == pytest.approx(0.01)
    assert upper[2] == 1.0
    assert lower[0] == 0.0


@pytest.mark.statistical
@pytest.mark.parametrize("truth", [0.002, 0.1, 0.5])
def test_upper_bound_misses_at_most_alpha_and_a_point_estimate_misses_more(truth: float) -> None:
    # exact coverage, no sampling: sum of probabilities of the counts whose bound misses the truth
    counts, alpha = np.arange(301), 0.05
    mass = binom.pmf(counts, 300, truth)
    assert mass[binomial_upper(counts, 300, alpha=alpha) < truth].sum() <= alpha
    assert mass[counts / 300 < truth].sum() > alpha  # control: a bound that is none


@pytest.mark.parametrize("bad", [{"successes": 4, "trials": 3}, {"successes": -1, "trials": 3}])
def test_impossible_counts_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InvalidValueError, match="successes"):
        clopper_pearson(**bad)
    with pytest.raises(InvalidValueError, match="alpha"):
        clopper_pearson(1, 3, alpha=0)
