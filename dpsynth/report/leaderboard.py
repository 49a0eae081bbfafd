"""The leaderboard of a store: generators ranked on each metric, as a page, Markdown and LaTeX."""

from base64 import b64encode
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.errors import FileError, InvalidValueError, UnknownNameError
from dpsynth.harness.store import Store, read
from dpsynth.report.critical_difference import critical_difference_figure
from dpsynth.report.figures import figure_files
from dpsynth.report.files import write_files
from dpsynth.report.pages import Sources, render
from dpsynth.report.pareto import Offer, offers, pareto_figure
from dpsynth.report.ranking import Pair, Ranking, Standing, metrics_of, rank
from dpsynth.report.summary import Interval, deltas_apart, shown_name
from dpsynth.report.tables import Grid

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from pandas import DataFrame


def rankings(
    store: str | Path,
    *,
    rng: "np.random.Generator",
    metrics: Sequence[str] = (),
    generators: Sequence[str] = (),
    epsilon: float | None = None,
) -> "tuple[DataFrame, list[Ranking]]":
    """Return the rows that are compared, and the ranking on each metric.

    Args:
        store: a results store.
        rng: draws resamples and flips of signs.
        metrics: labels; by default all.
        generators: labels; by default all.
        epsilon: compare at this budget alone.

    Raises:
        FileError: no store there, or one without scores.
        UnknownNameError: a metric or generator that the store lacks.
        InvalidValueError: an epsilon that it lacks.
    """
    rows = read(store)
    known = {str(g) for g in rows["generator"]}
    for name in generators:
        if name not in known:
            raise UnknownNameError("generator in the store", name, known)
    if generators:
        rows = rows[rows["generator"].isin(list(generators))]
    if epsilon is not None:
        budgets = sorted(set(rows["epsilon"]))
        if epsilon not in budgets:
            rule = "one of the store's budgets: " + ", ".join(f"{e:g}" for e in budgets)
            raise InvalidValueError("epsilon", epsilon, rule)
        rows = rows[rows["epsilon"] == epsilon]
    chosen = metrics or metrics_of(rows)
    if not chosen:
        raise FileError(store, "there are no scores to compare in this store")
    return rows, [rank(rows, metric, rng=rng) for metric in chosen]


def write_leaderboard(
    store: str | Path, out: str | Path, rows: "DataFrame", found: Sequence[Ranking]
) -> Path:
    """Write the page of `found`, with its figures and tables beside it, to the folder `out`.

    Args:
        store: the results store.
        out: made if it is missing; leaderboard.html, leaderboard.md, two TeX tables a metric (the
            ranking, and all pairs) and the figures as PNG and PDF.
        rows, found: as of `rankings`.

    Returns:
        The page's path.

    Raises:
        FileError: the folder is not writable.
    """
    kept, folder = Store(store), Path(out)
    sources = Sources(store=kept.path, out=folder, name="leaderboard-cells.html")
    boards = {r.metric: board(r, sources) for r in found}
    pairs = {r.metric: pair_grid(r, sources) for r in found if r.pairs}
    figures: dict[str, Figure] = {
        f"ranks-{r.metric}": critical_difference_figure(r) for r in found if len(r.ranked) > 1
    }
    trade = offers(deltas_apart(rows), found[0].metric)
    datasets = list(dict.fromkeys(o.dataset for o in trade if not isnan(o.seconds + o.utility)))
    figures |= {f"pareto-{d}": pareto_figure(trade, d, found[0].metric) for d in datasets}
    files = figure_files(figures)
    page = render(
        "leaderboard.html.j2",
        experiment=kept.experiment(),
        rankings=found,
        datasets=datasets,
        front=_front(trade),
        boards=boards,
        pairs=pairs,
        cells=len(set(rows["cell"])),
        images={name: b64encode(files[f"{name}.png"]).decode() for name in figures},
        unverified=sorted({s.generator for r in found for s in r.standings if not s.verified}),
        sources=sources.name,
    )
    grids = [(f"leaderboard-{metric}", grid) for metric, grid in boards.items()]
    grids += [(f"pairs-{metric}", grid) for metric, grid in pairs.items()]
    files |= {f"{name}.tex": grid.latex(f"tab:{name}").encode() for name, grid in grids}
    files["leaderboard.md"] = "\n".join(grid.markdown() for _, grid in grids).encode()
    files[sources.name] = sources.page(kept.records()).encode()
    files["leaderboard.html"] = page.encode()  # the last: where it is, all it shows is
    return write_files(folder, files, what="the leaderboard")[-1]


def board(ranking: Ranking, sources: Sources) -> Grid:
    """Return the standings: rank, score with interval, win rate, what is shown, what failed."""
    better = "higher" if ranking.higher_is_better else "lower"
    rows = tuple(_line(i, s) for i, s in enumerate(ranking.standings))
    return Grid(
        caption=(
            f"{ranking.metric}, {better} is better: mean over data sets with its 95% interval over "
            f"seeds; {_count(ranking.blocks, 'block')} of budget, seed and data set, "
            f"{_count(ranking.units, 'seed')} of a data set."
        ),
        header=(
            "generator",
            "place",
            "mean rank",
            "score",
            "win rate",
            "better than",
            "worse than",
            "failed",
        ),
        rows=rows,
        links={(i, 3): sources.link(s.cells) for i, s in enumerate(ranking.standings) if s.cells},
    )


def _line(place: int, standing: Standing) -> tuple[str, ...]:
    ranked = not isnan(standing.mean_rank)
    name = shown_name(standing.generator, set() if standing.verified else {standing.generator})
    return (
        name,
        f"{place + 1}" if ranked else "not ranked",
        f"{standing.mean_rank:.2f}" if ranked else "",
        _shown(standing.score),
        "" if isnan(standing.win_rate) else f"{standing.win_rate:.0%}",
        f"{standing.better}" if ranked else "",
        f"{standing.worse}" if ranked else "",
        f"{standing.failed} of {standing.blocks}",
    )


def pair_grid(ranking: Ranking, sources: Sources) -> Grid:
    """Return the pairs: gain of the better one with its interval, win rate, adjusted p-value."""
    pairs = sorted(ranking.pairs, key=lambda p: (p.p_value, p.first, p.second))
    return Grid(
        caption=(
            f"{ranking.metric}: by how much the better of two is ahead, with its 95% bootstrap "
            "interval over seeds; p by flips of signs, adjusted for all pairs (Holm)."
        ),
        header=("better", "worse", "ahead by", "win rate", "p", "shown"),
        rows=tuple(
            (
                p.winner,
                p.loser,
                _shown(_ahead(p)),
                f"{p.win_rate if p.winner == p.first else 1 - p.win_rate:.0%}",
                f"{p.p_value:.3f}",
                "yes" if p.shown else "no",
            )
            for p in pairs
        ),
        links={(i, 2): sources.link(p.cells) for i, p in enumerate(pairs)},
    )


def _ahead(pair: Pair) -> Interval:
    gain = pair.gain
    if pair.winner == pair.first:
        return gain
    return Interval(value=-gain.value, lower=-gain.upper, upper=-gain.lower, seeds=gain.seeds)


def _shown(interval: Interval) -> str:
    return "" if isnan(interval.value) else interval.text(4)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _front(trade: Sequence[Offer]) -> list[tuple[str, int, int]]:
    """Return (generator, on the front, offers): how often no other beats a generator."""
    names = dict.fromkeys(o.generator for o in trade)
    counts = [
        (name, sum(o.on_front for o in own), len(own))
        for name in names
        for own in [[o for o in trade if o.generator == name]]
    ]
    return sorted(counts, key=lambda c: -c[1] / c[2])
