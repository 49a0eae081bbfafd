"""Posterior means of counts in an order, against plain integration and draws from the prior."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import beta, norm

from dpsynth.pgm.cascade import cascade_counts, levels_of
from dpsynth.pgm.column_kinds import CATEGORIES, NUMBERS, PLACES, Halving, InNoOrder, Kind, place_of
from dpsynth.pgm.gamma_prior import posterior_counts
from dpsynth.pgm.share_laws import shares_below

NONE = len(PLACES)


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
    assert [
        [(h.place, h.first, h.second) for h in at.halvings] for at in levels_of(6, ordered=5)
    ] == [
        [(NONE, 5, 1)],
        [(PLACES.index("whole"), 2, 3)],
        [(PLACES.index("first"), 1, 1), (PLACES.index("second"), 1, 2)],
        [(PLACES.index("later"), 1, 1)],
        [],
    ]
    assert levels_of(16, ordered=16)[3].halvings[1].place == PLACES.index("deep")


def mixture(kind: Kind, at: Halving) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shapes and probabilities of a kind's beta laws."""
    a, b, weights = np.array(list(kind.mixture(at))).T
    return a, b, weights / weights.sum()


def test_kinds_without_an_order_are_dirichlet_laws() -> None:
    """The sum of m of a symmetric Dirichlet law's codes is a share of beta(m shape, ...)."""
    kind = InNoOrder(weight=1.0, shape=0.3)
    assert list(kind.mixture(Halving(place=0, first=2, second=3))) == [
        (pytest.approx(0.6), pytest.approx(0.9), 1.0)
    ]
    assert kind.split == 1.0


def test_shares_are_mixtures_of_beta_laws() -> None:
    shares = np.concatenate([[0.0, 1e-9], np.linspace(0.001, 0.999, 41), [1.0]])
    halvings = [Halving(place=place, first=1 + place, second=2) for place in range(NONE + 1)]
    found = shares_below(CATEGORIES, np.tile(shares, (len(halvings), 1)), halvings)
    for kind, of in product(CATEGORIES, halvings):
        a, b, weights = mixture(kind, of)
        expected = beta.cdf(shares[:, None], a, b) @ weights
        table = found[CATEGORIES.index(kind), of.place]
        assert table[1:-1] == pytest.approx(expected[1:-1], abs=1e-4)
    assert shares_below(NUMBERS, np.array([[-0.5, 3.0]]), halvings[:1]) == pytest.approx(
        np.tile([0.0, 1.0], (len(NUMBERS), 1, 1)), abs=1e-9
    )


@pytest.mark.parametrize("kinds", [NUMBERS, CATEGORIES], ids=["numbers", "categories"])
@pytest.mark.parametrize("values", [(70.0, 30.0), (5.0, 95.0), (-20.0, 115.0), (45.0, 60.0)])
def test_two_codes_by_integration(values: tuple[float, float], kinds: tuple[Kind, ...]) -> None:
    total, sigma = 100.0, 15.0

    def likelihood(shares: np.ndarray) -> np.ndarray:
        return norm.pdf((values[0] - total * shares) / sigma) * norm.pdf(
            (values[1] - total * (1 - shares)) / sigma
        )

    sums = np.zeros(2)
    whole = Halving(place=PLACES.index("whole"), first=1, second=1)
    for kind in kinds:
        # Midpoints of equally probable parts of each law.
        middles = (np.arange(20_000)[:, None] + 0.5) / 20_000
        a, b, weights = mixture(kind, whole)
        shares = beta.ppf(middles, a, b)
        for power in (0, 1):
            halved = (likelihood(shares) * shares**power).mean(axis=0) @ weights
            level = likelihood(np.array(0.5)) * 0.5**power
            sums[power] += kind.weight * (kind.split * halved + (1 - kind.split) * level)
    expected = total * sums[1] / sums[0]
    found = cascade_counts(np.array(values), sigma=sigma, total=total, ordered=2, kinds=kinds)
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
    place = NONE if alone else place_of(low, depth)
    at = Halving(place=place, first=middle - low, second=high - middle)
    a, b, weights = mixture(kind, at)
    law = rng.choice(len(weights), draws, p=weights)
    share = rng.beta(a[law], b[law])[:, None]
    deeper = 0 if alone else depth + 1
    halves = [
        drawn(rng, draws, kind, ends, ordered, deeper) for ends in ((low, middle), (middle, high))
    ]
    found = np.concatenate([share * halves[0], (1 - share) * halves[1]], axis=1)
    level = (rng.random(draws) > kind.split) & (not alone)
    found[level] = 1.0 / (high - low)
    return found


@pytest.mark.statistical
@pytest.mark.parametrize("kinds", [NUMBERS, CATEGORIES], ids=["numbers", "categories"])
@pytest.mark.parametrize(
    ("values", "ordered"),
    [((80.0, 30.0, 60.0, 20.0), 4), ((80.0, 30.0, 60.0, 20.0, 10.0), 4), ((0, 90, -9, 70, 12), 5)],
)
def test_several_codes_by_draws_from_the_prior(
    values: tuple[float, ...], ordered: int, kinds: tuple[Kind, ...]
) -> None:
    """A million draws, seed 1, weighed by their likelihood: means to .3 of 200 records or better
    (their effective number is above 10,000); 1 is allowed, for the grids too. Control: without
    the values the prior's means are further away than that."""
    rng = np.random.default_rng(1)
    total, sigma, noisy = 200.0, 25.0, np.array(values, dtype=np.float64)
    weights = np.array([kind.weight for kind in kinds])
    draws = rng.multinomial(1_000_000, weights / weights.sum())
    counts = total * np.concatenate(
        [
            drawn(rng, n, kind, (0, len(noisy)), ordered)
            for kind, n in zip(kinds, draws, strict=True)
        ]
    )
    logs = -0.5 * ((counts - noisy) ** 2).sum(axis=1) / sigma**2
    weights = np.exp(logs - logs.max())
    assert weights.sum() ** 2 / (weights**2).sum() > 10_000
    expected = weights @ counts / weights.sum()
    found = cascade_counts(noisy, sigma=sigma, total=total, ordered=ordered, kinds=kinds)
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
def test_neighbours_help_one_another() -> None:
    """Total variation of 40 bell curves over 60 codes, and of 40 that fall from the first code on,
    seed 6: 31 of 40 wins over the prior without an order are needed (alpha .0004 if neither were
    better), and a mean lower by a quarter; so for numbers and for categories. Control: bell curves
    in no order, where numbers must not win and may lose a quarter, and categories a twentieth."""
    rng = np.random.default_rng(6)
    codes = np.arange(60)
    errors = {shape: np.zeros((40, 3)) for shape in ("bell", "falling", "shuffled")}
    for shape, found in errors.items():
        for i in range(40):
            centre, width = rng.uniform(10.0, 50.0), rng.uniform(4.0, 15.0)
            counts = np.exp(-0.5 * ((codes - centre) / width) ** 2)
            if shape == "falling":
                counts = np.exp(-codes / width)
            counts *= 2000.0 / counts.sum()
            if shape == "shuffled":
                rng.shuffle(counts)
            noisy = counts + rng.normal(0.0, 30.0, 60)
            guesses = [posterior_counts(noisy, sigma=30.0, total=2000.0)] + [
                cascade_counts(noisy, sigma=30.0, total=2000.0, ordered=60, kinds=kinds)
                for kinds in (NUMBERS, CATEGORIES)
            ]
            found[i] = [0.5 * np.abs(guess - counts).sum() / 2000.0 for guess in guesses]
    for shape, kinds in product(("bell", "falling"), (1, 2)):
        assert (errors[shape][:, kinds] < errors[shape][:, 0]).sum() >= 31
        assert errors[shape][:, kinds].mean() < 0.75 * errors[shape][:, 0].mean()
    without, numbers, categories = errors["shuffled"].mean(axis=0)
    assert without < numbers < 1.25 * without
    assert categories < 1.05 * without
