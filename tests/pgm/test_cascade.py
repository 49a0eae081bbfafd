"""Posterior means of counts in an order, against plain integration and draws from the prior."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import beta, norm

from dpsynth.pgm.cascade import _SPLIT, cascade_counts, levels_of
from dpsynth.pgm.column_kinds import KINDS, PLACES, Kind, place_of, shares_below
from dpsynth.pgm.gamma_prior import posterior_counts

EVEN = KINDS[-1].laws[0]
SUM = sum(kind.weight for kind in KINDS)


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
    none = len(PLACES)
    assert [at.place.tolist() for at in levels_of(6, ordered=5)] == [
        [none],
        [PLACES.index("whole"), none],
        [PLACES.index("first"), PLACES.index("second")],
        [PLACES.index(p) for p in ("first", "later", "later", "later")],
        [PLACES.index("deep")] * 2,
    ]


def mixture(kind: Kind, place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shapes and probabilities of a kind's beta laws; the even ones of no place."""
    means, concentrations, weights = np.array((*kind.laws, EVEN)[place]).T
    return means * concentrations, (1 - means) * concentrations, weights / weights.sum()


def test_shares_are_mixtures_of_beta_laws() -> None:
    shares = np.concatenate([[0.0, 1e-9], np.linspace(0.001, 0.999, 41), [1.0]])
    places = range(len(PLACES) + 1)
    found = shares_below(np.tile(shares, (len(places), 1)), np.array(places))
    for kind, place in product(range(len(KINDS)), places):
        a, b, weights = mixture(KINDS[kind], place)
        expected = beta.cdf(shares[:, None], a, b) @ weights
        assert found[kind, place, 1:-1] == pytest.approx(expected[1:-1], abs=1e-4)
    assert shares_below(np.array([[-0.5, 3.0]]), np.array([0])) == pytest.approx(
        np.tile([0.0, 1.0], (len(KINDS), 1, 1)), abs=1e-9
    )


@pytest.mark.parametrize("values", [(70.0, 30.0), (5.0, 95.0), (-20.0, 115.0), (45.0, 60.0)])
def test_two_codes_by_integration(values: tuple[float, float]) -> None:
    total, sigma = 100.0, 15.0

    def likelihood(shares: np.ndarray) -> np.ndarray:
        return norm.pdf((values[0] - total * shares) / sigma) * norm.pdf(
            (values[1] - total * (1 - shares)) / sigma
        )

    sums = np.zeros(2)
    for kind in KINDS:
        # Midpoints of equally probable parts of each law.
        middles = (np.arange(20_000)[:, None] + 0.5) / 20_000
        a, b, weights = mixture(kind, PLACES.index("whole"))
        shares = beta.ppf(middles, a, b)
        for power in (0, 1):
            halved = (likelihood(shares) * shares**power).mean(axis=0) @ weights
            level = likelihood(np.array(0.5)) * 0.5**power
            sums[power] += kind.weight * (_SPLIT * halved + (1 - _SPLIT) * level)
    expected = total * sums[1] / sums[0]
    found = cascade_counts(np.array(values), sigma=sigma, total=total, ordered=2)
    assert found == pytest.approx([expected, total - expected], abs=0.5)


def drawn(  # noqa: PLR0917
    rng: np.random.Generator,
    draws: int,
    kind: Kind,
    span: tuple[int, int],
    ordered: int,
    depth: int = 0,
) -> np.ndarray:
    """Return shares of the codes of a stretch, drawn from the prior: one row a draw."""
    low, high = span
    if high - low == 1:
        return np.ones((draws, 1))
    alone = high > ordered
    middle = high - 1 if alone else (low + high) // 2
    a, b, weights = mixture(kind, len(PLACES) if alone else place_of(low, depth))
    law = rng.choice(len(weights), draws, p=weights)
    share = rng.beta(a[law], b[law])[:, None]
    deeper = 0 if alone else depth + 1
    halves = [
        drawn(rng, draws, kind, ends, ordered, deeper) for ends in ((low, middle), (middle, high))
    ]
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
    draws = rng.multinomial(1_000_000, np.array([k.weight for k in KINDS]) / SUM)
    counts = total * np.concatenate(
        [
            drawn(rng, n, kind, (0, len(noisy)), ordered)
            for kind, n in zip(KINDS, draws, strict=True)
        ]
    )
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
