"""The report of a results store: one HTML page that carries its figures, with files beside it."""

from base64 import b64encode
from collections import Counter
from pathlib import Path
from typing import Any

from dpsynth.harness.store import UNVERIFIED, Record, Store, read
from dpsynth.privacy.receipt import Receipt
from dpsynth.report.figures import audit_figure, figure_files, utility_figure
from dpsynth.report.files import write_files
from dpsynth.report.pages import Sources, render, title
from dpsynth.report.summary import Point, deltas_apart, exposures, utility, verdicts
from dpsynth.report.tables import attack_grid, audit_grid, utility_grid


def write_report(store: str | Path, out: str | Path) -> Path:
    """Write the page of `store`, and its figures and tables, to the folder `out`.

    Args:
        store: a results store.
        out: made if it is missing; report.html, figures as PNG and PDF, tables as Markdown and TeX.

    Returns:
        The page's path.

    Raises:
        FileError: no store there, or the folder is not writable.
    """
    rows, kept, folder = deltas_apart(read(store)), Store(store), Path(out)
    records = kept.records()
    points, audits, attacks = utility(rows), verdicts(rows), exposures(rows)
    datasets = list(dict.fromkeys(p.dataset for p in points))
    sources = Sources(store=kept.path, out=folder)
    grids = {
        f"utility-{d}-{m}": utility_grid(points, d, m, link=sources.link)
        for d in datasets
        for m in dict.fromkeys(p.metric for p in points if p.dataset == d)
    }
    figures = {f"utility-{d}": utility_figure(points, d) for d in datasets}
    if audits:
        grids["audit"] = audit_grid(audits, link=sources.link)
        figures["audit"] = audit_figure(audits)
    if attacks:
        grids["attacks"] = attack_grid(attacks, link=sources.link)
    files = figure_files(figures)
    page = _page(
        experiment=kept.experiment(),
        records=records,
        skipped=kept.plan()["skipped"],
        images={name: b64encode(files[f"{name}.png"]).decode() for name in figures},
        grids=grids,
        unverified=sum(any(row.mode == UNVERIFIED for row in r.rows) for r in records),
        passing=_passing(points),
        attacks=len(attacks),
        alarms=sum(e.alarm for e in attacks),
        violations=sum(v.violated for v in audits),
    )
    for name, grid in grids.items():
        files[f"{name}.md"] = grid.markdown().encode()
        files[f"{name}.tex"] = grid.latex(f"tab:{name}").encode()
    files[sources.name] = sources.page(records).encode()
    files["report.html"] = page.encode()  # the last: where it is, all it shows is
    return write_files(folder, files, what="the report")[-1]


def _page(*, records: list[Record], **values: Any) -> str:
    failed = [r for r in records if r.status != "done"]
    receipts = [Receipt.from_json(r.receipt) for r in records if r.receipt is not None]
    return render(
        "report.html.j2",
        cells=len(records),
        failed=[(title(r), r.status, r.phase or "", r.error or "") for r in failed],
        seconds=sum(sum(r.seconds.values()) for r in records),
        claims=_claims(receipts),
        not_for_release=any(r.not_for_release for r in receipts),
        **values,
    )


def _claims(receipts: list[Receipt]) -> list[tuple[str, int, float]]:
    """Return (claim, number of releases that make it, most epsilon that one of them spent)."""
    texts = [
        f"{r.promise}-DP, {r.budget.relation}, unit {r.budget.unit!r}, {r.accountant} accountant"
        for r in receipts
    ]
    spent: dict[str, float] = {}
    for text, receipt in zip(texts, receipts, strict=True):
        spent[text] = max(spent.get(text, 0.0), float(receipt.epsilon_stated))
    return [(text, count, spent[text]) for text, count in Counter(texts).items()]


def _passing(points: list[Point]) -> list[str]:
    """Return which curves pass the hold-out's score, for the page to explain."""
    found: dict[tuple[str, str], list[str]] = {}
    for point in points:
        if point.passes_holdout:
            found.setdefault((point.generator, point.metric), []).append(f"{point.epsilon:g}")
    return [f"{g} on {m} (epsilon {', '.join(es)})" for (g, m), es in found.items()]
