"""What endless runs would show: by hand, against replays, and no less than audits show."""

from time import process_time

import numpy as np
import pytest
from scipy.special import ndtri

from dpsynth.audit.claim import audit_transcript
from dpsynth.audit.endless import mu_limit
from dpsynth.audit.neighbours import NeighbouringTables, dependence_neighbours, narrow_neighbours
from dpsynth.audit.recording import Recording, recorded
from dpsynth.audit.replay import Replay
from dpsynth.audit.tradeoff import gaussian_of
from dpsynth.errors import UnsupportedEventError
from dpsynth.privacy.budget import Budget, Neighbouring
from dpsynth.privacy.events import GaussianEvent
from dpsynth.privacy.noise import ResearchNoise
from dpsynth.registry import GENERATORS

BUDGET = Budget(epsilon=4.0, delta=1e-2)
SEED = 0


def recording(name: str, tables: NeighbouringTables, *, accountant: str = "zcdp") -> Recording:
    rng = np.random.default_rng(SEED)
    return recorded(
        GENERATORS.get(name)(),
        Budget(epsilon=4.0, delta=0.0 if accountant == "pure" else BUDGET.delta),
        accountant=accountant,
        tables=tables,
        noise=ResearchNoise(rng=rng),
        branches=1,
        rng=rng,
    )


def test_measurements_alone_show_the_mu_of_their_noise() -> None:
    found = recording("independent", narrow_neighbours(Neighbouring.ADD_REMOVE))
    events = found.transcript.events
    sigmas = np.array([event.sigma for event in events if isinstance(event, GaussianEvent)])
    assert sigmas.size == len(events)
    assert mu_limit(found.transcript, found.worlds) == pytest.approx(
        np.sqrt((1 / sigmas**2).sum()), rel=1e-6
    )


@pytest.mark.statistical
def test_replays_come_to_it() -> None:
    """200,000 runs a world: the best rates of the likelihood ratio, chosen in hindsight, where the
    deviation of mu is below .006; and a verdict's bound stays below. Selections count in it."""
    found = recording("mst", dependence_neighbours(Neighbouring.ADD_REMOVE))
    limit = mu_limit(found.transcript, found.worlds)
    replay = Replay(found.transcript, found.worlds, ResearchNoise(rng=np.random.default_rng(1)))
    replay.learn(100)
    first, second = (np.sort(replay.scores(world, 200_000)[0]) for world in (0, 1))
    cuts = np.quantile(np.concatenate([first, second]), np.linspace(0.1, 0.9, 50))
    false_positive = 1 - np.searchsorted(first, cuts) / first.size
    false_negative = np.searchsorted(second, cuts) / second.size
    seen = float((-ndtri(false_positive) - ndtri(false_negative)).max())
    assert seen == pytest.approx(limit, abs=0.025)
    # Negative control: without its selections the transcript shows less than that.
    measured = recording("mst", narrow_neighbours(Neighbouring.ADD_REMOVE))
    assert mu_limit(measured.transcript, measured.worlds) < seen - 0.025
    audit = audit_transcript(
        found.transcript,
        BUDGET,
        accountant="zcdp",
        worlds=found.worlds,
        runs=20_000,
        alpha=0.05,
        noise=ResearchNoise(rng=np.random.default_rng(2)),
    )
    assert 0.9 * limit < audit.mu_lower < limit


def test_many_selections_of_many_candidates_cost_little() -> None:
    # AIM selects ten times among 14: sums that differ are merged, or there would be 14 ** 10.
    found = recording("aim", dependence_neighbours(Neighbouring.ADD_REMOVE))
    assert len(found.transcript.steps) > 10
    start = process_time()
    limit = mu_limit(found.transcript, found.worlds)
    assert process_time() - start < 2.0
    whole = gaussian_of(BUDGET, "zcdp")
    assert whole is not None
    assert 0.95 < limit / whole < 1.0


def test_laplace_noise_is_refused() -> None:
    found = recording("independent", narrow_neighbours(Neighbouring.REPLACE), accountant="pure")
    with pytest.raises(UnsupportedEventError, match="Gaussian noise"):
        mu_limit(found.transcript, found.worlds)
