"""Posterior means of counts in an order, against plain integration and draws from the prior."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import beta

from dpsynth.pgm.cascade import _SHAPES, _SPLIT, _share_below, cascade_counts, levels_of
from dpsynth.pgm.gamma_prior import posterior_counts


def test_stretches_are_halved_down_to_single_codes() -> None:
    spans = [list(zip(at.low, at.high, strict=True)) for at in levels_of(6, ordered=5)]
    assert spans == [
        [(0, 6)],
        [(0, 5), (5, 6)],
        [(0, 2), (2, 5)],
        [(0, 1), (1, 2), (2, 3), (3, 5)],
        [(3, 4), (4, 5)],
    ]
    first, second, *_ = levels_of(6, ordered=5)
    assert first.neighbours.tolist() == [False]
    assert second.neighbours.tolist() == [True, False]


def test_shares_are_a_mixture_of_beta_laws() -> None:
    shares = np.concatenate([[-0.5, 0.0, 1e-9], np.linspace(0.001, 0.999, 41), [1.0, 3.0]])
    expected = np.mean([beta.cdf(shares, a, a) for a in _SHAPES], axis=0)
    inside = (shares > 0) & (shares < 1)
    assert _share_below(shares)[inside] == pytest.approx(expected[inside], abs=1e-4)


@pytest.mark.parametrize("values", [(70.0, 30.0), (5.0, 95.0), (-20.0, 115.0), (45.0, 60.0)])
def test_two_codes_by_integration(values: tuple[float, float]) -> None:
    total, sigma = 100.0, 15.0
    # Midpoints of equally probable parts of the prior's law.
    shares = np.concatenate([beta.ppf((np.arange(20_000) + 0.5) / 20_000, a, a) for a in _SHAPES])
    weights = np.full(len(shares), _SPLIT / len(shares))
    shares, weights = np.append(shares, 0.5), np.append(weights, 1 - _SPLIT)
    misses = (values[0] - total * shares) ** 2 + (values[1] - total * (1 - shares)) ** 2
    weights *= np.exp(-0.5 * misses / sigma**2)
    expected = total * float(shares @ weights / weights.sum())
    found = cascade_counts(np.array(values), sigma=sigma, total=total, ordered=2)
    assert found == pytest.approx([expected, total - expected], abs=0.5)


def drawn(rng: np.random.Generator, draws: int, low: int, high: int, ordered: int) -> np.ndarray:
    """Return shares of the codes from `low` on, drawn from the prior: one row a draw."""
    if high - low == 1:
        return np.ones((draws, 1))
    alone = high > ordered
    middle = high - 1 if alone else (low + high) // 2
    share = rng.beta(*[rng.choice(_SHAPES, draws)] * 2)[:, None]
    halves = [drawn(rng, draws, *ends, ordered) for ends in ((low, middle), (middle, high))]
    found = np.concatenate([share * halves[0], (1 - share) * halves[1]], axis=1)
    level = (rng.random(draws) > _SPLIT) & (not alone)
    found[level] = 1.0 / (high - low)
    return found


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("values", "ordered"),
    [((80.0, 30.0, 60.0, 20.0), 4), ((80.0, 30.0, 60.0, 20.0, 10.0), 4), ((0, 90, -9, 70, 12), 5)],
)
def test_several_codes_by_draws_from_the_prior(values: tuple[float, ...], ordered: int) -> None:
    """A million draws, seed 1, weighed by their likelihood: means to .3 of 200 records or better
    (their effective number is above 10,000); 1 is allowed, for the grids too. Control: without
    the values the prior's means are further away than that."""
    rng = np.random.default_rng(1)
    total, sigma, noisy = 200.0, 25.0, np.array(values, dtype=np.float64)
    counts = total * drawn(rng, 1_000_000, 0, len(noisy), ordered)
    logs = -0.5 * ((counts - noisy) ** 2).sum(axis=1) / sigma**2
    weights = np.exp(logs - logs.max())
    assert weights.sum() ** 2 / (weights**2).sum() > 10_000
    expected = weights @ counts / weights.sum()
    found = cascade_counts(noisy, sigma=sigma, total=total, ordered=ordered)
    assert found == pytest.approx(expected, abs=1.0)
    assert np.abs(counts.mean(axis=0) - found).max() > 5.0


def test_a_total_far_from_the_sum_moves_all_codes() -> None:
    values = np.array([310.0, 300.0, 290.0, 100.0])
    for more in (600.0, -200.0):
        total = float(values.sum() + more)
        found = cascade_counts(values, sigma=4.0, total=total, ordered=4)
        assert found == pytest.approx(values + more / 4, abs=8.0)


def test_counts_add_up_and_none_is_negative() -> None:
    rng = np.random.default_rng(0)
    for cells, sigma, level in product((1, 2, 7, 300), (1e-3, 30.0, 1e5), (-50.0, 0.0, 1e4)):
        values = rng.normal(level, sigma, cells)
        for ordered in {max(cells - 1, 1), cells}:
            found = cascade_counts(values, sigma=sigma, total=700.0, ordered=ordered)
            assert found.sum() == pytest.approx(700.0)
            assert (found >= 0).all()


def test_without_noise_to_speak_of_counts_are_what_was_measured() -> None:
    for exact in ([0.0, 700.0, 0.0, 0.0, 12.0, 13.0, 12.0, 0.0], [5000.0, 0.0, 1.0]):
        values = np.array(exact)
        found = cascade_counts(values, sigma=0.05, total=values.sum(), ordered=len(values))
        assert found == pytest.approx(values, abs=0.1)


@pytest.mark.statistical
def test_neighbours_of_numbers_help_one_another() -> None:
    """Total variation of 40 bell curves over 60 codes, and of 40 that fall from the first code on,
    seed 6: 31 of 40 wins over the prior without an order are needed (alpha .0004 if neither were
    better), and a mean lower by a quarter. Control: bell curves in no order, where it must not
    win, and may lose a quarter."""
    rng = np.random.default_rng(6)
    codes = np.arange(60)
    errors = {kind: np.zeros((40, 2)) for kind in ("bell", "falling", "shuffled")}
    for kind, found in errors.items():
        for i in range(40):
            centre, width = rng.uniform(10.0, 50.0), rng.uniform(4.0, 15.0)
            counts = np.exp(-0.5 * ((codes - centre) / width) ** 2)
            if kind == "falling":
                counts = np.exp(-codes / width)
            counts *= 2000.0 / counts.sum()
            if kind == "shuffled":
                rng.shuffle(counts)
            noisy = counts + rng.normal(0.0, 30.0, 60)
            with_order = cascade_counts(noisy, sigma=30.0, total=2000.0, ordered=60)
            without = posterior_counts(noisy, sigma=30.0, total=2000.0)
            for j, guess in enumerate((with_order, without)):
                found[i, j] = 0.5 * np.abs(guess - counts).sum() / 2000.0
    for kind in ("bell", "falling"):
        assert (errors[kind][:, 0] < errors[kind][:, 1]).sum() >= 31
        assert errors[kind][:, 0].mean() < 0.75 * errors[kind][:, 1].mean()
    shuffled = errors["shuffled"].mean(axis=0)
    assert shuffled[1] < shuffled[0] < 1.25 * shuffled[1]
