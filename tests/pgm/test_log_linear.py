"""Effects of log-probabilities under a prior: what they follow, and what they are drawn to."""

from itertools import combinations
from time import monotonic

import numpy as np
import pytest
from numpy.typing import NDArray

import dpsynth.pgm.log_linear as log_linear_module
from dpsynth.data.domain import Domain
from dpsynth.pgm.characters import Characters
from dpsynth.pgm.effects import Effects
from dpsynth.pgm.log_linear import (
    _Prior,  # pyright: ignore[reportPrivateUsage]
    _Search,  # pyright: ignore[reportPrivateUsage]
    log_linear,
)
from dpsynth.pgm.measurement import NoisyMarginal, beyond_margins

Array = NDArray[np.float64]

DOMAIN = Domain(sizes={"a": 3, "b": 2, "c": 4, "d": 1, "e": 2})
TOTAL = 5000.0


def table(strength: float, *, seed: int = 0) -> Array:
    """Return the counts of a log-linear law with effects of pairs of this size."""
    rng, shape = np.random.default_rng(seed), DOMAIN.shape
    logs = np.zeros(shape)
    for k, size in ((1, 0.7), (2, strength)):
        for axes in combinations(range(len(shape)), k):
            logs += size * rng.normal(size=[n if i in axes else 1 for i, n in enumerate(shape)])
    law = np.exp(logs)
    return TOTAL * law / law.sum()


def counts_of(joint: Array, clique: tuple[str, ...]) -> Array:
    gone = tuple(i for i, a in enumerate(DOMAIN.attributes) if a not in clique)
    return np.asarray(joint.sum(axis=gone))


def measured(joint: Array, *, sigma: float, rng: np.random.Generator) -> Effects:
    """Return noisy effects of pairs and triples, and with a tenth of the noise of attributes."""
    found: list[NoisyMarginal] = []
    names = [a for a, size in DOMAIN.sizes.items() if size > 1]
    for k in (1, 2, 3):
        for clique in combinations(names, k):
            counts = counts_of(joint, clique)
            own = sigma if k > 1 else 0.1 * sigma
            values = counts + own * rng.normal(size=counts.shape)
            if k > 1:
                values = beyond_margins(values)
            found.append(NoisyMarginal(clique=clique, values=values, sigma=own, centred=k > 1))
    return Effects.of(DOMAIN, found, total=TOTAL)


def law_of(weights: Array) -> Array:
    law = np.exp(weights)
    return law / law.sum()


def dependence(law: Array) -> float:
    """Mean distance of pairs from independence."""
    found = []
    for pair in combinations("abce", 2):
        two = counts_of(law, pair)
        apart = two.sum(axis=1, keepdims=True) * two.sum(axis=0, keepdims=True)
        found.append(0.5 * np.abs(two - apart).sum())
    return float(np.mean(found))


def test_little_noise_is_followed() -> None:
    joint = table(0.5)
    effects = measured(joint, sigma=0.05, rng=np.random.default_rng(1))
    law = law_of(log_linear(DOMAIN, effects, total=TOTAL))
    for clique in combinations("abce", 3):
        assert np.abs(TOTAL * counts_of(law, clique) - counts_of(joint, clique)).max() < 1.0


def test_what_noise_drowns_is_near_independence_and_one_ways_are_kept() -> None:
    """Noise of a fifth of the records in each cell of pairs and triples, next to none in others."""
    joint = table(0.3)
    drowned = measured(joint, sigma=1000.0, rng=np.random.default_rng(2))
    clear = measured(joint, sigma=0.05, rng=np.random.default_rng(3))
    singles = {s: e for s, e in clear.effects.items() if len(s) < 2}
    effects = Effects(domain=DOMAIN, effects={**drowned.effects, **singles})
    law = law_of(log_linear(DOMAIN, effects, total=TOTAL))
    assert dependence(law) < 0.06  # of noise alone pairs of 3 x 4 codes would have .5 and more
    for a in "abce":
        assert np.abs(TOTAL * counts_of(law, (a,)) - counts_of(joint, (a,))).max() < 2.0


def test_scales_are_learnt_from_coefficients_and_what_noise_leaves_of_them() -> None:
    """The same 435 normal draws (seed 4) at three sizes; t laws of smaller scales fit them best."""
    basis = Characters(shape=(2,) * 30, sets=tuple(combinations(range(30), 2)))
    draws = np.random.default_rng(4).normal(size=435)
    scales: list[float] = []
    for deviation, known in ((0.05, 1.0), (0.8, 1.0), (0.8, 0.5)):
        prior = _Prior(basis=basis)
        for _ in range(20):
            unknown = np.full(435, (1 - known**2) * deviation**2)
            prior.weigh(known * deviation * draws, unknown, learn=True)
        scales.append(prior.scales[2])
    assert scales[1] / scales[0] == pytest.approx(16, rel=0.02)
    assert 0.6 < scales[1] / 0.8 < 1.0
    assert scales[2] / scales[1] == pytest.approx(1, rel=0.35)  # no tails are left to be seen


def test_a_large_effect_is_drawn_back_less_than_small_ones() -> None:
    """The tails of the t law: one large coefficient among small ones has the least precision."""
    basis = Characters(shape=(2,) * 8, sets=tuple(combinations(range(8), 2)))
    prior, point = _Prior(basis=basis), np.full(28, 0.1)
    point[7] = 2.0
    prior.weigh(point, np.zeros(28), learn=True)
    assert prior.precisions[7] < 0.1 * np.delete(prior.precisions, 7).min()


def test_it_errs_less_than_least_squares_and_than_independence() -> None:
    """20 draws of noise of 2% of the records in a cell; mean L1 errors of pairs."""
    joint = table(0.5)
    pairs = list(combinations("abce", 2))
    true = [counts_of(joint, p) / TOTAL for p in pairs]
    fitted, apart = list[float](), list[float]()
    for i in range(20):
        effects = measured(joint, sigma=100.0, rng=np.random.default_rng(i))
        law = law_of(log_linear(DOMAIN, effects, total=TOTAL))
        for p, t in zip(pairs, true, strict=True):
            fitted.append(np.abs(counts_of(law, p) - t).sum())
            apart.append(np.abs(effects.marginal(p) / TOTAL - t).sum())
    assert np.mean(fitted) < 0.9 * np.mean(apart)
    assert np.mean(fitted) < 0.5 * 2 * dependence(joint / TOTAL)


def test_learning_the_scales_leaves_less_dependence_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same ten draws of noise of 4% of the records, with scales learnt and with those kept."""
    joint = table(0.0)
    drawn = [measured(joint, sigma=200.0, rng=np.random.default_rng(s)) for s in range(10)]
    found: list[float] = []
    for rounds in (log_linear_module._LEARNING_ROUNDS, 0):
        monkeypatch.setattr(log_linear_module, "_LEARNING_ROUNDS", rounds)
        laws = [law_of(log_linear(DOMAIN, effects, total=TOTAL)) for effects in drawn]
        found.append(float(np.mean([dependence(law) for law in laws])))
    assert found[0] < 0.8 * found[1]


def test_the_value_is_least_where_it_stops() -> None:
    """No small step in any of 40 directions lowers what is minimised, where a fit begins."""
    joint = table(0.5)
    effects = measured(joint, sigma=30.0, rng=np.random.default_rng(5))
    sets = [s for s in effects.effects if s]
    basis = Characters(shape=DOMAIN.shape, sets=tuple(DOMAIN.axes(s) for s in sets))
    targets = basis.coefficients([effects.effects[s].values for s in sets])
    precisions = np.array([1 / effects.effects[s].variance for s in sets])[basis.owners]
    prior = _Prior(basis=basis).precisions
    search = _Search(
        basis=basis, targets=targets, precisions=precisions, total=TOTAL, allowed=None, until=np.inf
    )
    search.move(np.zeros(len(targets)))
    search.factorise(prior)
    for _ in range(3):
        search.descend(prior)

    def value(point: Array) -> float:
        weights = basis.sums(point)
        expected = TOTAL * basis.expectations(law_of(weights))
        chi = (precisions * (expected - targets) ** 2).sum()
        return float(0.5 * (chi + (prior * point**2).sum()))

    least, rng = value(search.at.point), np.random.default_rng(6)
    assert least < value(np.zeros(len(targets))) - 10
    curvature = np.diag(search._curvature) + prior
    inverse = np.linalg.inv(search._curvature + np.diag(prior))
    assert search.variances() == pytest.approx(np.diag(inverse), rel=1e-6)
    for _ in range(40):
        step = rng.normal(size=len(targets)) / np.sqrt(curvature)
        assert value(search.at.point + 0.3 * step) > least - 0.02


def test_impossible_cells_have_no_records() -> None:
    joint = table(0.5)
    allowed = np.ones(DOMAIN.shape, dtype=np.bool_)
    allowed[0, 1] = False
    joint = np.where(allowed, joint, 0.0)
    effects = measured(joint * TOTAL / joint.sum(), sigma=50.0, rng=np.random.default_rng(7))
    weights = log_linear(DOMAIN, effects, total=TOTAL, allowed=allowed)
    assert np.isneginf(weights[~allowed]).all()
    assert np.isfinite(weights[allowed]).all()


@pytest.mark.parametrize("total", [1.0, TOTAL, 1e9])
@pytest.mark.parametrize("sigma", [1e-3, 1.0, 1e12])
def test_any_noise_and_any_total_give_finite_weights(sigma: float, total: float) -> None:
    effects = measured(table(0.5), sigma=sigma, rng=np.random.default_rng(8))
    assert np.isfinite(log_linear(DOMAIN, effects, total=total)).all()


def test_it_stops_when_it_is_late() -> None:
    effects = measured(table(0.5), sigma=1.0, rng=np.random.default_rng(9))
    late = log_linear(DOMAIN, effects, total=TOTAL, until=monotonic() - 1.0)
    assert np.isfinite(late).all()
    assert not np.allclose(late, log_linear(DOMAIN, effects, total=TOTAL), atol=1e-3)


def test_two_fits_of_the_same_effects_are_the_same() -> None:
    effects = measured(table(0.5), sigma=20.0, rng=np.random.default_rng(10))
    first, second = (log_linear(DOMAIN, effects, total=TOTAL) for _ in range(2))
    assert (first == second).all()
