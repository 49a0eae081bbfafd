"""What a generator's utility costs: risk and seconds of each, and which of them no other beats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from dpsynth.report.figures import TITLES, legend_below, look_of
from dpsynth.report.summary import shown_name, unverified_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from pandas import DataFrame
_RISKS = (-0.05, 1.05)


@final
@dataclass(frozen=True, kw_only=True)
class Offer:
    """One generator at one budget on one data set: means over seeds.

    Args:
        dataset, generator, epsilon: what was run.
        utility: the metric.
        higher_is_better: its direction.
        seconds: of the fit; nan where they are not known.
        risk: the largest mean risk of an attack; nan where there was none.
        on_front: whether no other of the same data set and budget is at least as good in all that
            is known of both, and better in something.
    """

    dataset: str
    generator: str
    epsilon: float
    utility: float
    higher_is_better: bool
    seconds: float
    risk: float
    on_front: bool


def offers(rows: "DataFrame", metric: str) -> list[Offer]:
    """Return every generator at every budget on every data set, in the order of rows."""
    keys = ["dataset", "epsilon", "delta", "generator"]
    scores = rows[(rows["kind"] == "utility") & (rows["metric"] == metric) & rows["value"].notna()]
    fits = rows[(rows["kind"] == "run") & (rows["metric"] == "seconds fit")]
    seconds = fits.groupby(keys)["value"].mean()
    attacks = rows[(rows["kind"] == "attack") & rows["value"].notna()]
    risks = attacks.groupby([*keys, "metric"])["value"].mean().groupby(keys).max()
    unverified = unverified_in(rows)
    found: list[tuple[tuple[str, float, float, str], bool, list[float]]] = []
    for key, group in scores.groupby(keys, sort=False):
        costs = [float(costs_of.get(key, np.nan)) for costs_of in (seconds, risks)]
        higher = bool(group["higher_is_better"].iloc[0])
        found.append(
            (cast("tuple[str, float, float, str]", key), higher, [group["value"].mean(), *costs])
        )
    losses = [[-v[0] if higher else v[0], *v[1:]] for _, higher, v in found]
    rivals = [
        np.array([loss for (k, _, _), loss in zip(found, losses, strict=True) if k[:3] == key[:3]])
        for key, _, _ in found
    ]
    return [
        Offer(
            dataset=str(dataset),
            epsilon=float(epsilon),
            generator=shown_name(str(generator), unverified),
            utility=float(value),
            higher_is_better=higher,
            seconds=secs,
            risk=risk,
            on_front=not _dominated(np.array(loss), others),
        )
        for ((dataset, epsilon, _, generator), higher, (value, secs, risk)), loss, others in zip(
            found, losses, rivals, strict=True
        )
    ]


def _dominated(loss: np.ndarray, others: np.ndarray) -> bool:
    known = ~np.isnan(others) & ~np.isnan(loss)
    no_worse = (others <= loss) | ~known
    better = (others < loss) & known
    return bool(np.any(no_worse.all(axis=1) & better.any(axis=1)))


def pareto_figure(offers: Sequence[Offer], dataset: str, metric: str) -> "Figure":
    """Return one column of panels a budget: utility against seconds and, if there are, risks."""
    from matplotlib.figure import Figure

    chosen = [o for o in offers if o.dataset == dataset]
    generators = list(dict.fromkeys(o.generator for o in chosen))
    epsilons = sorted({o.epsilon for o in chosen})
    costs = [c for c in ("seconds", "risk") if not all(np.isnan(getattr(o, c)) for o in chosen)]
    shape = (max(1, len(costs)), len(epsilons))
    size = (max(6.5, 3.1 * shape[1]), 2.9 * shape[0] + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(*shape, squeeze=False, sharey=True)
    for i, cost in enumerate(costs):
        for j, epsilon in enumerate(epsilons):
            _panel(axes[i, j], [o for o in chosen if o.epsilon == epsilon], generators, cost)
            axes[i, j].set_title(f"epsilon {epsilon:g}", fontsize=10)
        arrow = "up" if chosen[0].higher_is_better else "down"
        axes[i, 0].set_ylabel(f"{TITLES.get(metric, metric)}\n({arrow} is better)", fontsize=9)
    if not any(o.higher_is_better or o.utility <= 0 for o in chosen):
        axes[0, 0].set_yscale("log")  # all panels share it
        _plain_decades(axes[0, 0].yaxis)
    if generators and costs:
        marks = [_mark(axes[0, 0], n, k) for k, n in enumerate(generators)]
        legend_below(figure, marks, size=8)
    return figure


def _panel(axis: "Axes", offers: Sequence[Offer], generators: Sequence[str], cost: str) -> None:
    known = [o for o in offers if not np.isnan(getattr(o, cost))]
    for o in known:
        k = generators.index(o.generator)
        (mark,) = axis.plot(getattr(o, cost), o.utility, **_style(k, filled=o.on_front))
        mark.set_zorder(3 if o.on_front else 2)
    if cost == "seconds":
        axis.set_xscale("log")
        axis.set_xlabel("seconds of the fit")
        _plain_decades(axis.xaxis)
    else:
        axis.set_xlabel("largest risk of an attack")
        axis.set_xlim(*_RISKS)
    axis.grid(alpha=0.25, lw=0.5)


def _plain_decades(axis: "Axis") -> None:
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

    low, high = axis.get_view_interval()
    decades = LogLocator(subs=(1.0, 2.0, 5.0), numticks=6)
    axis.set_major_locator(decades if high > 8 * low else MaxNLocator(5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _style(k: int, *, filled: bool) -> dict[str, Any]:
    look = look_of(k)
    face = look["color"] if filled else "none"
    return {**look, "mfc": face, "ls": "none", "ms": 7, "mew": 1.3}


def _mark(axis: "Axes", name: str, k: int) -> "Line2D":
    (mark,) = axis.plot([], [], label=name, **_style(k, filled=True))
    return mark
