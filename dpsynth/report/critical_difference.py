"""The critical-difference diagram: mean ranks, and bars over generators that are not told apart."""

from typing import TYPE_CHECKING

from dpsynth.report.ranking import Ranking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LINE = 0.26  # inches a name takes
_HEAD = 0.62  # inches above the axis, for its ticks and the title


def cliques(ranking: Ranking) -> list[tuple[int, int]]:
    """Return (first, last) positions of the longest runs in which no pair is shown to differ.

    Reference: Demsar 2006, section 3.2.4, with Holm's correction in place of Nemenyi's test, as
    Benavoli, Corani and Mangili 2016 advise.
    """
    names = [s.generator for s in ranking.ranked]
    apart = {frozenset((p.first, p.second)) for p in ranking.pairs if p.shown}
    runs: list[tuple[int, int]] = []
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and not any(
            frozenset((names[i], names[last + 1])) in apart for i in range(first, last + 1)
        ):
            last += 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def critical_difference_figure(ranking: Ranking) -> "Figure":
    """Return the diagram of `ranking`: best to the left, bars join what is not told apart."""
    from matplotlib.figure import Figure

    ranked, bars = ranking.ranked, cliques(ranking)
    sides = -(-len(ranked) // 2)
    top = 0.5 + 0.14 * len(bars)  # inches from the axis to the first name
    height = _HEAD + top + _LINE * sides
    figure = Figure(figsize=(7.2, height))
    axis = figure.add_axes((0.24, 0.0, 0.52, 1 - _HEAD / height))
    axis.set_xlim(0.8, len(ranked) + 0.2)
    axis.set_ylim(height - _HEAD, 0)
    axis.xaxis.tick_top()
    axis.set_xticks(range(1, len(ranked) + 1))
    axis.set_yticks([])
    for side in ("left", "right", "bottom"):
        axis.spines[side].set_visible(False)
    for i, (first, last) in enumerate(bars):
        ends = (ranked[first].mean_rank - 0.05, ranked[last].mean_rank + 0.05)
        axis.plot(ends, [0.16 + 0.14 * i] * 2, color="#D55E00", lw=3.5, solid_capstyle="butt")
    for i, standing in enumerate(ranked):
        left = i < sides
        line = i if left else len(ranked) - 1 - i
        text = f"{standing.generator} ({standing.mean_rank:.2f})"
        _name(axis, text, x=standing.mean_rank, y=top + _LINE * line, left=left)
    title = f"mean rank on {ranking.metric}, 1 is best"
    figure.text(0.5, 1 - 0.08 / height, title, ha="center", va="top", fontsize=9)
    return figure


def _name(axis: "Axes", text: str, *, x: float, y: float, left: bool) -> None:
    """Draw a line from the axis down to the height of a name, and out to the name at the edge."""
    edge = axis.get_xlim()[0 if left else 1]
    axis.plot([x, x, edge], [0, y, y], color="#333333", lw=0.9, clip_on=False)
    axis.annotate(
        text,
        (edge, y),
        xytext=(-4 if left else 4, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=9,
        annotation_clip=False,
    )
