"""The exact samplers: decisions equal to integer arithmetic, then the laws themselves."""

from collections.abc import Callable
from fractions import Fraction
from math import exp, log

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binomtest, chi2, norm

from dpsynth.errors import InvalidValueError
from dpsynth.privacy import exact
from dpsynth.privacy.events import NoiseLaw
from dpsynth.privacy.fixed_point import exp_negative, normal_two_sided_tail
from dpsynth.privacy.words import Words, generator_words, system_words

LAWS = [(f, law) for f in ("gaussian", "laplace") for law in (NoiseLaw.DISCRETE, NoiseLaw.ROUNDED)]
LAW_IDS = [f"{law}-{family}" for family, law in LAWS]


def seeded(seed: int) -> Words:
    return generator_words(np.random.default_rng(seed))


def scripted(*calls: list[int]) -> Words:
    """Words that answer each call with the given ones, then (or for longer ones) at random."""
    rest, queue = seeded(99), list(calls)

    def words(n: int) -> NDArray[np.uint64]:
        answer = rest(n).copy()
        if queue:
            given = np.array(queue.pop(0), dtype=np.uint64)
            assert given.size <= n
            answer[: given.size] = given
        return answer

    return words


def survival(family: str, spread: float, k: int, bits: int) -> int:
    """2**bits P(|X| >= k) of the ROUNDED law, in integers."""
    x = (k - Fraction(1, 2)) / Fraction(spread)
    return normal_two_sided_tail(x, bits) if family == "gaussian" else exp_negative(x, bits)


# --- floating point proposes, integers decide -----------------------------------------------


@pytest.mark.parametrize("family", ["gaussian", "laplace"])
@pytest.mark.parametrize("spread", [0.05, 0.7, 20.0, 1e3, 1e6])
def test_fast_decisions_equal_integer_decisions(family: str, spread: float) -> None:
    words = [int(w) for w in seeded(5)(60)]
    words += [0, 1, 2, 3, 1000, 1023, 1024, 1025, 2**11, 2**20, 2**40, 2**53 + 1, 2**63, 2**64 - 1]
    for k in (1, 2, int(spread) + 1, 3 * int(spread) + 1, 6 * int(spread) + 2):
        cut = survival(family, spread, k, 64)
        words += [w for w in (cut - 2, cut - 1, cut, cut + 1) if 0 <= w < 2**64]
    draws = np.abs(
        exact.integer_noise(family, NoiseLaw.ROUNDED, spread, len(words), scripted(words))
    )
    for word, magnitude in zip(words, draws.astype(int), strict=True):
        # U lies in [word, word + 1] 2**-64, so both hold unless further bits could have decided
        if magnitude > 0:
            assert word << 136 <= survival(family, spread, magnitude, 200) + 1
        assert (word + 1) << 136 >= survival(family, spread, magnitude + 1, 200) - 1


@pytest.mark.parametrize(("family", "spread"), [("gaussian", 3.0), ("laplace", 7.5)])
def test_a_tie_is_decided_by_the_next_64_bits(family: str, spread: float) -> None:
    for k in (1, 4, 9):
        cut = survival(family, spread, k, 128)
        high, low = cut >> 64, cut & (2**64 - 1)
        for further, expected in ((low - 2**40, k), (low + 2**40, k - 1)):
            # first call: the block's word; second: further bits of the only tie among them
            words = scripted([high], [further])
            drawn = exact.integer_noise(family, NoiseLaw.ROUNDED, spread, 1, words)
            assert abs(drawn[0]) == expected


@pytest.mark.parametrize(("family", "law"), LAWS, ids=LAW_IDS)
def test_deciding_everything_by_integers_changes_nothing(
    family: str, law: NoiseLaw, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first words of a block are the same in both runs; integers then need no further ones.
    fast = exact.integer_noise(family, law, 4.3, 200, seeded(8))
    monkeypatch.setattr(exact, "_MARGIN", 1.0)
    assert (exact.integer_noise(family, law, 4.3, 200, seeded(8)) == fast).all()


def test_floating_point_errs_at_least_32_times_less_than_the_margin() -> None:
    # The one assumption of the exactness proof, checked against integers on this machine.
    allowed = exact._MARGIN / 2**5
    uniforms = np.concatenate(
        [np.random.default_rng(0).random(300), 2.0 ** -np.arange(1, 64, 3.0), [1 - 2.0**-40]]
    )
    for u in uniforms:
        bits = 400
        minus_log = -float(np.log(u))
        ratio = Fraction(exp_negative(Fraction(minus_log), bits), 2**bits) / Fraction(u)
        assert abs(ratio - 1) <= allowed * (1 + minus_log)
        ratio = Fraction(float(np.exp(-u))) / Fraction(exp_negative(Fraction(u), bits), 2**bits)
        assert abs(ratio - 1) <= allowed
        quantile = -float(ndtri(u / 2))
        tail = Fraction(normal_two_sided_tail(Fraction(quantile), bits), 2**bits)
        error = float(tail - Fraction(u)) / (2 * norm.pdf(quantile))
        assert abs(error) <= allowed * (1 + quantile)


@pytest.mark.parametrize(("family", "spread"), [("gaussian", 0.2), ("laplace", 0.05)])
def test_the_tail_beyond_64_bits_is_reached(family: str, spread: float) -> None:
    # U = 2**-129: the first word alone, 0, says only that U < 2**-64
    words = scripted([0], [0], [2**63])
    (drawn,) = np.abs(exact.integer_noise(family, NoiseLaw.ROUNDED, spread, 1, words))
    assert survival(family, spread, int(drawn), 200) > 2**71
    assert survival(family, spread, int(drawn) + 1, 200) < 2**71


def test_bernoulli_compares_with_the_probability_to_the_last_bit() -> None:
    for probability in (0.1, 1 / 3, 1e-30, 1 - 2**-53, 2.0**-64):
        cut = int(Fraction(probability) * 2**80)
        first, rest = cut >> 64, cut & (2**64 - 1)
        for further, expected in ((rest - 2**34, True), (rest + 2**34, False)):
            if 0 <= further < 2**64:  # the first 16 bits leave it open, the next 64 do not
                assert exact.bernoulli(probability, 1, scripted([first], [further]))[0] == expected
        assert not exact.bernoulli(probability, 1, scripted([first + 1]))[0] or first + 1 == 2**16
        assert first == 0 or exact.bernoulli(probability, 1, scripted([first - 1]))[0]
    # 1e-30 < 2**-80: 80 zero bits leave it open, and 20 more are needed
    assert exact.bernoulli(1e-30, 1, scripted([0], [0], [0]))[0]
    assert not exact.bernoulli(1e-30, 1, scripted([0], [0], [2**62]))[0]


@pytest.mark.parametrize("gamma", [0.0, 1e-18, 0.5, 5.0, 44.0, 1e9])
def test_bernoulli_exp_decides_as_integers_do(gamma: float) -> None:
    cut = exp_negative(Fraction(gamma), 64)
    words = [w for w in (cut - 2, cut + 2, 2**63, 1) if 0 <= w < 2**64]
    gammas = np.full(len(words), gamma)
    drawn = exact.bernoulli_exp(gammas, lambda i: Fraction(gamma), scripted(words))
    assert list(drawn) == [w < cut for w in words]


def test_a_spread_that_floats_cannot_hold_is_refused() -> None:
    for spread in (2.0**41, 0.0, float("nan")):
        with pytest.raises(InvalidValueError, match="noise scale"):
            exact.integer_noise("gaussian", NoiseLaw.DISCRETE, spread, 1, seeded(0))


# --- the laws ---------------------------------------------------------------------------------


def probabilities(family: str, law: NoiseLaw, spread: float) -> dict[int, float]:
    """Closed form on the integers that matter."""
    support = np.arange(-int(14 * spread) - 3, int(14 * spread) + 4)
    if family == "laplace":
        support = np.arange(-int(40 * spread) - 3, int(40 * spread) + 4)
    if law is NoiseLaw.DISCRETE:
        scaled = np.abs(support) / spread
        mass = np.exp(-scaled) if family == "laplace" else np.exp(-scaled * scaled / 2)
        mass = mass / mass.sum()
    elif family == "gaussian":
        mass = np.diff(norm.cdf(np.append(support - 0.5, support[-1] + 0.5) / spread))
    else:
        edges = np.append(support - 0.5, support[-1] + 0.5) / spread
        mass = np.diff(np.where(edges < 0, np.exp(edges) / 2, 1 - np.exp(-edges) / 2))
    return dict(zip(support.tolist(), mass.tolist(), strict=True))


def chi_square(draws: NDArray[np.float64], law: dict[int, float]) -> float:
    """p-value that `draws` follow `law`; neighbouring values pooled to an expected 30 or more."""
    values, counts = np.unique(draws.astype(int), return_counts=True)
    observed = dict(zip(values.tolist(), counts.tolist(), strict=True))
    cells: list[list[float]] = [[0.0, 0.0]]
    for value, mass in law.items():
        cells[-1][0] += observed.pop(value, 0)
        cells[-1][1] += mass * draws.size
        if cells[-1][1] >= 30:
            cells.append([0.0, 0.0])
    tail_observed, tail_expected = cells.pop()
    cells[-1][0] += tail_observed + sum(observed.values())
    cells[-1][1] += tail_expected
    statistic = sum((o - e) ** 2 / e for o, e in cells)
    return float(chi2.sf(statistic, len(cells) - 1)) if len(cells) > 1 else 1.0


@pytest.mark.statistical
@pytest.mark.parametrize(("family", "law"), LAWS, ids=LAW_IDS)
@pytest.mark.parametrize("spread", [0.5, 1.0, 6.4, 150.0])
def test_law_is_the_closed_form(family: str, law: NoiseLaw, spread: float) -> None:
    # seed fixed, alpha 1e-3, n = 200,000
    draws = exact.integer_noise(family, law, spread, 200_000, seeded(11))
    assert chi_square(draws, probabilities(family, law, spread)) > 1e-3
    for factor in (0.7, 0.9, 1.1, 1.3):  # negative controls: what any 10% error would look like
        assert chi_square(draws, probabilities(family, law, factor * spread)) < 1e-6


@pytest.mark.statistical
@pytest.mark.parametrize(("family", "law"), LAWS, ids=LAW_IDS)
def test_law_of_the_systems_randomness(family: str, law: NoiseLaw) -> None:
    # system randomness: alpha 1e-6 for each of the four, n = 200,000
    draws = exact.integer_noise(family, law, 6.4, 200_000, system_words)
    assert chi_square(draws, probabilities(family, law, 6.4)) > 1e-6
    assert chi_square(draws, probabilities(family, law, 0.9 * 6.4)) < 1e-6


@pytest.mark.statistical
@pytest.mark.parametrize("law", [NoiseLaw.DISCRETE, NoiseLaw.ROUNDED])
def test_the_two_gaussian_laws_are_told_apart(law: NoiseLaw) -> None:
    # at sigma 0.7 they differ (variance .49 against .573); the wrong one must be rejected
    other = NoiseLaw.ROUNDED if law is NoiseLaw.DISCRETE else NoiseLaw.DISCRETE
    draws = exact.integer_noise("gaussian", law, 0.7, 100_000, seeded(12))
    assert chi_square(draws, probabilities("gaussian", law, 0.7)) > 1e-3
    assert chi_square(draws, probabilities("gaussian", other, 0.7)) < 1e-6


@pytest.mark.statistical
@pytest.mark.parametrize(("family", "law"), LAWS, ids=LAW_IDS)
@pytest.mark.parametrize("spread", [12.0, 1e6])
def test_tails_have_their_weight(family: str, law: NoiseLaw, spread: float) -> None:
    # seed fixed, alpha 1e-3 each, n = 400,000: beyond 4 sigma, and beyond 9 Laplace scales
    draws = np.abs(exact.integer_noise(family, law, spread, 400_000, seeded(13)))
    cut = int((4 if family == "gaussian" else 9) * spread)
    beyond = int((draws >= cut).sum())
    x = (cut - 0.5) / spread
    expected = 2 * float(norm.sf(x)) if family == "gaussian" else exp(-x)
    assert binomtest(beyond, draws.size, expected).pvalue > 1e-3
    thin = 2 * float(norm.sf(x / 0.7)) if family == "gaussian" else exp(-x / 0.7)
    assert binomtest(beyond, draws.size, thin).pvalue < 1e-6  # control


@pytest.mark.statistical
def test_signs_are_fair_and_draws_independent() -> None:
    # seed fixed; 5 standard errors, n = 300,000
    draws = exact.integer_noise("gaussian", NoiseLaw.ROUNDED, 50.0, 300_000, seeded(14))
    bound = 5 / np.sqrt(draws.size)
    assert abs(np.mean(np.sign(draws))) < bound
    for series in (draws / draws.std(), np.abs(draws) - np.abs(draws).mean()):
        assert abs(np.mean(series[1:] * series[:-1])) < bound * series.var()


def opendp_sampler(family: str, spread: float) -> Callable[[int], NDArray[np.float64]]:
    dp = pytest.importorskip("opendp.prelude")
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    if family == "gaussian":
        measurement = dp.m.make_gaussian(*space, scale=spread)
    else:
        measurement = dp.m.make_laplace(space[0], dp.l1_distance(T=int), scale=spread)
    return lambda n: np.array(measurement([0] * n), dtype=np.float64)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("family", ["gaussian", "laplace"])
@pytest.mark.parametrize("spread", [0.8, 25.0])
def test_law_agrees_with_opendp(family: str, spread: float) -> None:
    # two-sample chi-square, system randomness on both sides: alpha 1e-6, n = 60,000 each
    theirs = opendp_sampler(family, spread)(60_000)

    def p_value(ours: NDArray[np.float64]) -> float:
        edges = np.unique(np.quantile(theirs, np.linspace(0, 1, 25)))
        counts = np.array(
            [np.histogram(x, bins=[-np.inf, *(edges[1:] - 0.5), np.inf])[0] for x in (ours, theirs)]
        )
        counts = counts[:, counts.sum(axis=0) > 0]
        expected = counts.sum(axis=0) / 2
        return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.shape[1] - 1))

    draw = exact.integer_noise
    assert p_value(draw(family, NoiseLaw.DISCRETE, spread, 60_000, system_words)) > 1e-6
    assert p_value(draw(family, NoiseLaw.DISCRETE, 0.8 * spread, 60_000, system_words)) < 1e-6


@pytest.mark.statistical
def test_bernoulli_frequencies() -> None:
    # seed fixed, alpha 1e-3, n = 200,000
    for probability in (0.5, 0.01, log(2) / 2):
        hits = int(exact.bernoulli(probability, 200_000, seeded(15)).sum())
        assert binomtest(hits, 200_000, probability).pvalue > 1e-3
        assert binomtest(hits, 200_000, probability * 1.1).pvalue < 1e-3  # control
