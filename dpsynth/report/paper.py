"""What `paper/main.tex` takes from a results store: macros, tables and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.errors import FileError
from dpsynth.harness.store import Record, Store, read, to_frame
from dpsynth.report.figures import rendered, utility_figure
from dpsynth.report.files import write_files
from dpsynth.report.paper_numbers import (
    EPSILON,
    as_macros,
    attack_numbers,
    audit_numbers,
    data_numbers,
    protocol_numbers,
    utility_numbers,
)
from dpsynth.report.paper_tables import (
    COPY,
    GENERATORS,
    attack_risks,
    audit_bounds,
    audit_mus,
    metrics_at,
    utility_by_epsilon,
)
from dpsynth.report.summary import Exposure, Point, Verdict, exposures, utility, verdicts

if TYPE_CHECKING:
    from pandas import DataFrame

    from dpsynth.harness.yardstick import Yardstick

_METRICS = ("tvd_2way", "tstr_auc")
_PANEL = (2.9, 2.3)  # three of them, scaled to a line of text, keep letters of 7 points
_ATTACKS = ("singling_out", "linkability")


def write_paper_inputs(store: str | Path, facts: "Yardstick", out: str | Path) -> list[Path]:
    """Write numbers.tex, results.tex, audit.tex, attacks.tex and utility.pdf.

    Args:
        store: a results store whose sweep is finished.
        facts: on the records that it was made from.
        out: the folder for the files; made if it is missing.

    Returns:
        The files' paths.

    Raises:
        FileError: no store there, a sweep that is not finished, something that the paper reports
            is not in the store, or the folder is not writable.
    """
    kept, rows = Store(store), read(store)
    plan, records = kept.plan(), kept.records()
    points, audits, attacks = utility(rows), verdicts(rows), exposures(rows)
    if missing := _missing(plan, records, points, audits, attacks):
        raise FileError(kept.path, f"the paper needs what is not there: {'; '.join(missing)}")
    copies = [e for e in exposures(_joined(rows, facts)) if e.generator == COPY]
    numbers = {
        **data_numbers(facts),
        **protocol_numbers(kept.experiment(), records),
        **utility_numbers(points),
        **audit_numbers(audits, _alpha(rows)),
        **attack_numbers(attacks, copies),
    }
    files = {
        "numbers.tex": as_macros(numbers).encode(),
        "results.tex": _tables(
            ("results", utility_by_epsilon(points, "tvd_2way")),
            ("metrics", metrics_at(points, EPSILON)),
        ),
        "audit.tex": _tables(("audit", audit_bounds(audits)), ("mu", audit_mus(audits))),
        "attacks.tex": _tables(("attacks", attack_risks(attacks))),
        "utility.pdf": rendered(utility_figure(points, points[0].dataset, panel=_PANEL), "pdf"),
    }
    return write_files(Path(out), files, what="the paper's inputs")


def _missing(
    plan: Mapping[str, Any],
    records: Sequence[Record],
    points: Sequence[Point],
    audits: Sequence[Verdict],
    attacks: Sequence[Exposure],
) -> list[str]:
    """Return what the paper reports and the store does not hold, as parts of a sentence."""
    missing: list[str] = []
    planned = len(plan["cells"])
    if len(records) < planned:
        missing.append(f"{planned - len(records)} of {planned} cells have not run")
    if len({p.dataset for p in points}) > 1:
        missing.append("results of one data set alone")
    reasons = {title: f" (left out: {reason})" for title, reason in plan["skipped"]}
    quoted = {(p.generator, p.metric) for p in points if p.epsilon == EPSILON}
    audited = {v.generator for v in audits}
    for name in GENERATORS:
        lacking = [m for m in _METRICS if (name, m) not in quoted]
        lacking += ["an audit"] if name not in audited else []
        if lacking:
            what = " and ".join(lacking)
            missing.append(f"{what} of {name}, at epsilon {EPSILON:g}{reasons.get(name, '')}")
    ran = {e.attack for e in attacks}
    missing += [f"the attack {name}" for name in _ATTACKS if name not in ran]
    return missing


def _joined(rows: "DataFrame", facts: "Yardstick") -> "DataFrame":
    """Return all rows, so that the attacks on a copy are corrected as two more among the others."""
    import pandas as pd

    return pd.concat([to_frame(facts.copied), rows], ignore_index=True)


def _alpha(rows: "DataFrame") -> float:
    return float(rows.loc[rows["kind"] == "audit", "alpha"].max())


def _tables(*grids: tuple[str, Any]) -> bytes:
    return "\n".join(grid.latex(f"tab:{label}") for label, grid in grids).encode()
