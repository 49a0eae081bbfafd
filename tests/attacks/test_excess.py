"""The interval of what a release adds: by hand, and its coverage by enumeration."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom

from dpsynth.attacks.excess import excess
from dpsynth.audit.statistics import clopper_pearson

ALPHA = 0.05


def misses(trials: int, control_trials: int, *, alpha: float) -> float:
    """Return the largest chance, over a grid of rates, that either end misses; exact."""
    hits, control_hits = np.arange(trials + 1)[:, None], np.arange(control_trials + 1)
    found = excess(hits, trials, control_hits, control_trials, alpha=alpha)
    worst = 0.0
    for attack, control in product(np.linspace(0, 0.98, 15), np.linspace(0, 0.98, 15)):
        truth = max((attack - control) / (1 - control), -1.0)
        law = np.outer(
            binom.pmf(hits[:, 0], trials, attack), binom.pmf(control_hits, control_trials, control)
        )
        for missed in (found.lower > truth + 1e-12, found.upper < truth - 1e-12):
            worst = max(worst, float(law[missed].sum()))
    return worst


@pytest.mark.parametrize(("trials", "control"), [(5, 5), (40, 40), (250, 250), (270, 240)])
def test_either_end_misses_at_half_of_alpha_at_most(trials: int, control: int) -> None:
    """Exact, on a grid of 15 x 15 rates. Control: intervals at twice the error are found out."""
    assert misses(trials, control, alpha=ALPHA) <= ALPHA / 2
    if min(trials, control) >= 40:
        assert misses(trials, control, alpha=2 * ALPHA) > ALPHA / 2


def test_nothing_of_the_interval_is_given_away() -> None:
    # The two ends of both rates, joined at half the error each, would make it a third wider.
    found = excess(48, 256, 20, 256, alpha=ALPHA)
    used, other = (clopper_pearson(hits, 256, alpha=ALPHA / 2) for hits in (48, 20))
    joined = (used.lower - other.upper) / (1 - other.upper)
    assert joined < 0.02
    assert 0.04 < found.lower < found.value


def test_ends_of_the_scale() -> None:
    found = excess([0, 100, 100, 0], 100, [100, 100, 0, 0], 100, alpha=ALPHA)
    assert found.value.tolist() == [-1.0, 0.0, 1.0, 0.0]
    assert found.lower[:2].tolist() == [-1.0, -1.0]
    assert found.lower[2] > 0.95
    assert found.upper[1:3].tolist() == [1.0, 1.0]
    assert -0.1 < found.lower[3] < 0 < found.upper[3] < 0.1
