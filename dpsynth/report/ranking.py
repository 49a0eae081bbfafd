"""Which generator is better on a metric: ranks, win rates, and differences that seeds can show.

A block is one budget, seed and data set, in which all generators have the same split. A unit is one
seed of one data set: what its budgets say is averaged, for they share the split.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, final

import numpy as np

from dpsynth.errors import UnknownNameError
from dpsynth.report.correction import holm
from dpsynth.report.paired import Floats, seed_bootstrap, sign_flip_p
from dpsynth.report.ranges import range_of
from dpsynth.report.summary import ALPHA, Interval, unverified_in

if TYPE_CHECKING:
    from pandas import DataFrame

_BLOCK = ["dataset", "epsilon", "delta", "relation", "seed"]
_UNIT = ["dataset", "seed"]


@final
@dataclass(frozen=True, kw_only=True)
class Standing:
    """One generator among the others.

    Args:
        generator: its label.
        mean_rank: over blocks, 1 is best; a failed cell ranks last. nan where it is not ranked.
        score: mean over data sets of the metric, with its interval over seeds.
        win_rate: share of blocks and opponents against which it was better; a tie is half a win.
        better, worse: how many others it is shown to be better and worse than.
        failed: cells that failed.
        blocks: in how many it ran.
        cells: identities of its cells.
        verified: False where its records, and the claim with them, are someone else's.
    """

    generator: str
    mean_rank: float
    score: Interval
    win_rate: float
    better: int
    worse: int
    failed: int
    blocks: int
    cells: tuple[str, ...]
    verified: bool


@final
@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two generators on the blocks that both have.

    Args:
        first, second: labels.
        gain: by how much the first is better, in units of the metric, mean over data sets.
        win_rate: share of blocks in which it is.
        p_value: that the two are exchangeable, adjusted for all pairs (Holm).
        cells: identities of the cells of both.
    """

    first: str
    second: str
    gain: Interval
    win_rate: float
    p_value: float
    cells: tuple[str, ...]

    @property
    def shown(self) -> bool:
        """Whether the difference is more than chance, at `ALPHA` for all pairs together."""
        return self.p_value <= ALPHA

    @property
    def winner(self) -> str:
        """The better of the two by the mean, shown or not."""
        return self.first if self.gain.value > 0 else self.second

    @property
    def loser(self) -> str:
        return self.second if self.gain.value > 0 else self.first


@final
@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All generators on one metric.

    Args:
        metric: its label.
        higher_is_better: its direction.
        standings: best mean rank first; those that are not ranked last.
        pairs: of those that are ranked.
        friedman_p: that all ranked generators are exchangeable; nan with fewer than three.
        blocks, units: that every ranked generator has.
    """

    metric: str
    higher_is_better: bool
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    friedman_p: float
    blocks: int
    units: int

    @property
    def ranked(self) -> tuple[Standing, ...]:
        return tuple(s for s in self.standings if not np.isnan(s.mean_rank))


def rank(rows: "DataFrame", metric: str, *, rng: np.random.Generator) -> Ranking:
    """Return the ranking of the generators in `rows` on `metric`.

    Ranked are the generators that ran in as many blocks as any did; blocks that one of them lacks
    are left out. Differences leave out cells that failed, ranks and win rates count them as lost.

    Args:
        rows: of a results store.
        metric: a label of rows of kind "utility".
        rng: draws resamples and flips.

    Raises:
        UnknownNameError: no scores of that metric.
    """
    scores = rows[(rows["kind"] == "utility") & (rows["metric"] == metric)]
    if not len(scores):
        raise UnknownNameError("metric in the store", metric, metrics_of(rows))
    higher = bool(scores["higher_is_better"].iloc[0])
    errors = _errors(rows, scores, sign=-1.0 if higher else 1.0)
    counts = errors.notna().sum()
    ranked = [str(g) for g in errors.columns if counts[g] == counts.max()]
    complete = errors[ranked].dropna()
    ranks = complete.rank(axis=1)
    pairs = _pairs(errors, scores, ranked, rng=rng)
    standings = [
        _standing(
            str(g), rows=rows, scores=scores, errors=errors, ranks=ranks, pairs=pairs, rng=rng
        )
        for g in errors.columns
    ]
    return Ranking(
        metric=metric,
        higher_is_better=higher,
        standings=tuple(
            sorted(standings, key=lambda s: (np.isnan(s.mean_rank), s.mean_rank, s.generator))
        ),
        pairs=pairs,
        friedman_p=_friedman(ranks),
        blocks=len(complete),
        units=len(ranks.groupby(_UNIT)),
    )


def metrics_of(rows: "DataFrame") -> list[str]:
    """Return the labels of the metrics in `rows`, in the order of rows."""
    return [str(m) for m in dict.fromkeys(rows.loc[rows["kind"] == "utility", "metric"])]


def _errors(rows: "DataFrame", scores: "DataFrame", *, sign: float) -> "DataFrame":
    """Return block x generator: less is better, infinity where a cell failed, nan where none is."""
    import pandas as pd

    found = scores.assign(error=sign * scores["value"].astype("float64").fillna(sign * np.inf))
    failed = rows[(rows["kind"] == "run") & (rows["metric"] == "failed")].assign(error=np.inf)
    failed = failed[failed["dataset"].isin(list(found["dataset"].unique()))]
    both = [frame[[*_BLOCK, "generator", "error"]] for frame in (found, failed) if len(frame)]
    table = pd.concat(both).pivot_table(
        index=_BLOCK, columns="generator", values="error", aggfunc="max", sort=False
    )
    return table[(table < np.inf).any(axis=1)]


def _pairs(
    errors: "DataFrame", scores: "DataFrame", ranked: Sequence[str], *, rng: np.random.Generator
) -> tuple[Pair, ...]:
    # One that failed everywhere has no scores, and no cells behind them.
    cells: dict[str, tuple[str, ...]] = dict.fromkeys(ranked, ())
    for generator, part in scores.groupby("generator"):
        cells[str(generator)] = tuple(dict.fromkeys(part["cell"]))
    found: list[tuple[str, str, Interval, float]] = []
    p_values: list[float] = []
    for first, second in combinations(ranked, 2):
        both = errors[[first, second]].dropna()
        finite = both[np.isfinite(both).all(axis=1)]
        gains = (finite[second] - finite[first]).groupby(_UNIT, sort=False).mean()
        values: Floats = gains.to_numpy(dtype=np.float64)
        strata = [str(unit[0]) for unit in gains.index]
        p_values.append(sign_flip_p(values, strata, rng=rng))
        gain = _interval(values, strata, rng=rng)
        found.append((first, second, gain, _win_rate(both[first], both[second])))
    return tuple(
        Pair(first=a, second=b, gain=g, win_rate=w, p_value=p, cells=cells[a] + cells[b])
        for (a, b, g, w), p in zip(found, holm(p_values), strict=True)
    )


def _standing(
    generator: str,
    *,
    rows: "DataFrame",
    scores: "DataFrame",
    errors: "DataFrame",
    ranks: "DataFrame",
    pairs: Sequence[Pair],
    rng: np.random.Generator,
) -> Standing:
    own = scores[(scores["generator"] == generator) & scores["value"].notna()]
    per_unit = own.groupby(_UNIT, sort=False)["value"].mean()
    strata = [str(unit[0]) for unit in per_unit.index]
    others = [g for g in ranks.columns if g != generator]
    score = _interval(per_unit.to_numpy(dtype=np.float64), strata, rng=rng)
    is_ranked = generator in ranks
    rates = [_win_rate(*_common(errors, generator, other)) for other in others]
    return Standing(
        generator=generator,
        mean_rank=float(ranks[generator].mean()) if is_ranked else float("nan"),
        score=score.within(*range_of(scores)),
        win_rate=float(np.nanmean(rates)) if np.isfinite(rates).any() else float("nan"),
        better=sum(p.shown and p.winner == generator for p in pairs),
        worse=sum(p.shown and p.loser == generator for p in pairs),
        failed=int(np.isinf(errors[generator]).sum()),
        blocks=int(errors[generator].notna().sum()),
        cells=tuple(dict.fromkeys(str(c) for c in own["cell"])),
        verified=generator not in unverified_in(rows),
    )


def _common(errors: "DataFrame", first: str, second: str) -> tuple[Floats, Floats]:
    both = errors[[first, second]].dropna()
    return both[first].to_numpy(), both[second].to_numpy()


def _win_rate(first: Any, second: Any) -> float:
    """Return how often `first` is less, a tie counting half; nan of nothing."""
    if not len(first):
        return float("nan")
    return float(np.mean(np.asarray(first < second) + 0.5 * np.asarray(first == second)))


def _interval(values: Floats, strata: Sequence[str], *, rng: np.random.Generator) -> Interval:
    if not len(values):
        nan = float("nan")
        return Interval(value=nan, lower=nan, upper=nan, seeds=0)
    return seed_bootstrap(values, strata, rng=rng)


def _friedman(ranks: "DataFrame") -> float:
    """Return Friedman's p-value over units, whose budgets' ranks are averaged.

    Reference: Demsar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets.
    """
    from scipy.stats import friedmanchisquare

    units = ranks.groupby(_UNIT, sort=False).mean()
    if units.shape[1] < 3:
        return float("nan")
    if len(units) < 2 or (units.nunique(axis=1) == 1).all():
        return 1.0
    return float(friedmanchisquare(*(units[g] for g in units)).pvalue)
