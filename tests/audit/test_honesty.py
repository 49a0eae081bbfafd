"""Audits accuse correct mechanisms at most alpha of the time: a small part of what
scripts/bench_audit_honesty.py measures."""

import bench_audit_honesty as bench
import numpy as np
import pytest
from scipy.stats import binom

from dpsynth.audit import verdict
from dpsynth.privacy.budget import Neighbouring

AUDITS, RUNS, SEED = 60, 2000, 11
# Alpha is .05; an honest auditor exceeds this with probability below .001.
MOST = int(binom.isf(1e-3, AUDITS, bench.ALPHA))


@pytest.mark.statistical
@pytest.mark.parametrize(
    "mechanism",
    [
        bench.fitted("independent", "gdp", Neighbouring.ADD_REMOVE),
        bench.fitted("independent", "pure", Neighbouring.REPLACE),
        bench.trained(1.0, 4.0, Neighbouring.ADD_REMOVE),
    ],
    ids=lambda mechanism: mechanism.name,
)
def test_false_violations_are_rarer_than_alpha(mechanism: bench.Mechanism) -> None:
    """60 audits of 2,000 test runs a world, seed 11. Control: half of the noise, which must be
    noticed in nine of ten, on the pairs of tables that an audit has by default."""
    assert mechanism.accused(AUDITS, RUNS, seed=SEED) <= MOST
    assert mechanism.accused(AUDITS // 2, RUNS, seed=SEED, wrong=True) >= 0.9 * (AUDITS // 2)


@pytest.mark.statistical
def test_rates_taken_for_bounds_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control of the count itself: an auditor that takes observed rates for bounds exceeds it."""
    monkeypatch.setattr(
        verdict, "binomial_upper", lambda hits, runs, *, alpha: np.maximum(hits, 0.5) / runs
    )
    tight = bench.fitted("independent", "pure", Neighbouring.ADD_REMOVE)
    assert tight.accused(AUDITS, RUNS, seed=SEED) > MOST


def test_there_are_twenty_mechanisms() -> None:
    assert len(bench.FITS) + len(bench.REPLACED) + len(bench.TRAININGS) + 1 >= 20
