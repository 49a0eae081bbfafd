"""Ranks by hand, what seeds can show, and that A/A experiments are rarely won."""

import numpy as np
import pytest
from scipy.stats import binom, friedmanchisquare

from dpsynth.errors import UnknownNameError
from dpsynth.harness.store import to_frame
from dpsynth.report.correction import holm
from dpsynth.report.paired import seed_bootstrap, sign_flip_p
from dpsynth.report.ranking import Ranking, rank
from dpsynth.report.summary import utility
from tests.report.scores import rows_of


def ranking(scores: dict, seed: int = 0, **how) -> Ranking:
    return rank(to_frame(rows_of(scores, **how)), "tvd_2way", rng=np.random.default_rng(seed))


def grid(values: np.ndarray, dataset: str = "d") -> dict:
    """Return scores of generators a, b, c, ... by seed (rows) and generator (columns)."""
    return {
        (dataset, chr(97 + j), 1.0, i): float(v) for (i, j), v in np.ndenumerate(np.asarray(values))
    }


@pytest.mark.parametrize("higher", [False, True])
def test_ranks_and_win_rates_by_hand(higher: bool) -> None:
    values = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0], [1.0, 1.0, 2.0]])
    found = ranking(grid(-values if higher else values), higher=higher)
    assert [s.generator for s in found.standings] == ["a", "b", "c"]
    assert [s.mean_rank for s in found.standings] == [5.5 / 4, 7.5 / 4, 11 / 4]
    # Of eight contests a wins six, loses one and ties one.
    assert found.standings[0].win_rate == pytest.approx(6.5 / 8)
    pair = found.pairs[0]
    assert (pair.first, pair.second) == ("a", "b")
    assert pair.win_rate == 2.5 / 4
    assert pair.gain.value == pytest.approx(0.5)
    assert found.friedman_p == pytest.approx(friedmanchisquare(*values.T).pvalue)


def test_a_failed_cell_ranks_last_and_is_no_score() -> None:
    scores: dict = grid(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]))
    scores["d", "a", 1.0, 0] = None
    first, second = sorted(ranking(scores).standings, key=lambda s: s.generator)
    assert first.failed == 1
    assert first.mean_rank == pytest.approx(4 / 3)
    assert second.win_rate == pytest.approx(1 / 3)
    assert first.score.value == 1.0  # a failure is not a number, neither 0 nor 1


def test_what_failed_everywhere_ranks_last_and_has_no_score() -> None:
    scores: dict = grid(np.array([[1.0, 2.0, 3.0]] * 3))
    scores |= {("d", "c", 1.0, seed): None for seed in range(3)}
    last = ranking(scores).standings[-1]
    assert (last.generator, last.mean_rank, last.win_rate, last.failed) == ("c", 3.0, 0.0, 3)
    assert np.isnan(last.score.value)
    assert last.cells == ()


def test_what_ran_elsewhere_only_is_not_ranked() -> None:
    scores = grid(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])) | {("d", "z", 1.0, 0): 0.1}
    found = ranking(scores)
    assert [s.generator for s in found.ranked] == ["a", "b"]
    assert found.blocks == 3
    last = found.standings[-1]
    assert (last.generator, last.blocks, last.win_rate) == ("z", 1, 1.0)
    assert np.isnan(last.mean_rank)


def test_an_unknown_metric_is_one_sentence() -> None:
    with pytest.raises(UnknownNameError, match="tvd_2way"):
        rank(to_frame(rows_of(grid(np.ones((2, 2))))), "tvd_2wy", rng=np.random.default_rng(0))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_the_flips_of_signs_are_counted() -> None:
    rng = np.random.default_rng(0)
    assert sign_flip_p(np.ones(5), ["d"] * 5, rng=rng) == 2 / 32  # the least that five can show
    # 7 is one sum, 5 are two (either of the ones flipped), and as many are below 0.
    assert sign_flip_p(np.array([1.0, 2.0, 3.0, -1.0]), ["d"] * 4, rng=rng) == 6 / 16
    assert sign_flip_p(np.zeros(9), ["d"] * 9, rng=rng) == 1.0
    assert sign_flip_p(np.ones(1), ["d"], rng=rng) == 1.0


def test_there_is_no_interval_where_seeds_cannot_say() -> None:
    rng = np.random.default_rng(0)
    assert np.isnan(seed_bootstrap(np.array([1.0, 2.0, 3.0]), ["d"] * 3, rng=rng).lower)
    assert np.isnan(seed_bootstrap(np.array([1.0, 2.0, 3.0]), ["d", "d", "e"], rng=rng).lower)
    two = seed_bootstrap(np.array([1.0, 2.0, 3.0, 11.0, 12.0, 13.0]), list("dddeee"), rng=rng)
    assert two.value == 7.0
    assert 5.5 < two.lower < 7.0 < two.upper < 8.5  # what data sets differ by is no noise


def two_worlds(rng: np.random.Generator, *, edge: float) -> dict:
    """Return scores of a and b on two data sets, two budgets and four seeds; b has an `edge`.

    Splits move both alike, and each run has skewed noise of its own.
    """
    scores = {}
    for dataset, seed in ((d, s) for d in "de" for s in range(4)):
        split = rng.normal()
        for epsilon in (0.5, 2.0):
            for generator in "ab":
                noise = 0.1 * float(rng.exponential()) / epsilon
                gain = edge if generator == "b" else 0.0
                scores[dataset, generator, epsilon, seed] = split + noise - gain
    return scores


def naive_win(scores: dict) -> bool:
    """Return whether a percentile bootstrap of single cells, not of seeds, leaves 0 out."""
    rng = np.random.default_rng(0)
    d = np.array([v - scores[d, "b", e, s] for (d, g, e, s), v in scores.items() if g == "a"])[:3]
    means = d[rng.integers(0, len(d), (999, len(d)))].mean(axis=1)
    return not np.quantile(means, 0.025) <= 0 <= np.quantile(means, 0.975)


def test_no_interval_of_a_score_passes_the_ends_of_its_metric() -> None:
    """Five seeds of an area near 1: the interval of their mean would pass it."""
    values = {("a", "g", 1.0, seed): v for seed, v in enumerate((0.9, 0.999, 0.93, 0.99, 0.95))}
    rows = to_frame(rows_of(values, metric="auc", higher=True))
    (free,) = rank(rows, "auc", rng=np.random.default_rng(0)).standings
    (point,) = utility(rows)
    assert free.score.upper > 1
    assert point.score.upper > 1
    rows["identity"] = "tstr_auc(rounds=60)"
    (held,) = rank(rows, "auc", rng=np.random.default_rng(0)).standings
    (point,) = utility(rows)
    assert held.score.upper == point.score.upper == 1
    assert held.score.lower == free.score.lower


@pytest.mark.slow
@pytest.mark.statistical
def test_two_runs_of_one_algorithm_rarely_differ() -> None:
    """120 A/A experiments at alpha .05, seed 7; a correct procedure fails once in a thousand.

    Negative controls: a percentile bootstrap of three runs wins too often, and an edge is found.
    """
    rng, n = np.random.default_rng(7), 120
    worlds = [two_worlds(rng, edge=0.0) for _ in range(n)]
    found = [ranking(w, seed=i).pairs[0] for i, w in enumerate(worlds)]
    at_most = binom.ppf(0.999, n, 0.05)
    assert sum(p.shown for p in found) <= at_most
    assert sum(not p.gain.lower <= 0 <= p.gain.upper for p in found) <= at_most
    assert sum(map(naive_win, worlds)) > at_most
    edged = [ranking(two_worlds(rng, edge=0.3), seed=i).pairs[0] for i in range(20)]
    assert sum(p.shown and p.winner == "b" for p in edged) >= 18


@pytest.mark.slow
@pytest.mark.statistical
def test_four_labels_of_one_algorithm_rarely_win_anything() -> None:
    """60 experiments of four equal generators, six pairs each: at alpha .05 at most 5% show any
    difference, and Friedman's test rejects as often at most; seed 8. Control: without Holm's
    correction the six pairs show one far more often."""
    rng, n = np.random.default_rng(8), 60
    shown, uncorrected, global_ = 0, 0, 0
    for i in range(n):
        values = rng.normal(size=(10, 1)) + 0.1 * rng.standard_t(3, size=(10, 4))
        found = ranking(grid(values), seed=i)
        shown += any(p.shown for p in found.pairs)
        global_ += found.friedman_p <= 0.05
        uncorrected += any(
            sign_flip_p(values[:, a] - values[:, b], ["d"] * 10, rng=rng) <= 0.05
            for a in range(4)
            for b in range(a)
        )
    at_most = binom.ppf(0.999, n, 0.05)
    assert shown <= at_most
    assert global_ <= at_most
    assert uncorrected > at_most
