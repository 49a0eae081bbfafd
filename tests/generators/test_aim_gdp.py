"""AIM under Gaussian DP keeps scores, asks for the best again, and spends one budget entirely."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from dpsynth.audit.transcript import AdditiveStep, Recorder
from dpsynth.curator.private_data import PrivateData
from dpsynth.curator.queries import PARTS, FitErrorsQuery, MarginalQuery
from dpsynth.data.encoding import Codec
from dpsynth.errors import InvalidValueError
from dpsynth.generators.baselines.independent import Independent
from dpsynth.generators.graphical import GraphicalSyntheticModel
from dpsynth.generators.marginal.aim_gdp import AimGdp
from dpsynth.generators.marginal.candidates import weighted_candidates
from dpsynth.generators.marginal.noise_cost import noise_cost
from dpsynth.pgm.measurement import MEAN_SIZE
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.events import Event, GaussianEvent
from dpsynth.privacy.noise import ResearchNoise
from tests.generators.planted import PLANTED, fit, pair_error, planted_table

TABLE = planted_table()
DOMAIN = TABLE.schema.domain
ALL = weighted_candidates(DOMAIN, DOMAIN.attributes, degree=3, most_sets=1000, largest_tree=2**18)


def measured(seen) -> list[tuple[str, ...]]:
    """Return the cliques measured in rounds, after the one-way marginals."""
    asked = [o.query.clique for o in seen if isinstance(o.query, MarginalQuery)]
    return asked[len(DOMAIN.attributes) :]


def scored(seen) -> list[FitErrorsQuery]:
    return [o.query for o in seen if isinstance(o.query, FitErrorsQuery)]


def test_all_are_scored_once_and_then_only_the_best() -> None:
    _, _, seen = fit(AimGdp(rescored=5), TABLE, epsilon=1.0)
    first, *later = scored(seen)
    assert first.candidates == tuple(ALL)
    assert len(later) > 3
    assert {len(query.candidates) for query in later} == {5}
    picked = measured(seen)
    assert all(p in q.candidates for p, q in zip(picked, later, strict=True))


def test_the_best_by_the_kept_scores_are_asked_for() -> None:
    """Ranks are worked out here once more, from the answers that the fit was given."""
    recorder = Recorder(ResearchNoise(rng=np.random.default_rng(0)))
    private = PrivateData(
        TABLE,
        Budget(epsilon=3.0, delta=1e-9),
        noise=recorder,
        accountant="gdp",
        observer=recorder.observe,
    )
    AimGdp(rescored=3, kappa=np.inf).fit(private, rng=np.random.default_rng(1))
    steps = [s for s in recorder.transcript().steps if isinstance(s, AdditiveStep)]
    first, *later = steps[len(DOMAIN.attributes) :]
    known = answers(first)
    for scores, taken in zip(later[::2], later[1::2], strict=True):
        ranked = sorted(ALL, key=lambda c: -net(known, c, taken.event))
        fresh = answers(scores)
        assert set(fresh) == set(ranked[:3])
        known |= fresh
        chosen = max(fresh, key=lambda c: net(known, c, taken.event))
        assert isinstance(taken.query, MarginalQuery)
        assert taken.query.clique == chosen
        known[chosen] = penalty(taken.event, chosen)


def answers(step: AdditiveStep) -> dict[tuple[str, ...], float]:
    """Return the noisy errors, in records."""
    assert isinstance(step.query, FitErrorsQuery)
    codes = Codec(schema=TABLE.schema).encode(TABLE)
    errors = (step.query.exact(codes, DOMAIN) + step.noise) / PARTS
    return dict(zip(step.query.candidates, errors.tolist(), strict=True))


def penalty(event: Event, clique: tuple[str, ...]) -> float:
    assert isinstance(event, GaussianEvent)
    return MEAN_SIZE * event.sigma * DOMAIN.project(clique).cells


def net(known: dict[tuple[str, ...], float], clique: tuple[str, ...], event: Event) -> float:
    return ALL[clique] * (known[clique] - penalty(event, clique))


def test_everything_is_gaussian_and_entirely_spent() -> None:
    for epsilon in (0.001, 1.0, 100.0):
        _, private, seen = fit(AimGdp(), TABLE, epsilon=epsilon)
        assert private.ledger.accountant.name == "gdp"
        assert all(isinstance(o.event, GaussianEvent) for o in seen)
        assert 0 <= private.remaining < 1e-6 * private.ledger.capacity


def test_rounds_keep_their_shares_and_only_become_dearer() -> None:
    _, private, seen = fit(AimGdp(), TABLE, epsilon=1.0)
    kinds = [type(o.query) for o in seen][len(DOMAIN.attributes) :]
    assert kinds == [FitErrorsQuery] + [FitErrorsQuery, MarginalQuery] * (len(kinds) // 2)
    capacity, entries = private.ledger.capacity, private.ledger.entries
    first, everything, *costs = [entry.cost for entry in entries]
    assert first == pytest.approx(0.3 * capacity)
    one = capacity / (16 * len(DOMAIN.attributes))
    assert everything == pytest.approx(one / 2)
    rounds = [a + b for a, b in zip(costs[::2], costs[1::2], strict=True)]
    assert costs[::2] == pytest.approx([0.1 * r for r in rounds])
    assert rounds[0] == pytest.approx(one)
    steps = {round(b / a, 6) for a, b in pairwise(rounds[:-1])}
    assert steps <= {1.0, 4.0}
    assert 4.0 in steps  # two dependent pairs are soon learnt


def test_the_planted_pairs_come_first() -> None:
    _, _, seen = fit(AimGdp(), TABLE)
    first = measured(seen)[:2]
    assert all(any(set(pair) <= set(clique) for clique in first) for pair in PLANTED)


def test_it_learns_what_independent_columns_miss() -> None:
    floor, _, _ = fit(Independent(), TABLE)
    model, _, _ = fit(AimGdp(), TABLE)
    assert pair_error(TABLE, model) < 0.3 * pair_error(TABLE, floor)


def test_the_tree_stays_below_its_limit() -> None:
    model, _, _ = fit(AimGdp(largest_tree=60), TABLE)
    assert isinstance(model, GraphicalSyntheticModel)
    assert model.model.tree.cells <= 60


def test_noise_costs_no_more_than_the_counts_allow() -> None:
    expected = np.array([0.0, 1.0, 100.0])
    assert noise_cost(expected, sigma=10.0, kappa=np.inf) == pytest.approx(30 * MEAN_SIZE)
    assert noise_cost(expected, sigma=10.0, kappa=2.0) == pytest.approx(2 + 10 * MEAN_SIZE)
    assert noise_cost(expected, sigma=1e-9, kappa=2.0) == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("degree", 0),
        ("rounds", 0),
        ("one_way_share", 0.0),
        ("selection_share", 1.0),
        ("rescored", 0),
        ("kappa", 0.0),
        ("kappa", float("nan")),
        ("largest_tree", 0),
        ("most_sets", 0),
    ],
)
def test_a_hyperparameter_out_of_its_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=field):
        AimGdp(**{field: value})
