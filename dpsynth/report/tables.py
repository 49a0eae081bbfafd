"""Tables as Markdown and as LaTeX (booktabs): plain cells in, one text out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import final

from dpsynth.report.summary import Exposure, Point, Verdict

_LATEX = {
    **{c: f"\\{c}" for c in "&%_#${}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "≥": r"$\geq$",
    "±": r"$\pm$",
    "−": "$-$",
}


@final
@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of text.

    Args:
        caption: what it shows, one sentence.
        header: names of the columns.
        rows: cells, as many in each row as there are columns.
        links: (row, column) -> address of what stands behind that cell.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    links: Mapping[tuple[int, int], str] = field(default_factory=dict)

    def markdown(self) -> str:
        """Return the table in Markdown, numbers to the right."""
        lines = [
            "| " + " | ".join(self.header) + " |",
            "|---" + "|---:" * (len(self.header) - 1) + "|",
            *("| " + " | ".join(row) + " |" for row in self._linked(str, _markdown_link)),
        ]
        return f"{self.caption}\n\n" + "\n".join(lines) + "\n"

    def latex(self, label: str) -> str:
        """Return a LaTeX table for the package booktabs, to be referred to by `label`.

        Links need the package hyperref.
        """
        body = [" & ".join(row) + r" \\" for row in self._linked(escaped, _latex_link)]
        return "\n".join(
            [
                r"\begin{table}[t]",
                r"\centering\small",
                rf"\caption{{{escaped(self.caption)}}}\label{{{label}}}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
                r"\toprule",
                " & ".join(map(escaped, self.header)) + r" \\",
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )

    def _linked(
        self, shown: Callable[[str], str], link: Callable[[str, str], str]
    ) -> Iterator[list[str]]:
        """Yield the rows with each text as `shown`, and as link(address, text) where it has one."""
        for i, row in enumerate(self.rows):
            texts = [shown(text) for text in row]
            yield [
                link(self.links[i, j], text) if (i, j) in self.links else text
                for j, text in enumerate(texts)
            ]


def _markdown_link(address: str, text: str) -> str:
    return f"[{text}]({address})"


def _latex_link(address: str, text: str) -> str:
    return rf"\href{{{escaped(address)}}}{{{text}}}"


def utility_grid(
    points: Sequence[Point],
    dataset: str,
    metric: str,
    *,
    link: Callable[[Sequence[str]], str] | None = None,
) -> Grid:
    """Return one metric: a row a generator, a column an epsilon, then the two references.

    Args:
        points: of one or more data sets and metrics.
        dataset, metric: the one to show.
        link: cells -> address of what stands behind a number.
    """
    chosen = [p for p in points if p.dataset == dataset and p.metric == metric]
    epsilons = sorted({p.epsilon for p in chosen})
    found = {(p.generator, p.epsilon): p for p in chosen}
    names = list(dict.fromkeys(p.generator for p in chosen))
    texts = {key: p.score.text() for key, p in found.items()}
    rows = [(name, *(texts.get((name, e), "") for e in epsilons)) for name in names]
    links = {
        (names.index(name), 1 + epsilons.index(epsilon)): link(p.cells)
        for (name, epsilon), p in found.items()
        if link is not None
    }
    if chosen:
        first = chosen[0]
        rows.append(("real hold-out, same size", *(f"{first.holdout:.3f}" for _ in epsilons)))
        rows.append(
            ("independent columns, no noise", *(f"{first.independent:.3f}",) * len(epsilons))
        )
    better = "higher" if chosen and chosen[0].higher_is_better else "lower"
    seeds = max((p.score.seeds for p in chosen), default=0)
    caption = (
        f"{metric} on {dataset} by epsilon, {better} is better: mean and 95% interval over "
        f"{seeds} seeds."
        if seeds > 1
        else f"{metric} on {dataset} by epsilon, {better} is better: one seed, its 95% interval."
    )
    return Grid(
        caption=caption,
        header=("generator", *(f"{e:g}" for e in epsilons)),
        rows=tuple(rows),
        links=links,
    )


def audit_grid(
    verdicts: Sequence[Verdict], *, link: Callable[[Sequence[str]], str] | None = None
) -> Grid:
    """Return the audits: claimed epsilon, empirical lower bound, largest measurable, and mu.

    Args:
        verdicts: one a row.
        link: cells -> address of what stands behind a bound.
    """
    runs = max((v.runs for v in verdicts), default=0)
    return Grid(
        caption=f"Audits of the claim on worst-case neighbours, at most {runs} runs a world.",
        header=(
            "generator",
            "claimed epsilon",
            "empirical lower bound",
            "the same if the noise is of the kind charged",
            "largest measurable",
            "claimed mu",
            "mu lower bound",
            "smallest detectable inflation",
            "violated",
        ),
        rows=tuple(
            (
                v.generator,
                f"{v.epsilon:g}",
                f"{v.epsilon_lower:.3f}",
                "" if isnan(v.epsilon_lower_of_class) else f"{v.epsilon_lower_of_class:.3f}",
                f"{v.epsilon_largest_measurable:.2f}",
                "" if v.mu_claimed != v.mu_claimed else f"{v.mu_claimed:.3f}",
                f"{v.mu_lower:.3f}",
                f"{v.smallest_detectable_inflation:.2f}x",
                "YES" if v.violated else "no",
            )
            for v in verdicts
        ),
        links={(i, 2): link(v.cells) for i, v in enumerate(verdicts)} if link else {},
    )


def attack_grid(
    exposures: Sequence[Exposure], *, link: Callable[[Sequence[str]], str] | None = None
) -> Grid:
    """Return the attacks: success on used records, of guessing, on unused records; the risk.

    Args:
        exposures: one a row.
        link: cells -> address of what stands behind a risk.
    """
    rates = ("attack", "baseline", "control", "risk", "alarm")
    return Grid(
        caption="Attacks on the releases: success rates, means over seeds; 95% intervals of risks.",
        header=("data set", "attack", "generator", "epsilon", *rates),
        rows=tuple(
            (
                e.dataset,
                e.attack,
                e.generator,
                f"{e.epsilon:g}",
                f"{e.rate.value:.3f}",
                f"{e.baseline.value:.3f}",
                f"{e.control.value:.3f}",
                e.risk.text(),
                "YES" if e.alarm else "no",
            )
            for e in exposures
        ),
        links={(i, 7): link(e.cells) for i, e in enumerate(exposures)} if link else {},
    )


def escaped(text: str) -> str:
    """Return `text` as LaTeX that prints it as it stands."""
    return "".join(_LATEX.get(c, c) for c in text)
