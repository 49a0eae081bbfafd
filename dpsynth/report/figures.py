"""Figures (matplotlib): epsilon against utility with bands, and what audits show of a claim."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from dpsynth.report.summary import Point, Verdict

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours can be told apart by colour-blind readers; markers repeat the distinction.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#D55E00", "#999933")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
TITLES = {
    "tvd_1way": "1-way total variation",
    "tvd_2way": "2-way total variation",
    "tvd_3way": "3-way total variation",
    "workload_error": "Workload error (3-way L1)",
    "correlation_difference": "Correlation difference",
    "tstr_auc": "Train on synthetic, test on real: AUC",
}


def look_of(k: int) -> dict[str, Any]:
    """Return the colour and marker of the k-th generator; 64 can be told apart."""
    # A ninth shares a colour with the first, and no marker.
    return {"color": COLOURS[k % 8], "marker": MARKERS[(k + k // 8) % 8]}


def utility_figure(
    points: Sequence[Point], dataset: str, *, panel: tuple[float, float] = (4.4, 3.4)
) -> "Figure":
    """Return one panel a metric: mean over seeds and its 95% band against epsilon.

    Args:
        points: of one or more data sets.
        dataset: the one to draw.
        panel: width and height of one panel, in inches.
    """
    from matplotlib.figure import Figure

    chosen = [p for p in points if p.dataset == dataset]
    metrics = list(dict.fromkeys(p.metric for p in chosen))
    generators = list(dict.fromkeys(p.generator for p in chosen))
    columns = min(3, max(1, len(metrics)))
    rows = -(-max(1, len(metrics)) // columns)
    figure = Figure(figsize=(panel[0] * columns, panel[1] * rows + 0.2), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, metric in zip(axes, metrics, strict=False):
        _panel(axis, [p for p in chosen if p.metric == metric], generators)
    for axis in axes[len(metrics) :]:
        axis.set_visible(False)
    if metrics:
        legend_below(figure, axes[0].get_legend_handles_labels()[0])
    return figure


def legend_below(figure: "Figure", handles: "Sequence[Artist]", *, size: float = 10) -> None:
    """Put a legend below the panels, as wide as they are, and make the figure that much higher.

    Args:
        figure: what has the panels.
        handles: what the legend explains, with their labels.
        size: of its letters, in points.
    """
    lengths = [len(str(handle.get_label())) for handle in handles]
    fitting = [c for c in range(1, 7) if _width(lengths, c, size) <= figure.get_figwidth()]
    columns = max(fitting, default=1)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=size
    )
    figure.set_figheight(figure.get_figheight() + 0.02 * size * -(-len(handles) // columns))


def _width(lengths: Sequence[int], columns: int, size: float) -> float:
    """Return the inches that a legend takes, which fills column after column: key, gap and text."""
    filled = np.array_split(lengths, min(columns, len(lengths)))
    return size * sum(0.07 + 0.0075 * int(column.max()) for column in filled)


def _panel(axis: "Axes", points: Sequence[Point], generators: Sequence[str]) -> None:
    first = points[0]
    for i, name in enumerate(generators):
        line = sorted((p for p in points if p.generator == name), key=lambda p: p.epsilon)
        if not line:
            continue
        look, x = look_of(i), [p.epsilon for p in line]
        if len({p.epsilon for p in points}) == 1:  # a band has no width there: beside one another
            x = [x[0] * 2 ** (0.05 * (i - (len(generators) - 1) / 2))]
        axis.plot(x, [p.score.value for p in line], ms=4, lw=1.5, label=name, **look)
        lower, upper = [p.score.lower for p in line], [p.score.upper for p in line]
        if len(line) == 1:
            axis.vlines(x, lower, upper, color=look["color"], alpha=0.5, lw=1.2)
        axis.fill_between(x, lower, upper, color=look["color"], alpha=0.18, lw=0)
    axis.axhline(first.holdout, color="#444444", ls="--", lw=1, label="real hold-out, same size")
    axis.axhline(first.independent, color="#444444", ls=":", lw=1.3, label="independent, no noise")
    arrow = "higher is better" if first.higher_is_better else "lower is better"
    axis.set_title(f"{TITLES.get(first.metric, first.metric)}\n({arrow})", fontsize=10)
    if not first.higher_is_better and all(p.score.value > 0 for p in points):
        _log_errors(axis, points)
    ticks = sorted({p.epsilon for p in points})
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    axis.set_xlabel("epsilon")
    axis.grid(alpha=0.25, lw=0.5)


def _log_errors(axis: "Axes", points: Sequence[Point]) -> None:
    """Draw errors on a log scale when they span a decade: `uniform` would hide all others."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    values = [p.score.value for p in points] + [points[0].holdout]
    if max(values) < 10 * min(values):
        return
    axis.set_yscale("log")
    axis.set_ylim(min(values) / 1.6, max(values) * 1.6)
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def audit_figure(verdicts: Sequence[Verdict]) -> "Figure":
    """Return one panel a generator: lower bound, claim and largest measurable against the claim."""
    from matplotlib.figure import Figure

    generators = list(dict.fromkeys(v.generator for v in verdicts))
    columns = min(3, max(1, len(generators)))
    rows = -(-max(1, len(generators)) // columns)
    figure = Figure(figsize=(4.0 * columns, 2.9 * rows + 0.2), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    claims = sorted({v.epsilon for v in verdicts})
    for axis, name in zip(axes, generators, strict=False):
        _claims_panel(axis, [v for v in verdicts if v.generator == name], claims)
        axis.set_title(name, fontsize=10)
    for axis in axes[len(generators) :]:
        axis.set_visible(False)
    if generators:
        legend_below(figure, axes[0].get_legend_handles_labels()[0])
    return figure


def _claims_panel(axis: "Axes", verdicts: Sequence[Verdict], claims: Sequence[float]) -> None:
    """Draw one generator's verdicts; all panels have the same claims on their axes."""
    line = sorted(verdicts, key=lambda v: v.epsilon)
    x = [v.epsilon for v in line]
    found = [v.epsilon_lower for v in line]
    of_class = [v.epsilon_lower_of_class for v in line]
    measurable = [v.epsilon_largest_measurable for v in line]
    for y, label, style in (
        (x, "claimed epsilon", {"color": "#000000", "marker": "_", "lw": 1.2}),
        (measurable, "largest measurable, whatever the noise", {"color": "#D55E00", "ls": "--"}),
        (found, "empirical lower bound", {"color": "#0072B2", "marker": "o"}),
        (
            of_class,
            "lower bound if the noise is of the kind charged",
            {"color": "#009E73", "marker": "^"},
        ),
    ):
        axis.plot(x, y, label=label, **{"lw": 1.5, "ms": 4, **style})
    # What could be measured is far above small claims, and would leave no room for them.
    top = 1.15 * max([*claims, *found])
    if min(measurable) > top:
        told = f"largest measurable {min(measurable):.3g}"
        axis.text(0.03, 0.96, told, transform=axis.transAxes, va="top", fontsize=7, color="#D55E00")
    axis.set_ylim(0, top)
    axis.set_xscale("log", base=2)
    axis.set_xlim(claims[0] / 1.2, claims[-1] * 1.2)
    axis.set_xticks(claims, [f"{t:g}" for t in claims])
    axis.minorticks_off()
    axis.set_xlabel("claimed epsilon")
    axis.set_ylabel("epsilon")
    axis.grid(alpha=0.25, lw=0.5)


def figure_files(figures: "Mapping[str, Figure]") -> dict[str, bytes]:
    """Return each figure as PNG and as PDF: file's name -> content."""
    return {
        f"{name}.{form}": rendered(figure, form)
        for name, figure in figures.items()
        for form in ("png", "pdf")
    }


def rendered(figure: "Figure", form: str = "png") -> bytes:
    """Return the figure as a file's bytes, the same for the same figure ("png", "svg", "pdf")."""
    buffer = BytesIO()
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(form)
    figure.savefig(buffer, format=form, dpi=150, metadata=metadata)
    return buffer.getvalue()
